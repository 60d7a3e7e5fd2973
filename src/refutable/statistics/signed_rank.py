"""Wilcoxon's signed-rank test, inverted: bounds for the centre of symmetry, whatever the tails."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from refutable.statistics.sides import Side

EXACT = 60


@dataclass(frozen=True, slots=True)
class SignedRank:
    """Walsh averages, of every unit with itself and with each other (Tukey, 1949): their number above the centre has
    the law of the signed-rank statistic (Wilcoxon, 1945, Biometrics 1). Those equal to it, as rounded values have,
    speak for neither side.

    Attributes:
        averages: in ascending order, shape (n (n + 1) / 2,).
        n: number of units.
    """

    averages: NDArray[np.float64]
    n: int

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> SignedRank:
        """Fit it to values of shape (n,)."""
        i, j = np.triu_indices(len(values))
        return cls(np.sort((values[i] + values[j]) / 2), len(values))

    def lower(self, tail: float) -> float:
        """Return the lower bound at error probability `tail`; minus infinity for too few units."""
        skipped = int(np.searchsorted(at_most(self.n), tail, side="right")) - 1
        return float(self.averages[skipped]) if skipped >= 0 else -math.inf

    def upper(self, tail: float) -> float:
        """Return the upper bound at error probability `tail`; infinity for too few units."""
        skipped = int(np.searchsorted(at_most(self.n), tail, side="right")) - 1
        return float(self.averages[-1 - skipped]) if skipped >= 0 else math.inf

    def p_value(self, threshold: float, side: Side) -> float:
        """Return the one-sided p-value against `threshold`."""
        against = self.averages < threshold if side == "above" else self.averages > threshold
        return float(at_most(self.n)[int(against.sum())])


@functools.lru_cache(maxsize=64)
def at_most(n: int) -> NDArray[np.float64]:
    """Return P(the signed-rank statistic of n units is at most k) for each k; beyond 60 units by the normal law."""
    pairs = n * (n + 1) // 2
    if n > EXACT:
        sd = math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
        return np.asarray(special.ndtr((np.arange(pairs + 1) + 0.5 - pairs / 2) / sd))
    law = np.zeros(pairs + 1)
    law[0] = 1.0
    for rank in range(1, n + 1):
        law[rank:] = (law[rank:] + law[: pairs + 1 - rank]) / 2
        law[:rank] /= 2
    return np.minimum(np.cumsum(law), 1.0)
