"""The verdict calculus: the one place where a fit and a prediction become SUPPORTED, REFUTED or INCONCLUSIVE.

A one-sided prediction is compared with one-sided bounds at alpha each way. A two-sided one is SUPPORTED by two
one-sided tests (the 1 - 2 alpha interval lies inside it) and REFUTED if the 1 - alpha interval misses it. Under the
statistic's assumptions, P(SUPPORTED when false) and P(REFUTED when true) are each at most alpha.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from refutable._util.text import plural, printable
from refutable.errors import NotMeasured, RefutableError, Undecidable
from refutable.statistics import Fit, FitAtEveryLook, Side, Statistic
from refutable.statistics.power import outlook
from refutable.statistics.region import Region
from refutable.verdicts.robustness import Control, Variation, Variations
from refutable.verdicts.verdict import Estimate, Verdict


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with its evidence.

    Attributes:
        verdict: one of the five.
        predicts: the prediction, in the claim's words.
        why: the evidence or the reason, in one line.
        estimate: what was found, if anything.
        labels: qualifications.
        variations: the claim under each declared variation.
        controls: the claim where it ought to fail, by the control's name.
        details: further evidence, by name, as plain text.
    """

    verdict: Verdict
    predicts: str
    why: str
    estimate: Estimate | None = None
    labels: tuple[str, ...] = ()
    variations: Variations = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)
    controls: Mapping[str, Control] = field(default_factory=dict)

    def labelled(self, *labels: str) -> Self:
        """Return a copy with labels added, without duplicates."""
        if not labels:
            return self
        return replace(self, labels=tuple(dict.fromkeys((*self.labels, *labels))))

    def under(self, changes: Mapping[str, str]) -> Variation:
        """Return it as a variation of the claim, under these changes."""
        return Variation(self.verdict, self.why, self.estimate, changes)


def undecided(error: RefutableError, predicts: str) -> Judgement:
    """Return the judgement of an error: NOT_MEASURED, INCONCLUSIVE or ERROR, with the reason."""
    match error:
        case NotMeasured():
            verdict = Verdict.NOT_MEASURED
        case Undecidable():
            verdict = Verdict.INCONCLUSIVE
        case _:
            verdict = Verdict.ERROR
    return Judgement(verdict, predicts, printable(str(error)))


def decide(fit: Fit, region: Region, alpha: float) -> Verdict:
    """Return the verdict on "the true value lies in the region"."""
    from_below, to_above = math.isinf(region.low), math.isinf(region.high)
    if region.covers(-math.inf if from_below else fit.lower(alpha), math.inf if to_above else fit.upper(alpha)):
        return Verdict.SUPPORTED
    tail = alpha if region.one_sided else alpha / 2
    if region.misses(-math.inf if to_above else fit.lower(tail), math.inf if from_below else fit.upper(tail)):
        return Verdict.REFUTED
    return Verdict.INCONCLUSIVE


def judge(fit: Fit, region: Region, alpha: float, statistic: Statistic, of: Sequence[str]) -> Judgement:
    """Compare a fit of a statistic of these metrics with a predicted region, at error probability alpha each way."""
    verdict = decide(fit, region, alpha)
    tail = alpha if region.one_sided or verdict is Verdict.SUPPORTED else alpha / 2
    estimate = Estimate(
        value=fit.value,
        low=fit.lower(tail),
        high=fit.upper(tail),
        level=1 - 2 * tail,
        n=fit.n,
        unit=fit.unit,
        p=_p_value(fit, region),
        effect_size=fit.effect_size(region.threshold),
        method=fit.method,
        statistic=statistic.name,
        of=tuple(of),
        p_refuted=_p_refuted(fit, region),
        **e_values(fit, region),
    )
    undecided = verdict is Verdict.INCONCLUSIVE
    details = outlook(fit, region, alpha, statistic.powerless) if undecided else {}
    return Judgement(verdict, str(region), sentence(estimate, region, verdict), estimate, details=details)


def p_values(fit: Fit, region: Region) -> tuple[float, float]:
    """Return the p-values of "the true value lies in the region" and of "it lies outside"."""
    return _p_value(fit, region), _p_refuted(fit, region)


def e_values(fit: Fit, region: Region) -> dict[str, float]:
    """Return the e-values of "the true value lies in the region" and of "it lies outside"; empty if the fit has none.

    Inside a two-sided region lies what is beyond both of its ends: the smaller of two e-values. Outside lies what is
    beyond either: their mean is an e-value.
    """
    if not isinstance(fit, FitAtEveryLook):
        return {}

    def beyond(threshold: float, side: Side) -> float:
        return min(fit.e_value(threshold, side), sys.float_info.max)

    low, high = _just_inside(region)
    ends: list[tuple[float, Side]] = [(low, "above"), (high, "below")]
    inside = min(beyond(end, side) for end, side in ends if math.isfinite(end))
    low, high = _just_outside(region)
    ends = [(low, "below"), (high, "above")]
    outside = [beyond(end, side) for end, side in ends if math.isfinite(end)]
    return {"e": inside, "e_refuted": sum(e / len(outside) for e in outside)}


def sentence(estimate: Estimate, region: Region, verdict: Verdict) -> str:
    """Return the evidence in one line: estimate, interval, n, prediction, and how they compare."""
    name = f"{estimate.statistic} of {' and '.join(estimate.of)}"
    interval = f" {estimate.at_level}" if estimate.level is not None else ""
    relations = {Verdict.SUPPORTED: "lies inside", Verdict.REFUTED: "lies outside"}
    relation = relations.get(verdict, "does not settle")
    return f"{name} = {estimate.value:.4g}{interval}, n = {estimate.n} {plural(estimate.unit)}: {relation} {region}"


def _p_value(fit: Fit, region: Region) -> float:
    low, high = _just_inside(region)
    if math.isinf(region.low):
        return fit.p_value(high, "below")
    if math.isinf(region.high):
        return fit.p_value(low, "above")
    return max(fit.p_value(low, "above"), fit.p_value(high, "below"))


def _p_refuted(fit: Fit, region: Region) -> float:
    """Return the p-value of "the true value lies outside the region"; if two-sided, twice that of the nearer end."""
    low, high = _just_outside(region)
    if math.isinf(region.low):
        return fit.p_value(high, "above")
    if math.isinf(region.high):
        return fit.p_value(low, "below")
    return min(1.0, 2 * min(fit.p_value(low, "below"), fit.p_value(high, "above")))


def _just_inside(region: Region) -> tuple[float, float]:
    """Return the ends, or the floats next to open ones: beyond an open end, not on it."""
    low = region.low if region.low_closed else math.nextafter(region.low, math.inf)
    return low, region.high if region.high_closed else math.nextafter(region.high, -math.inf)


def _just_outside(region: Region) -> tuple[float, float]:
    """Return the ends, or the floats next to closed ones: beyond a closed end, not on it."""
    low = math.nextafter(region.low, -math.inf) if region.low_closed else region.low
    return low, math.nextafter(region.high, math.inf) if region.high_closed else region.high
