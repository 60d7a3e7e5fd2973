"""The plan: for each subject, every pass that the selected cases read, so that its weights are loaded once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from refutable.cases import Case
from refutable.claims import InitializationClaim, MeasuredClaim, WiringClaim
from refutable.errors import NotMeasured
from refutable.selection import Selection
from refutable.subject import Subject

CHEAP = 500_000_000
CONTROL_SEEDS = (0, 1, 2)  # of a model larger than CHEAP only the first
Bos = Literal["default", "with", "without"]
NO_BOS = "its tokens are stand-ins, and none is a beginning-of-sequence token"


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over a model.

    Attributes:
        name: ``forward`` (prompts through the weights) or ``wiring`` (the probe, on a reduced instance).
        prompts: name of the prompt set, for a forward pass.
        bos: whether prompts begin with the beginning-of-sequence token: as the tokenizer has it, with it, or without.
    """

    name: Literal["forward", "wiring"]
    prompts: str = ""
    bos: Bos = "default"


Plan = Mapping[Subject, tuple[Pass, ...]]


def build_plan(cases: Iterable[Case], selection: Selection) -> Plan:
    """Return every pass that the cases read, by subject, in the order in which they are first read."""
    plan: dict[Subject, dict[Pass, None]] = {}
    for case in cases:
        for subject, one in needs(case, selection):
            plan.setdefault(subject, {})[one] = None
    return {subject: tuple(passes) for subject, passes in plan.items()}


def needs(case: Case, selection: Selection) -> list[tuple[Subject, Pass]]:
    """Return what one case reads of the models that this run may measure."""
    claim = case.claim
    wanted: list[tuple[Subject, Pass]] = []
    for model in case.models:
        if isinstance(claim, WiringClaim):
            wanted.append((wiring_subject(model, selection), Pass("wiring")))
            continue
        if not isinstance(claim, MeasuredClaim):
            continue
        try:
            wanted += _forward(claim, model, selection)
        except NotMeasured:
            continue  # said with its reason when the case is tried
    return wanted


def _forward(claim: MeasuredClaim, model: str, selection: Selection) -> list[tuple[Subject, Pass]]:
    own = Pass("forward", claim.prompts)
    if isinstance(claim, InitializationClaim):
        return [(selection.subject(model, seed=seed), own) for seed in claim.seeds]
    wanted = [(selection.subject(model), own)]
    if "initialization" in claim.controls:
        of = None if claim.test.groups else model
        wanted += [(selection.subject(model, seed=seed), own) for seed in control_seeds(of, selection)]
    choices: tuple[Bos, ...] = ("default", *claim.multiverse.bos)
    if is_cheap(model, selection):
        wanted += [
            (selection.subject(model, dtype=dtype), replace(own, prompts=prompts, bos=bos))
            for dtype in (selection.dtype, *claim.multiverse.dtype)
            for prompts in (claim.prompts, *claim.multiverse.prompts)
            for bos in choices
        ]
    return wanted


def is_cheap(model: str, selection: Selection) -> bool:
    """Whether a model is so small that a declared variation may cost further passes."""
    return selection.registry[model].parameters <= CHEAP


def control_seeds(model: str | None, selection: Selection) -> tuple[int, ...]:
    """Return the seeds of the fresh weights of a control: three of a cheap model, else (and of groups) one."""
    return CONTROL_SEEDS if model is not None and is_cheap(model, selection) else CONTROL_SEEDS[:1]


def wiring_subject(model: str, selection: Selection) -> Subject:
    """Return the reduced, freshly drawn instance on which a model's wiring is probed: small enough for any CPU."""
    return Subject(model, weights="init", dtype="float32", device="cpu")
