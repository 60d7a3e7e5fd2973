"""The verdict calculus: the one place where a fit and a prediction become SUPPORTED, REFUTED or INCONCLUSIVE.

A one-sided prediction is held against one-sided bounds at alpha each way; a two-sided one is SUPPORTED by two one-sided
tests (the 1 - 2 alpha interval lies inside) and REFUTED when the 1 - alpha interval misses it. Under the statistic's
assumptions P(SUPPORTED when false) and P(REFUTED when true) are each at most alpha.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from refutable._util.text import plural
from refutable.errors import NotMeasured, RefutableError, Undecidable
from refutable.statistics import Fit, Statistic
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
        why: one line of evidence or reason.
        estimate: what was found, where something was.
        labels: what else must be said.
        variations: the claim under each declared variation.
        controls: the claim where it ought to fail, by the control's name.
        details: further evidence, by name, plain text.
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
        """Return the same with labels added, each once."""
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
            return Judgement(Verdict.NOT_MEASURED, predicts, str(error))
        case Undecidable():
            return Judgement(Verdict.INCONCLUSIVE, predicts, str(error))
    return Judgement(Verdict.ERROR, predicts, str(error))


def decide(fit: Fit, region: Region, alpha: float) -> Verdict:
    """Return the verdict on "the true value lies in the region"."""
    if region.one_sided:
        low, high = fit.lower(alpha), fit.upper(alpha)
        below = math.isinf(region.low)
        if region.covers(-math.inf if below else low, high if below else math.inf):
            return Verdict.SUPPORTED
        if region.misses(low if below else -math.inf, math.inf if below else high):
            return Verdict.REFUTED
        return Verdict.INCONCLUSIVE
    if region.covers(fit.lower(alpha), fit.upper(alpha)):
        return Verdict.SUPPORTED
    if region.misses(fit.lower(alpha / 2), fit.upper(alpha / 2)):
        return Verdict.REFUTED
    return Verdict.INCONCLUSIVE


def judge(fit: Fit, region: Region, alpha: float, statistic: Statistic, of: Sequence[str]) -> Judgement:
    """Hold a fit against a predicted region.

    Args:
        fit: the statistic fitted to the claim's sample.
        region: what the claim predicts.
        alpha: error probability each way.
        statistic: which statistic it is.
        of: the metrics it is of.
    """
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
    )
    open_yet = verdict is Verdict.INCONCLUSIVE
    details = outlook(fit, region, alpha, statistic.powerless) if open_yet else {}
    return Judgement(verdict, str(region), sentence(estimate, region, verdict), estimate, details=details)


def sentence(estimate: Estimate, region: Region, verdict: Verdict) -> str:
    """Return the evidence in one line: estimate, interval, n, prediction, and how they stand to each other."""
    name = f"{estimate.statistic} of {' and '.join(estimate.of)}"
    interval = f" {estimate.at_level}" if estimate.level is not None else ""
    relation = {
        Verdict.SUPPORTED: "lies inside",
        Verdict.REFUTED: "lies outside",
    }.get(verdict, "does not settle")
    return f"{name} = {estimate.value:.4g}{interval}, n = {estimate.n} {plural(estimate.unit)}: {relation} {region}"


def _p_value(fit: Fit, region: Region) -> float:
    low = region.low if region.low_closed else math.nextafter(region.low, math.inf)  # beyond an open end, not on it
    high = region.high if region.high_closed else math.nextafter(region.high, -math.inf)
    if math.isinf(region.low):
        return fit.p_value(high, "below")
    if math.isinf(region.high):
        return fit.p_value(low, "above")
    return max(fit.p_value(low, "above"), fit.p_value(high, "below"))


def _p_refuted(fit: Fit, region: Region) -> float:
    """Return the p-value of "the true value lies outside the region"; of two-sided ones, twice the nearer end's."""
    low = (
        region.low if not region.low_closed else math.nextafter(region.low, -math.inf)
    )  # beyond a closed end, not on it
    high = region.high if not region.high_closed else math.nextafter(region.high, math.inf)
    if math.isinf(region.low):
        return fit.p_value(high, "above")
    if math.isinf(region.high):
        return fit.p_value(low, "below")
    return min(1.0, 2 * min(fit.p_value(low, "below"), fit.p_value(high, "above")))
