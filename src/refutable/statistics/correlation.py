"""Correlation of two metrics over units: Pearson's r and Spearman's rho, by Fisher's z."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data, Side, Statistic


@dataclass(frozen=True, slots=True)
class CorrelationFit:
    """A correlation whose Fisher z is near normal.

    Attributes:
        value: the coefficient, in [-1, 1].
        error: standard error of its Fisher z.
        n: number of pairs.
    """

    value: float
    error: float
    n: int
    unit: str
    method: str

    def lower(self, tail: float) -> float:
        """Return the lower bound at error probability `tail`."""
        return math.tanh(_z(self.value) - float(stats.norm.isf(tail)) * self.error)

    def upper(self, tail: float) -> float:
        """Return the upper bound at error probability `tail`."""
        return math.tanh(_z(self.value) + float(stats.norm.isf(tail)) * self.error)

    def p_value(self, threshold: float, side: Side) -> float:
        """Return the one-sided p-value against `threshold`, by Fisher's z."""
        z = (_z(self.value) - _z(threshold)) / self.error
        return float(stats.norm.sf(z if side == "above" else -z))

    def effect_size(self, threshold: float) -> float:
        """Return Cohen's q: the difference of Fisher's z."""
        return _z(self.value) - _z(threshold)


def pearson(data: Data) -> CorrelationFit:
    """Pearson's correlation of two metrics over units, with Fisher's z interval."""
    x, y = _pair(data)
    r = float(stats.pearsonr(x, y).statistic)
    return CorrelationFit(r, 1 / math.sqrt(len(x) - 3), len(x), data.samples[0].unit, "Pearson, Fisher z")


def spearman(data: Data) -> CorrelationFit:
    """Spearman's rank correlation of two metrics over units; variance of Bonett and Wright (2000, Psychometrika 65)."""
    x, y = _pair(data)
    rho = float(stats.spearmanr(x, y).statistic)
    error = math.sqrt((1 + rho**2 / 2) / (len(x) - 3))
    return CorrelationFit(rho, error, len(x), data.samples[0].unit, "Spearman, Fisher z")


def _pair(data: Data) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = data.samples
    if first.n != second.n:
        raise Undecidable(f"{first.of} has {first.n} values and {second.of} {second.n}: they do not pair")
    if first.n < 4:
        raise Undecidable(f"Fisher's z needs at least 4 {first.unit}s, here {first.n}")
    for sample in (first, second):
        if np.ptp(sample.values) == 0:
            raise Undecidable(f"every {sample.of} is {sample.values[0]:.6g}: nothing can correlate with a constant")
    return first.values, second.values


def _z(r: float) -> float:
    return math.atanh(min(max(r, -1 + 1e-15), 1 - 1e-15))


STATISTICS.add("pearson", Statistic("pearson", ("pairs are independent", "near bivariate normal"), pearson, metrics=2))
STATISTICS.add("spearman", Statistic("spearman", ("pairs are independent",), spearman, metrics=2))
