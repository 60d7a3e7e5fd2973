"""The median, by counting, whatever the distribution."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data, Side, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.region import Region


@dataclass(frozen=True, slots=True)
class MedianFit:
    """A median between two order statistics (Thompson, 1936, Annals of Mathematical Statistics 7): the sign test."""

    ordered: NDArray[np.float64]  # ascending, shape (n,)
    unit: str
    method: str = "order statistics (sign test)"

    @property
    def n(self) -> int:
        """Number of units."""
        return int(self.ordered.shape[0])

    @property
    def value(self) -> float:
        """The observed median."""
        return float((self.ordered[(self.n - 1) // 2] + self.ordered[self.n // 2]) / 2)

    def lower(self, tail: float) -> float:
        """Return the largest value that is proved not to be above the median; minus infinity for too few units."""
        skipped = _skipped(self.n, tail)
        return float(self.ordered[skipped]) if skipped >= 0 else -math.inf

    def upper(self, tail: float) -> float:
        """Return the smallest value that is proved not to be below the median; infinity for too few units."""
        skipped = _skipped(self.n, tail)
        return float(self.ordered[-1 - skipped]) if skipped >= 0 else math.inf

    def p_value(self, threshold: float, side: Side) -> float:
        """Return the p-value of the sign test; values equal to the threshold do not speak against the claim."""
        against = self.ordered < threshold if side == "above" else self.ordered > threshold
        return float(special.bdtr(int(against.sum()), self.n, 0.5))

    def effect_size(self, threshold: float) -> float:
        """Return the share of units above the threshold less one half, in [-0.5, 0.5]."""
        return float((self.ordered > threshold).mean()) - 0.5

    def power(self, threshold: float, side: Side, tail: float, value: float, n: int) -> float:
        """Return how often the bound would lie beyond `threshold`, resampling these values moved to median `value`."""
        skipped = _skipped(n, tail)
        if skipped < 0:
            return 0.0
        moved = self.ordered - self.value + value
        beyond = np.count_nonzero(moved > threshold if side == "above" else moved < threshold)
        return float(special.bdtr(skipped, n, 1 - beyond / self.n))


@functools.lru_cache(maxsize=4096)
def _skipped(n: int, tail: float) -> int:
    """Return how many values may lie on the wrong side of a bound: the largest k with P(Bin(n, 1/2) <= k) <= tail."""
    if n == 0 or special.bdtr(0, n, 0.5) > tail:
        return -1
    guess = max(0, math.floor(special.bdtrik(tail, n, 0.5)) - 1)
    while special.bdtr(guess + 1, n, 0.5) <= tail:
        guess += 1
    return guess


def median(data: Data) -> MedianFit:
    """The median over units, by order statistics."""
    (sample,) = data.samples
    if sample.n == 0:
        raise Undecidable("no unit, no median")
    return MedianFit(np.sort(sample.values), sample.unit)


def _extremes(n: int, region: Region) -> tuple[MedianFit, ...]:
    return tuple(MedianFit(np.full(n, x), "prompt") for x in region.extremes())


STATISTICS.add(
    Statistic("median", (Assumption.INDEPENDENT,), median, extremes=_extremes, varies=lambda data: data.samples),
)
