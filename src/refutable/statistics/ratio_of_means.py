"""The ratio of two means, by Fieller's theorem.

The mean of ratios weights all prompts equally. The ratio of means weights a prompt by its denominator, as does dividing
the rows of a table of mean norms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.randomisation import Deals, sign_flips
from refutable.statistics.sample import Sample
from refutable.statistics.shapes import Parts
from refutable.statistics.sides import Side
from refutable.statistics.skewness import in_errors, t_p_value, widening
from refutable.statistics.student import TFit, fewest_signs, proofs, t_quantile

ROUNDING = 16 * np.finfo(np.float64).eps


@dataclass(frozen=True, slots=True)
class RatioFit:
    """Ratio of two means of paired values: Fieller's bounds (1954, JRSS B 16), no narrower than flipped signs allow.

    A ratio r + d is compatible with the data if the mean of (residual - d denominator) is compatible with 0, where
    residuals are numerators less r times denominators. By Student's t the bounds are r and the roots of that quadratic;
    if the mean denominator cannot be told from 0, they are infinite. Everything is computed from residuals, so that
    nothing cancels however near the ratios are to each other.

    Attributes:
        value: the ratio of the means, r.
        denominator: mean of the denominators, positive.
        v_residual: variance of the mean residual.
        v_denominator: variance of the mean denominator.
        covariance: covariance of these two means.
        beside: bounds by flipping the signs of residuals.
        skewness: that of the residuals in its standard errors, which widens the bound on one side; None for none.
    """

    value: float
    denominator: float
    v_residual: float
    v_denominator: float
    covariance: float
    n: int
    unit: str
    beside: Deals = field(compare=False, repr=False)
    skewness: float | None = None
    method: str = "Fieller t and flipped signs"

    @property
    def freedom(self) -> float:
        """Degrees of freedom."""
        return self.n - 1

    def lower(self, tail: float) -> float:
        """Return the lower bound at error probability `tail`; -inf if there is none."""
        return min(self._fieller(tail, "above"), self.beside.lower(tail))

    def upper(self, tail: float) -> float:
        """Return the upper bound at error probability `tail`; inf if there is none."""
        return max(self._fieller(tail, "below"), self.beside.upper(tail))

    def _fieller(self, tail: float, side: Side) -> float:
        sign = -1 if side == "above" else 1
        t2 = (t_quantile(tail, self.n - 1) * widening(self._toward(side), tail, self.n)) ** 2
        a = self.denominator**2 - t2 * self.v_denominator
        b = -t2 * self.covariance
        if a <= 0:
            return sign * math.inf
        return self.value + (b + sign * math.sqrt(b * b + a * t2 * self.v_residual)) / a

    def p_value(self, threshold: float, side: Side) -> float:
        """Return the one-sided p-value against `threshold`: the largest of three.

        The t test of the mean of (numerator - threshold denominator) against 0, the test by flipped signs, and the t
        test of "the mean denominator is 0", without which there is no bound.
        """
        difference, error = self._against(threshold)
        beyond = _in_errors(difference if side == "above" else -difference, error)
        sure = _in_errors(self.denominator, math.sqrt(self.v_denominator))
        p = t_p_value(min(beyond, sure), self.n - 1, self._toward(side), self.n)
        return max(p, self.beside.p_value(threshold, side))

    def effect_size(self, threshold: float) -> float:
        """Return Cohen's d of (numerator - threshold denominator)."""
        difference, error = self._against(threshold)
        return _in_errors(difference, error * math.sqrt(self.n))

    def power(self, threshold: float, side: Side, tail: float, value: float, n: int) -> float:
        """Return how often the bound would lie beyond `threshold` if `value` were true and n units had this spread.

        By the t test of (numerator - threshold denominator), with the denominators as observed.
        """
        if n < fewest_signs(tail):
            return 0.0
        _, error = self._against(threshold)
        distance = (value - threshold) * self.denominator
        if error == 0:
            return 1.0 if (distance > 0 if side == "above" else distance < 0) else 0.0
        t = TFit(distance, error, self.n - 1, error, self.n, self.unit, skewness=self.skewness)
        return t.power(0.0, side, tail, distance, n)

    def with_spread(self, factor: float) -> Self:
        """Return it as if its residuals were spread out by this factor."""
        return replace(self, v_residual=self.v_residual * factor**2, covariance=self.covariance * factor)

    def _toward(self, side: Side) -> float:
        if self.skewness is None:
            return -math.inf
        return self.skewness if side == "below" else -self.skewness

    def _against(self, threshold: float) -> tuple[float, float]:
        """Return the mean of (numerator - threshold denominator) and its standard error."""
        off = threshold - self.value
        squared = self.v_residual - 2 * off * self.covariance + off**2 * self.v_denominator
        return -off * self.denominator, math.sqrt(max(squared, 0.0))


def ratio_of_means(data: Data) -> RatioFit:
    """The mean numerator of a ratio over its mean denominator, by Fieller's theorem; `mean` is the mean of ratios."""
    above, below = (sample.values for sample in data.samples)
    name, n, unit = data.samples[0].of, len(above), data.samples[0].unit
    if n < 2:
        raise Undecidable(f"one value has no spread: a t bound needs at least 2 {unit}s, here {n}")
    if (below < 0).any() or not below.any():
        raise Undecidable(f"the denominators of {name} are not positive lengths: their ratio of means says nothing")
    ratio, left = _residuals(above, below)
    if np.abs(left).max() <= ROUNDING * np.abs(above).max():
        raise Undecidable(f"all {n} ratios are {ratio:.6g}: without spread a t bound says nothing")
    covariance = np.cov(left, below, ddof=1) / n  # (2, 2)
    flips = sign_flips(left, below)
    return RatioFit(
        value=ratio,
        denominator=float(below.mean()),
        v_residual=float(covariance[0, 0]),
        v_denominator=float(covariance[1, 1]),
        covariance=float(covariance[0, 1]),
        n=n,
        unit=unit,
        beside=Deals(ratio + flips.shifts, flips.same),
        skewness=float(in_errors(left)),
    )


def _residuals(above: NDArray[np.float64], below: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """Return the ratio of means, and each numerator minus that times its denominator, shape (n,)."""
    ratio = float(above.mean() / below.mean())
    left: NDArray[np.float64] = above - ratio * below
    off = float(left.mean() / below.mean())  # by how much rounding misplaced the ratio
    return ratio + off, left - off * below


def _in_errors(difference: float, error: float) -> float:
    return difference / error if error > 0 else math.copysign(math.inf, difference)


def _varies(data: Data) -> tuple[Sample, ...]:
    above, below = data.samples
    return (replace(above, of=f"what is left of {above.of}", values=_residuals(above.values, below.values)[1]),)


STATISTICS.add(
    Statistic(
        "ratio_of_means",
        (Assumption.INDEPENDENT, Assumption.LITTLE_SKEW),
        ratio_of_means,
        caveats=("what must not be skewed is numerator less ratio times denominator",),
        least=2,
        extremes=proofs,
        skewed_from=25,
        version=2,
        varies=_varies,
        takes=Parts(),
    ),
)
