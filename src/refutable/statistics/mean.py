"""The arithmetic mean, by Student's t."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data, Side, Statistic


@dataclass(frozen=True, slots=True)
class MeanFit:
    """Mean of independent values with a t bound on either side (Student, 1908)."""

    value: float
    sd: float
    n: int
    unit: str
    method: str = "t"

    @property
    def _standard_error(self) -> float:
        return self.sd / math.sqrt(self.n)

    def lower(self, tail: float) -> float:
        """Return the lower t bound at error probability `tail`."""
        return self.value - float(stats.t.isf(tail, self.n - 1)) * self._standard_error

    def upper(self, tail: float) -> float:
        """Return the upper t bound at error probability `tail`."""
        return self.value + float(stats.t.isf(tail, self.n - 1)) * self._standard_error

    def p_value(self, threshold: float, side: Side) -> float:
        """Return the one-sided p-value of the t test against `threshold`."""
        t = (self.value - threshold) / self._standard_error
        return float(stats.t.sf(t if side == "above" else -t, self.n - 1))

    def effect_size(self, threshold: float) -> float:
        """Return Cohen's d: distance from the threshold in standard deviations."""
        return (self.value - threshold) / self.sd


def is_flat(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether values along the first axis differ by no more than rounding; shape of the other axes.

    By their range, not by their standard deviation: that of a thousand times 0.1 is not 0.
    """
    flat: NDArray[np.bool_] = np.ptp(values, axis=0) <= 4 * np.finfo(np.float64).eps * np.abs(values).max(axis=0)
    return flat


def fit_values(values: NDArray[np.float64], unit: str) -> MeanFit:
    """Fit a mean to values of shape (n,).

    Raises:
        Undecidable: fewer than two values, or all of them equal.
    """
    n = int(values.shape[0])
    if n < 2:
        raise Undecidable(f"one value has no spread: a t bound needs at least 2 {unit}s, here {n}")
    if is_flat(values):
        raise Undecidable(f"all {n} values are {values[0]:.6g}: without spread a t bound says nothing")
    return MeanFit(float(np.mean(values)), float(np.std(values, ddof=1)), n, unit)


def mean(data: Data) -> MeanFit:
    """The arithmetic mean over units, with a t bound on either side."""
    (sample,) = data.samples
    return fit_values(sample.values, sample.unit)


STATISTICS.add(
    "mean",
    Statistic(
        "mean",
        ("units are independent", "their mean is near normal: no heavy tails, little skew at small n"),
        mean,
        spans="metric",
    ),
)
