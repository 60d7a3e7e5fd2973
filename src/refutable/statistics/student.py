"""Estimates whose error follows Student's t, shared by all t statistics."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from refutable._util.text import plural
from refutable.errors import Undecidable
from refutable.statistics import Side

EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True)
class TFit:
    """A value with a t bound on either side (Student, 1908, Biometrika 6).

    Attributes:
        value: the point estimate.
        error: its standard error.
        freedom: degrees of freedom of that error.
        sd: standard deviation, the unit of effect sizes; 0 if there is none.
        n: number of units.
        unit: what one unit is.
        method: how the error is computed.
    """

    value: float
    error: float
    freedom: float
    sd: float
    n: int
    unit: str
    method: str = "t"

    def lower(self, tail: float) -> float:
        """Return the lower t bound at error probability `tail`."""
        return self.value - t_quantile(tail, self.freedom) * self.error

    def upper(self, tail: float) -> float:
        """Return the upper t bound at error probability `tail`."""
        return self.value + t_quantile(tail, self.freedom) * self.error

    def p_value(self, threshold: float, side: Side) -> float:
        """Return the one-sided p-value of the t test against `threshold`."""
        t = (self.value - threshold) / self.error
        return float(special.stdtr(self.freedom, -t if side == "above" else t))

    def effect_size(self, threshold: float) -> float | None:
        """Return Cohen's d, the distance from the threshold in standard deviations; None without any spread."""
        return (self.value - threshold) / self.sd if self.sd > 0 else None

    def power(self, threshold: float, side: Side, tail: float, value: float, n: int) -> float:
        """Return how often the bound would lie beyond `threshold` if `value` were true and n units had this spread.

        By the noncentral t distribution; each unit adds one degree of freedom.
        """
        freedom = self.freedom + n - self.n
        if freedom <= 0:
            return 0.0
        distance = (value - threshold) / (self.error * math.sqrt(self.n / n))
        distance = distance if side == "above" else -distance
        critical = t_quantile(tail, freedom)
        missed = float(special.nctdtr(freedom, distance, critical))
        return 1 - missed if math.isfinite(missed) else float(special.ndtr(distance - critical))


@functools.lru_cache(maxsize=4096)
def t_quantile(tail: float, freedom: float) -> float:
    """Return the value that a t variable exceeds with probability `tail`."""
    return -float(special.stdtrit(freedom, tail))


def is_flat(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether values along the first axis differ by no more than rounding; the result has the shape of the other axes.

    By their range, since rounding leaves the standard deviation of a thousand times 0.1 above 0.
    """
    low, high = values.min(axis=0), values.max(axis=0)
    flat: NDArray[np.bool_] = high - low <= 4 * EPS * np.maximum(np.abs(low), np.abs(high))
    return flat


def fit_values(values: NDArray[np.float64], unit: str) -> TFit:
    """Fit a mean to values of shape (n,).

    Raises:
        Undecidable: there are fewer than two values, or all are equal.
    """
    n = int(values.shape[0])
    if n < 2:
        raise Undecidable(f"one value has no spread: a t bound needs at least 2 {plural(unit)}, here {n}")
    if is_flat(values):
        raise Undecidable(f"all {n} values are {values[0]:.6g}: without spread a t bound says nothing")
    sd = float(np.std(values, ddof=1))
    return TFit(float(np.mean(values)), sd / math.sqrt(n), n - 1, sd, n, unit)
