"""Estimates whose error follows Student's t, shared by all t statistics."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray
from scipy import special

from refutable._util.text import plural
from refutable.errors import Undecidable
from refutable.statistics.randomisation import Deals, flips_about_mean
from refutable.statistics.region import Region
from refutable.statistics.sides import Side
from refutable.statistics.skewness import in_errors, t_p_value, widening

EPS = float(np.finfo(np.float64).eps)


class Bounds(Protocol):
    """Bounds that rest on another assumption than those of t."""

    def lower(self, tail: float) -> float:
        """Return the lower bound at error probability `tail`."""

    def upper(self, tail: float) -> float:
        """Return the upper bound at error probability `tail`."""

    def p_value(self, threshold: float, side: Side) -> float:
        """Return the one-sided p-value against `threshold`."""


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
        beside: bounds that a t bound is never narrower than; None for t alone.
        skewness: that of the values in its standard errors, which widens the bound on one side; None for none.
        least: given an error probability, the fewest units that prove anything at it.
    """

    value: float
    error: float
    freedom: float
    sd: float
    n: int
    unit: str
    method: str = "t"
    beside: Bounds | None = field(default=None, compare=False, repr=False)
    skewness: float | None = None
    least: Callable[[float], int] | None = field(default=None, compare=False, repr=False)

    def lower(self, tail: float) -> float:
        """Return the lower bound at error probability `tail`; minus infinity if nothing is proved."""
        bound = self.value - self._quantile(tail, "above") * self.error
        return bound if self.beside is None else min(bound, self.beside.lower(tail))

    def upper(self, tail: float) -> float:
        """Return the upper bound at error probability `tail`; infinity if nothing is proved."""
        bound = self.value + self._quantile(tail, "below") * self.error
        return bound if self.beside is None else max(bound, self.beside.upper(tail))

    def p_value(self, threshold: float, side: Side) -> float:
        """Return the one-sided p-value against `threshold`: the larger of that of t and that of the test beside."""
        distance = self.value - threshold
        t = distance / self.error if self.error > 0 else math.copysign(math.inf, distance)
        p = t_p_value(t if side == "above" else -t, self.freedom, self._toward(side), self.n)
        return p if self.beside is None else max(p, self.beside.p_value(threshold, side))

    def _quantile(self, tail: float, side: Side) -> float:
        return t_quantile(tail, self.freedom) * widening(self._toward(side), tail, self.n)

    def _toward(self, side: Side) -> float:
        """Return the skewness toward the bound that proves a value to lie on this side."""
        if self.skewness is None:
            return -math.inf
        return self.skewness if side == "below" else -self.skewness

    def effect_size(self, threshold: float) -> float | None:
        """Return Cohen's d, the distance from the threshold in standard deviations; None without any spread."""
        return (self.value - threshold) / self.sd if self.sd > 0 else None

    def power(self, threshold: float, side: Side, tail: float, value: float, n: int) -> float:
        """Return how often the bound would lie beyond `threshold` if `value` were true and n units had this spread.

        By the noncentral t distribution; each unit adds one degree of freedom.
        """
        freedom = self.freedom + n - self.n
        if freedom <= 0 or (self.least is not None and n < self.least(tail)):
            return 0.0
        distance = (value - threshold) / (self.error * math.sqrt(self.n / n))
        distance = distance if side == "above" else -distance
        critical = t_quantile(tail, freedom) * widening(self._toward(side), tail, n)
        missed = float(special.nctdtr(freedom, distance, critical))
        return 1 - missed if math.isfinite(missed) else float(special.ndtr(distance - critical))

    def with_spread(self, factor: float) -> Self:
        """Return it as if its values were spread out by this factor."""
        return replace(self, error=self.error * factor, sd=self.sd * factor)


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
    """Fit a mean to values of shape (n,): a t bound, no narrower than that of flipped signs.

    It holds for normal values and for all that are symmetric about their mean, however long or short their tails. On
    the side where skewness makes it fail it is wider.

    Raises:
        Undecidable: there are fewer than two values, or all are equal.
    """
    n = int(values.shape[0])
    if n < 2:
        raise Undecidable(f"one value has no spread: a t bound needs at least 2 {plural(unit)}, here {n}")
    if is_flat(values):
        raise Undecidable(f"all {n} values are {values[0]:.6g}: without spread a t bound says nothing")
    mean = float(np.mean(values))
    sd = float(np.std(values, ddof=1))
    return TFit(
        mean,
        sd / math.sqrt(n),
        n - 1,
        sd,
        n,
        unit,
        "t and flipped signs",
        flips_about_mean(values),
        float(in_errors(values)),
        fewest_signs,
    )


def fewest_signs(tail: float) -> int:
    """Return the fewest values whose signs, all alike, prove a side at error probability `tail`."""
    return max(2, math.ceil(-math.log2(tail) - 1e-12))


def proofs(n: int, region: Region) -> tuple[TFit, ...]:
    """Return what n values that agree could prove, for `Statistic.extremes`; two bounds never meet in one point."""
    ends = region.extremes() if region.low < region.high else region.extremes()[:2]
    shifts = (np.full(2 ** min(n, 14) - 1, end) for end in ends)
    return tuple(TFit(end, 0.0, n - 1, 0.0, n, "prompt", "", Deals(s, 1)) for end, s in zip(ends, shifts, strict=True))
