"""The multiverse of a claim: its verdict under every combination of its declared variations."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from refutable._util.text import few
from refutable.claims import MeasuredClaim
from refutable.evidence.plan import CHEAP, is_cheap, passes_of
from refutable.evidence.sample_source import SampleSource
from refutable.evidence.specification import Specification, judge_specification, subject_of
from refutable.models.subject import OWN_TOKENIZER
from refutable.statistics.over import other_statistic, statistic_over
from refutable.traces.trace import FIRST_IS_BOS
from refutable.verdicts.judge import Judgement
from refutable.verdicts.robustness import Variation
from refutable.verdicts.verdict import Verdict

TEST_AXES = ("norm", "position", "statistic")
PASS_AXES = ("dtype", "bos", "prompts")  # each value costs a pass of its own
AS_TOKENISED = "as tokenised"
OVER = "over"  # not an axis: another estimand, which the claim does not speak of


def variations_of(
    claim: MeasuredClaim, specification: Specification, model: str | None, source: SampleSource
) -> dict[str, Variation]:
    """Return the claim under every combination but its own, each with its estimate: a specification curve.

    `specification` is the claim's own; `model` is None for a comparison of groups.
    """
    declared = dict(_points(claim, specification, model, source)) if claim.multiverse.declared else {}
    return {**declared, **dict(_other_estimand(specification, model, source))}


def fragile(variations: Mapping[str, Variation], verdict: Verdict) -> tuple[str, ...]:
    """Return the label ``fragile`` if a variation that was looked at has a different verdict; not another estimand."""
    same = (one for one in variations.values() if OVER not in one.changes)
    return ("fragile",) if any(one.differs(verdict) for one in same) else ()


def _points(
    claim: MeasuredClaim, specification: Specification, model: str | None, source: SampleSource
) -> Iterator[tuple[str, Variation]]:
    base = {
        **{axis: str(getattr(claim.test, axis)) for axis in TEST_AXES},
        **{"dtype": source.selection.dtype, "bos": AS_TOKENISED, "prompts": claim.prompts},
    }
    declared = {axis: getattr(claim.multiverse, axis) for axis in base}
    if declared["bos"]:
        same = _bos_as_tokenised(specification, model, source)
        declared["bos"] = [bos for bos in declared["bos"] if bos != same]
    choices = [list(dict.fromkeys((was, *declared[axis]))) for axis, was in base.items()]
    for chosen in itertools.product(*choices):
        changes = {axis: value for axis, value in zip(base, chosen, strict=True) if value != base[axis]}
        if not changes:
            continue
        name = ", ".join(f"{axis} {value}" for axis, value in changes.items())
        yield name, _judged(specification, model, source, changes).under(changes)


def _other_estimand(
    specification: Specification, model: str | None, source: SampleSource
) -> Iterator[tuple[str, Variation]]:
    """Yield the claim about the other categories: these, or categories like these, if it is about either."""
    other = other_statistic(specification.test.statistic) if specification.test.over is not None else None
    if other is not None:
        over, statistic = other
        test = specification.test.model_copy(update={"over": over, "statistic": statistic})
        changes = {OVER: over.replace("_", " ")}
        yield (
            f"{OVER} {changes[OVER]}",
            judge_specification(replace(specification, test=test), model, source).under(changes),
        )


def _bos_as_tokenised(specification: Specification, model: str | None, source: SampleSource) -> str:
    """Return what the tokenizer does by default, ``with`` or ``without`` (so no variation), or empty if unknown."""
    if model is None or source.table is not None:
        return ""
    spec = passes_of(specification.test, specification.prompts)[0]
    meta = source.trace(subject_of(model, source, specification), spec).meta
    if meta["tokens"] != OWN_TOKENIZER:
        return ""
    return "with" if meta["first_token"] == FIRST_IS_BOS else "without"


def _judged(
    specification: Specification, model: str | None, source: SampleSource, changes: Mapping[str, str]
) -> Judgement:
    passes: dict[str, Any] = {axis: changes[axis] for axis in PASS_AXES if axis in changes}
    why_not = _out_of_reach(specification, model, source) if passes else ""
    if why_not:
        return Judgement(Verdict.NOT_MEASURED, specification.test.predicts, why_not)
    asked = {axis: changes[axis] for axis in TEST_AXES if axis in changes}
    if "statistic" in asked and specification.test.over is not None:
        asked["statistic"] = statistic_over(asked["statistic"], specification.test.over) or asked["statistic"]
    test = specification.test.model_copy(update=asked)
    return judge_specification(replace(specification, test=test, **passes), model, source)


def _out_of_reach(specification: Specification, model: str | None, source: SampleSource) -> str:
    """Return why a variation that needs another pass cannot be tried, or an empty string."""
    if source.table is not None:
        return f"{source.table.name} holds one pass: what another would give is not in it"
    registry = source.selection.registry
    groups = (specification.test.groups or {}).values()
    members = [model] if model is not None else [row.name for group in groups for row in group.select(registry)]
    large = [name for name in members if name in source.selection and not is_cheap(name, source.selection)]
    return f"{few(large)}: a pass of its own is made up to {CHEAP:,} parameters only" if large else ""
