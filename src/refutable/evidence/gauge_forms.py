"""Gauge: which free choices a verdict depends on, and the claim's forms in which they are fixed.

A rewrite of the weights that leaves every logit alone may still change a metric (`metrics.Gauge`). What is then chosen
freely is the metric's gauge: a verdict of it says so, and stands beside the forms that no such rewrite changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from refutable.claims import MeasuredClaim, MeasuredTest
from refutable.metrics import GAUGES, METRICS, Gauge
from refutable.models.registry import ModelRegistry
from refutable.models.row import ModelRow
from refutable.traces.scale_folding import UNNORMED, UNSCALED
from refutable.verdicts.judge import Judgement
from refutable.verdicts.robustness import Variation

CHOSEN: Mapping[Gauge, str] = {
    "norm-scale": "module-norm",
    "mean-shift": "stream-mean",
    "value-output": "value-scale",
}
CENTRED, FOLDED = {"norm": "centred"}, {"scale": "folded"}


def with_gauge(judged: Judgement, claim: MeasuredClaim, models: Iterable[str], registry: ModelRegistry) -> Judgement:
    """Return a judgement on these models, if anything was looked at, labelled with its gauge, as ``gauge: NAME``."""
    if not judged.verdict.looked:
        return judged
    found = {gauge for row in rows_of(claim, models, registry) for gauge in gauges_of(claim.test, row)}
    return judged.labelled(*(f"gauge: {CHOSEN[gauge]}" for gauge in GAUGES if gauge in found))


def gauges_of(test: MeasuredTest, row: ModelRow) -> tuple[Gauge, ...]:
    """Return the rewrites that leave this model's logits alone and change a metric of a test."""
    metrics = [METRICS[name] for name in test.of]
    norms = {one.norm for one in test.readings}
    invariant = [m.invariant if norm == "raw" else m.invariant_centred for m in metrics for norm in norms]
    return tuple(g for g in GAUGES if not all(g in of for of in invariant) and _applies(g, row))


def gauge_forms(test: MeasuredTest, rows: Iterable[ModelRow]) -> Iterator[dict[str, str]]:
    """Yield what changes a test into each form in which a gauge is fixed, and into that in which all are.

    Centring is such a form only if the norms of all these models take the mean off and the test compares no norms.
    """
    found = [gauges_of(test, row) for row in rows]
    one_norm = len({one.norm for one in test.readings}) == 1
    centred = one_norm and bool(found) and all("mean-shift" in gauges for gauges in found)
    folded = any("norm-scale" in gauges for gauges in found)
    if centred:
        yield CENTRED
    if folded:
        yield FOLDED
    if centred and folded:
        yield {**CENTRED, **FOLDED}


def gauge_dependent(forms: Iterable[Mapping[str, str]], variations: Mapping[str, Variation], base: Judgement) -> bool:
    """Whether a form in which a gauge is fixed was looked at and came out differently from the claim as it is."""
    fixed = list(forms)
    return any(one.changes in fixed and one.differs(base.verdict) for one in variations.values())


def rows_of(claim: MeasuredClaim, models: Iterable[str], registry: ModelRegistry) -> list[ModelRow]:
    """Return the rows of the models that a claim reads: these, and those it compares them with."""
    groups = [row for selector in claim.groups.values() for row in selector.select(registry)]
    named = (*models, claim.other_model) if claim.other_model is not None else models
    return groups or [registry[model] for model in named]


def _applies(gauge: Gauge, row: ModelRow) -> bool:
    """Whether a rewrite leaves a model's logits alone: in post-norm blocks what a norm gives is the stream itself."""
    family = row.architecture
    if gauge == "value-output":
        return True
    if not family.is_additive(row.config):
        return False
    return family.norm == "LayerNorm" if gauge == "mean-shift" else family.model_type not in UNNORMED | UNSCALED
