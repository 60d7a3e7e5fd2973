"""Means with intervals as figures show them, by the statistics that claims use.

Intervals are two one-sided bounds at 5 % each, as a verdict's are: 90 % between them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data, Fit
from refutable.statistics.sample import Sample

TAIL = 0.05
LEVEL = "90 %"


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its bounds; None where there is no bound, and `method` says why."""

    value: float
    low: float | None
    high: float | None
    n: int
    unit: str
    method: str


def fitted(statistic: str, *samples: Sample) -> Interval | None:
    """Return a statistic's estimate of samples, or None if it cannot be fitted to them."""
    try:
        fit: Fit = STATISTICS[statistic].fit(Data(samples))
        low, high = _finite(fit.lower(TAIL)), _finite(fit.upper(TAIL))
    except Undecidable:
        return None
    return Interval(fit.value, low, high, fit.n, fit.unit, fit.method)


def mean_of(samples: Sequence[Sample]) -> Interval | None:
    """Return the mean of a subject's prompts, or None where a value is not finite.

    Of several freshly drawn sets of weights the seed is the unit, and a value is its prompts' mean. Of one set of
    weights it is the prompt, inside its category if there are categories, by Student's t.
    """
    values = [sample.values for sample in samples]
    if not all(np.isfinite(each).all() for each in values) or not min(len(each) for each in values):
        return None
    if len(samples) > 1:
        means = np.array([each.mean() for each in values])
        seeds = Sample(samples[0].of, means, "seed")
        return fitted("mean", seeds) or _bare(seeds)
    (sample,) = samples
    return fitted("stratified_mean", sample) or fitted("mean", sample) or _bare(sample)


def _bare(sample: Sample) -> Interval:
    return Interval(float(sample.values.mean()), None, None, sample.n, sample.unit, "no interval: too few units")


def _finite(bound: float) -> float | None:
    return float(bound) if math.isfinite(bound) else None
