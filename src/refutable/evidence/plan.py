"""The plan: every pass that the selected cases read, by subject, so that each model's weights are loaded once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import get_args

from refutable.claims import InitializationClaim, MeasuredClaim, MeasuredTest, WiringClaim
from refutable.claims.cases import Case
from refutable.errors import NotMeasured
from refutable.metrics import METRICS
from refutable.models.revision_names import split_name
from refutable.models.selection import DTYPES, Selection
from refutable.models.subject import INIT, Subject
from refutable.traces.passes import EACH_TOKEN, PASSES, WITH, Bos, First, Pass, Spare

CHEAP = 500_000_000
CONTROL_SEEDS = (0, 1, 2, 3, 4)  # only the first for a model larger than CHEAP; five that agree decide at 1/32

Plan = Mapping[Subject, tuple[Pass, ...]]


def build_plan(cases: Iterable[Case], selection: Selection) -> Plan:
    """Return every pass that the cases read, by subject, in the order of first use."""
    plan: dict[Subject, dict[Pass, None]] = {}
    for case in cases:
        for subject, spec in needs(case, selection):
            plan.setdefault(subject, {})[spec] = None
    return {subject: tuple(passes) for subject, passes in plan.items()}


def needs(case: Case, selection: Selection) -> list[tuple[Subject, Pass]]:
    """Return every pass that one case reads from models that this run may measure."""
    claim = case.claim
    wanted: list[tuple[Subject, Pass]] = []
    for model in case.models:
        if isinstance(claim, WiringClaim):
            with suppress(NotMeasured):
                wanted.append((wiring_subject(model, selection), Pass(claim.test.reads)))
            continue
        if not isinstance(claim, MeasuredClaim):
            continue
        try:
            found = [*_measured(claim, model, selection)]
            others = [(other_subject(claim.test, subject, selection), spec) for subject, spec in found]
        except NotMeasured:
            continue  # the reason is reported when the case is tried
        wanted += [*found, *((other, spec) for other, spec in others if other is not None)]
    return wanted


def pass_for(metric: str, test: MeasuredTest, prompts: str, bos: Bos = "default") -> Pass:
    """Return the pass that a test's metric is read from."""
    kind = PASSES[METRICS[metric].reads]
    if kind.changeable:
        spare: Spare = "first" if test.under in EACH_TOKEN and test.first_token == "without" else "none"
        return Pass(kind.name, prompts, test.under or "none", test.blocks or "all", bos, spare, test.coordinate)
    return Pass(kind.name, prompts, blocks="last" if kind.one_block and test.layer == "last" else "all", bos=bos)


def passes_of(test: MeasuredTest, prompts: str, bos: Bos = "default") -> tuple[Pass, ...]:
    """Return every pass that a test reads, those under an intervention before the plain ones."""
    passes = [pass_for(metric, one, prompts, bos) for one in test.readings for metric in test.of]
    if test.against == "plain":
        passes += [plain(spec) for spec in passes]
    return tuple(dict.fromkeys(passes))


def plain(spec: Pass) -> Pass:
    """Return the same pass without the intervention."""
    return replace(spec, intervention="none", blocks="all", spare="none", coordinate=None)


def other_subject(test: MeasuredTest, subject: Subject, selection: Selection) -> Subject | None:
    """Return the subject whose values a test subtracts prompt by prompt, None without one; weights are drawn alike.

    Another model is held against one at the revision at which that is tried, if it has any.

    Raises:
        NotMeasured: this run may not measure it, or it is the subject itself.
    """
    if test.other is None or test.other_reading is not None:
        return None
    if test.other.dtype is not None:
        if test.other.dtype == subject.dtype:
            another = next(name for name in DTYPES if name != subject.dtype)
            raise NotMeasured(f"this run is in {subject.dtype}, held against itself", f"pytest --dtype {another}")
        return replace(subject, dtype=test.other.dtype)
    model, at = split_name(subject.model)
    if test.other.revision is not None:
        if test.other.revision == at:
            raise NotMeasured(f"{model} at {at} is held against itself")
        return selection.subject(f"{model}@{test.other.revision}", dtype=subject.dtype)
    assert test.other.model is not None
    seed = subject.seed if subject.weights == INIT else None
    other = test.other.model
    if at and seed is None and not selection.registry[other].no_revisions:
        other = f"{other}@{at}"  # both at the same revision
    return selection.subject(other, seed=seed, dtype=subject.dtype)


def _measured(claim: MeasuredClaim, model: str, selection: Selection) -> Iterator[tuple[Subject, Pass]]:
    """Yield the passes of a claim's own test, its controls and its variations."""
    own = passes_of(claim.test, claim.prompts)
    if isinstance(claim, InitializationClaim):
        yield from ((selection.subject(model, seed=seed), spec) for seed in claim.seeds for spec in own)
        return
    yield from ((selection.subject(model), spec) for spec in own)
    if "initialization" in claim.controls:
        of = None if claim.test.groups else model
        yield from ((selection.subject(model, seed=s), spec) for s in control_seeds(of, selection) for spec in own)
    if is_cheap(model, selection):
        choices: tuple[Bos, ...] = ("default", *claim.multiverse.bos)
        tests = (claim.test, *other_first_tokens(claim.test))
        yield from (
            (replace(selection.subject(model, dtype=dtype), chat_template=template), spec)
            for dtype in (selection.dtype, *claim.multiverse.dtype)
            for template in (selection.chat_template, *(one == WITH for one in claim.multiverse.chat_template))
            for prompts in (claim.prompts, *claim.multiverse.prompts)
            for bos in choices
            for test in tests
            for spec in passes_of(test, prompts, bos)
        )


def other_first_tokens(test: MeasuredTest) -> tuple[MeasuredTest, ...]:
    """Return a test with the first token and without it, each unless it is the test's own form; none of one token."""
    forms = (test.model_copy(update={"first_token": first}) for first in get_args(First))
    return tuple(form for form in forms if form.counts_first != test.counts_first)


def is_cheap(model: str, selection: Selection) -> bool:
    """Whether a model is small enough for declared variations to cost extra passes."""
    return selection.registry[model].parameters <= CHEAP


def control_seeds(model: str | None, selection: Selection) -> tuple[int, ...]:
    """Return the seeds of a control on fresh weights: five for a cheap model, one otherwise and for groups."""
    return CONTROL_SEEDS if model is not None and is_cheap(model, selection) else CONTROL_SEEDS[:1]


def wiring_subject(model: str, selection: Selection) -> Subject:
    """Return the reduced, freshly drawn instance, small enough for any CPU, on which a model's wiring is probed.

    Raises:
        NotMeasured: nothing can be measured of the model.
    """
    selection.usable(model)
    return Subject(model, weights="init", dtype="float32", device="cpu")
