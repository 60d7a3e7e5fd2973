"""The plan: for each subject, every pass that the selected cases read, so that its weights are loaded once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from refutable.cases import Case
from refutable.claims import InitializationClaim, MeasuredClaim, WiringClaim
from refutable.errors import NotMeasured
from refutable.selection import Selection
from refutable.subject import Subject

CONTROL_SEED = 0
CHEAP = 500_000_000


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over a model.

    Attributes:
        name: ``forward`` (prompts through the weights) or ``wiring`` (the probe, on a reduced instance).
        prompts: name of the prompt set, for a forward pass.
    """

    name: Literal["forward", "wiring"]
    prompts: str = ""


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
            wanted += [
                (subject, Pass("forward", claim.prompts)) for subject in _forward_subjects(claim, model, selection)
            ]
        except NotMeasured:
            continue  # said with its reason when the case is tried
    return wanted


def _forward_subjects(claim: MeasuredClaim, model: str, selection: Selection) -> list[Subject]:
    if isinstance(claim, InitializationClaim):
        return [selection.subject(model, seed=seed) for seed in claim.seeds]
    subjects = [selection.subject(model)]
    if "initialization" in claim.controls:
        subjects.append(selection.subject(model, seed=CONTROL_SEED))
    if selection.registry[model].parameters <= CHEAP:
        subjects += [selection.subject(model, dtype=dtype) for dtype in claim.multiverse.dtype]
    return subjects


def wiring_subject(model: str, selection: Selection) -> Subject:
    """Return the reduced, freshly drawn instance on which a model's wiring is probed: small enough for any CPU."""
    return Subject(model, weights="init", dtype="float32", device="cpu")
