"""The plan: for each subject, every pass that the selected cases read, so that its weights are loaded once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from refutable.cases import Case
from refutable.claims import InitializationClaim, MeasuredClaim, MeasuredTest, WiringClaim
from refutable.errors import NotMeasured
from refutable.metrics import METRICS
from refutable.passes import Pass
from refutable.selection import Selection
from refutable.subject import Subject

__all__ = ["CHEAP", "CONTROL_SEED", "Pass", "Plan", "build_plan", "needs", "pass_for", "passes_of", "wiring_subject"]

CONTROL_SEED = 0
CHEAP = 500_000_000


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
            passes = passes_of(claim.test, claim.prompts)
            wanted += [(subject, one) for subject in _subjects(claim, model, selection) for one in passes]
        except NotMeasured:
            continue  # said with its reason when the case is tried
    return wanted


def pass_for(metric: str, test: MeasuredTest, prompts: str) -> Pass:
    """Return the pass that a test's metric is read from."""
    name = METRICS[metric].reads
    if name == "forward":
        return Pass("forward", prompts, test.under or "none", test.blocks or "all")
    return Pass(name, prompts, blocks="last" if name == "jacobian" and test.layer == "last" else "all")


def passes_of(test: MeasuredTest, prompts: str) -> tuple[Pass, ...]:
    """Return every pass that a test reads, the one under an intervention before the plain one."""
    passes = [pass_for(metric, test, prompts) for metric in test.of]
    if test.against == "plain":
        passes += [plain(one) for one in passes]
    return tuple(dict.fromkeys(passes))


def plain(one: Pass) -> Pass:
    """Return the same pass of the model as it is."""
    return replace(one, intervention="none", blocks="all")


def _subjects(claim: MeasuredClaim, model: str, selection: Selection) -> list[Subject]:
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
