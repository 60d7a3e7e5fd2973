"""The multiverse of a claim: its verdict under its declared variations, and under those that every claim has.

Declared ones are tried in every combination, each with the first token and without it wherever a claim is over tokens,
and with the first block and without it wherever it is a mean over layers. The forms in which a gauge is fixed stand
beside the claim as it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from refutable._util.text import few
from refutable.claims import MeasuredClaim, MeasuredTest
from refutable.evidence.plan import CHEAP, is_cheap, other_first_tokens, passes_of
from refutable.evidence.sample_source import SampleSource
from refutable.evidence.specification import Specification, attempt, judge_specification, subject_of
from refutable.models.subject import OWN_TOKENIZER
from refutable.statistics.over import Over, other_statistic, speaks_over, statistic_over
from refutable.traces.passes import WITH
from refutable.traces.trace import FIRST_IS_BOS
from refutable.verdicts.judge import Judgement
from refutable.verdicts.robustness import Variation
from refutable.verdicts.verdict import Verdict

OfSamples = TypeVar("OfSamples", bound=MeasuredClaim)

TEST_AXES = ("norm", "position", "statistic")
FIRST_AXES = ("first_token", "first_block")
PASS_AXES = ("dtype", "bos", "chat_template", "prompts")  # each value costs a pass of its own
AS_TOKENISED = "as tokenised"
OVER = "over"  # not an axis: another estimand, which the claim does not speak of


def variations_of(
    claim: MeasuredClaim,
    specification: Specification,
    model: str | None,
    source: SampleSource,
    forms: Iterable[Mapping[str, str]] = (),
) -> dict[str, Variation]:
    """Return the claim under every combination but its own, each with its estimate: a specification curve.

    Args:
        claim: whose variations.
        specification: the claim's own.
        model: None for a comparison of groups.
        source: of the samples.
        forms: what changes the claim into other forms (`gauge_forms`), tried by themselves.
    """
    found: dict[str, Variation] = {}
    estimands = _other_estimand(specification.test)
    for changes in itertools.chain(_combinations(claim, specification, model, source), forms, estimands):
        name = _name(changes)
        if name not in found:
            found[name] = _judged(specification, model, source, changes).under(changes)
    return found


def undeclared(
    claim: OfSamples, forms: Iterable[Mapping[str, str]], judge: Callable[[OfSamples, bool], Judgement]
) -> dict[str, Variation]:
    """Return the variations of a claim that declares none: one on several models at once, or on drawn weights.

    Args:
        claim: whose variations.
        forms: as `variations_of`.
        judge: judges the claim in another form; its norms of what modules read folded, or not.
    """
    own, found = set(passes_of(claim.test, claim.prompts)), {}
    for changes in (*filter(None, _firsts(claim.test)), *forms):
        test = _changed(claim.test, changes)
        if set(passes_of(test, claim.prompts)) <= own:
            varied = claim.model_copy(update={"test": test})
            judged = attempt(claim.prediction, partial(judge, varied, changes.get("scale") == "folded"))
        else:
            why_not = "a pass of its own is made for claims on one trained model at a time"
            judged = Judgement(Verdict.NOT_MEASURED, claim.prediction, why_not)
        found[_name(changes)] = judged.under(changes)
    return found


def fragile(variations: Mapping[str, Variation], verdict: Verdict) -> tuple[str, ...]:
    """Return the label ``fragile`` if a variation that was looked at has a different verdict; not another estimand."""
    same = (one for one in variations.values() if OVER not in one.changes)
    return ("fragile",) if any(one.differs(verdict) for one in same) else ()


def _name(changes: Mapping[str, str]) -> str:
    return ", ".join(f"{axis} {value}" for axis, value in changes.items())


def _combinations(
    claim: MeasuredClaim, specification: Specification, model: str | None, source: SampleSource
) -> Iterator[dict[str, str]]:
    """Yield what each combination changes, other than nothing."""
    base = {
        **{axis: str(getattr(claim.test, axis)) for axis in TEST_AXES},
        **{"dtype": source.selection.dtype, "bos": AS_TOKENISED},
        **{"chat_template": WITH if source.selection.chat_template else "without", "prompts": claim.prompts},
    }
    declared = {axis: getattr(claim.multiverse, axis) for axis in base}
    own = claim.test.statistic
    declared["statistic"] = [name for name in declared["statistic"] if _speaking(name, claim.test.over) != own]
    if declared["bos"]:
        same = _bos_as_tokenised(specification, model, source)
        declared["bos"] = [bos for bos in declared["bos"] if bos != same]
    choices = [list(dict.fromkeys((was, *declared[axis]))) for axis, was in base.items()]
    for chosen in itertools.product(*choices):
        changes = {axis: value for axis, value in zip(base, chosen, strict=True) if value != base[axis]}
        for firsts in _firsts(_changed(claim.test, changes)):
            if changes or firsts:
                yield {**changes, **firsts}


def _firsts(test: MeasuredTest) -> Iterator[dict[str, str]]:
    """Yield what changes a test into its forms with and without the first token and block, its own first."""
    tokens = [{}, *({"first_token": str(other.first_token)} for other in other_first_tokens(test))]
    blocks: list[dict[str, str]] = [{}]
    if test.over_layers:
        blocks.append({"first_block": "with" if test.first_block == "without" else "without"})
    for token, block in itertools.product(tokens, blocks):
        yield {**token, **block}


def _changed(test: MeasuredTest, changes: Mapping[str, str]) -> MeasuredTest:
    """Return a test under changes; a statistic is that of the categories that the test speaks of."""
    asked: dict[str, Any] = {axis: changes[axis] for axis in (*TEST_AXES, *FIRST_AXES) if axis in changes}
    if "statistic" in asked:
        asked["statistic"] = _speaking(asked["statistic"], test.over)
    other = other_statistic(test.statistic) if OVER in changes else None
    if other is not None:
        asked["over"], asked["statistic"] = other
    return test.model_copy(update=asked)


def _speaking(statistic: str, over: Over | None) -> str:
    """Return the version of a statistic that speaks of the test's categories; itself if it has none."""
    return statistic if over is None else statistic_over(statistic, over) or statistic


def _other_estimand(test: MeasuredTest) -> Iterator[dict[str, str]]:
    """Yield the change to the other categories, these or categories like these, of a test that is about either."""
    other = other_statistic(test.statistic) if test.over is not None else None
    if other is not None:
        yield {OVER: other[0].replace("_", " ")}


def _bos_as_tokenised(specification: Specification, model: str | None, source: SampleSource) -> str:
    """Return what the tokenizer does by default, ``with`` or ``without`` (so no variation), or empty if unknown."""
    if model is None or source.table is not None:
        return ""
    spec = passes_of(specification.test, specification.prompts)[0]
    meta = source.trace(subject_of(specification.points(model)[0], source, specification), spec).meta
    if not str(meta["tokens"]).startswith(OWN_TOKENIZER):
        return ""
    return "with" if meta["first_token"] == FIRST_IS_BOS else "without"


def _judged(
    specification: Specification, model: str | None, source: SampleSource, changes: Mapping[str, str]
) -> Judgement:
    passes: dict[str, Any] = {axis: changes[axis] for axis in PASS_AXES if axis in changes}
    test = _changed(specification.test, changes)
    others = set(passes_of(test, specification.prompts)) - set(passes_of(specification.test, specification.prompts))
    why_not = _of_another_estimand(test)
    why_not = why_not or (_out_of_reach(specification, model, source) if passes or others else "")
    if why_not:
        return Judgement(Verdict.NOT_MEASURED, specification.test.predicts, why_not)
    folded = changes.get("scale") == "folded"
    return judge_specification(replace(specification, test=test, folded=folded, **passes), model, source)


def _of_another_estimand(test: MeasuredTest) -> str:
    """Return why a varied test does not speak of the claim's categories, or an empty string."""
    if test.over is None or speaks_over(test.statistic, test.over):
        return ""
    units = "prompts" if test.over == "categories_like_these" else "categories"
    return (
        f"{test.statistic} has {units} as its units, and the claim is over {test.over.replace('_', ' ')}; there is no"
        " such version of it"
    )


def _out_of_reach(specification: Specification, model: str | None, source: SampleSource) -> str:
    """Return why a variation that needs another pass cannot be tried, or an empty string."""
    if source.table is not None:
        return f"{source.table.name} holds one pass: what another would give is not in it"
    registry = source.selection.registry
    groups = (specification.test.groups or {}).values()
    members = [model] if model is not None else [row.name for group in groups for row in group.select(registry)]
    large = [name for name in members if name in source.selection and not is_cheap(name, source.selection)]
    return f"{few(large)}: a pass of its own is made up to {CHEAP:,} parameters only" if large else ""
