"""The ratio of two means, by Fieller's theorem.

The mean of ratios weights all prompts equally. The ratio of means weights a prompt by its denominator, as does dividing
the rows of a table of mean norms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data, Side, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.sample import Sample
from refutable.statistics.shapes import Parts
from refutable.statistics.student import TFit, t_quantile

ROUNDING = 16 * np.finfo(np.float64).eps


@dataclass(frozen=True, slots=True)
class RatioFit:
    """Ratio of two means of paired values, with Fieller's bounds (1954, JRSS B 16).

    A ratio r is compatible with the data if the mean of (numerator - r denominator) is compatible with 0 by Student's
    t: the bounds are the roots of that quadratic. If the mean denominator cannot be told from 0, they are infinite.

    Attributes:
        numerator: mean of the numerators.
        denominator: mean of the denominators, positive.
        v_numerator: variance of the mean numerator.
        v_denominator: variance of the mean denominator.
        covariance: covariance of the two means.
    """

    numerator: float
    denominator: float
    v_numerator: float
    v_denominator: float
    covariance: float
    n: int
    unit: str
    method: str = "Fieller t"

    @property
    def value(self) -> float:
        """The ratio of the means."""
        return self.numerator / self.denominator

    def lower(self, tail: float) -> float:
        """Return Fieller's lower bound at error probability `tail`; -inf if there is none."""
        return self._bound(tail, -1)

    def upper(self, tail: float) -> float:
        """Return Fieller's upper bound at error probability `tail`; inf if there is none."""
        return self._bound(tail, 1)

    def _bound(self, tail: float, sign: int) -> float:
        t2 = t_quantile(tail, self.n - 1) ** 2
        a = self.denominator**2 - t2 * self.v_denominator
        b = self.numerator * self.denominator - t2 * self.covariance
        c = self.numerator**2 - t2 * self.v_numerator
        if a <= 0:
            return sign * math.inf
        return (b + sign * math.sqrt(max(b * b - a * c, 0.0))) / a

    def p_value(self, threshold: float, side: Side) -> float:
        """Return the one-sided p-value of the t test of the mean of (numerator - threshold denominator) against 0.

        It is never below that of "the mean denominator is 0", without which there is no bound.
        """
        difference, error = self._against(threshold)
        beyond = _in_errors(difference if side == "above" else -difference, error)
        sure = _in_errors(self.denominator, math.sqrt(self.v_denominator))
        return float(special.stdtr(self.n - 1, -min(beyond, sure)))

    def effect_size(self, threshold: float) -> float:
        """Return Cohen's d of (numerator - threshold denominator)."""
        difference, error = self._against(threshold)
        return _in_errors(difference, error * math.sqrt(self.n))

    def power(self, threshold: float, side: Side, tail: float, value: float, n: int) -> float:
        """Return how often the bound would lie beyond `threshold` if `value` were true and n units had this spread.

        By the t test of (numerator - threshold denominator), with the denominators as observed.
        """
        _, error = self._against(threshold)
        distance = (value - threshold) * self.denominator
        if error == 0:
            return 1.0 if (distance > 0 if side == "above" else distance < 0) else 0.0
        return TFit(distance, error, self.n - 1, error, self.n, self.unit).power(0.0, side, tail, distance, n)

    def _against(self, threshold: float) -> tuple[float, float]:
        squared = self.v_numerator - 2 * threshold * self.covariance + threshold**2 * self.v_denominator
        return self.numerator - threshold * self.denominator, math.sqrt(max(squared, 0.0))


def ratio_of_means(data: Data) -> RatioFit:
    """The mean numerator of a ratio over its mean denominator, by Fieller's theorem; `mean` is the mean of ratios."""
    above, below = (sample.values for sample in data.samples)
    name, n, unit = data.samples[0].of, len(above), data.samples[0].unit
    if n < 2:
        raise Undecidable(f"one value has no spread: a t bound needs at least 2 {unit}s, here {n}")
    if (below < 0).any() or not below.any():
        raise Undecidable(f"the denominators of {name} are not positive lengths: their ratio of means says nothing")
    left = _residuals(above, below)
    if np.abs(left).max() <= ROUNDING * np.abs(above).max():
        same = f"{above.mean() / below.mean():.6g}"
        raise Undecidable(f"all {n} ratios are {same}: without spread a t bound says nothing")
    covariance = np.cov(above, below, ddof=1) / n  # (2, 2)
    return RatioFit(
        numerator=float(above.mean()),
        denominator=float(below.mean()),
        v_numerator=float(covariance[0, 0]),
        v_denominator=float(covariance[1, 1]),
        covariance=float(covariance[0, 1]),
        n=n,
        unit=unit,
    )


def _residuals(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each numerator minus the ratio of means times its denominator; shape (n,)."""
    left: NDArray[np.float64] = above - above.mean() / below.mean() * below
    return left


def _in_errors(difference: float, error: float) -> float:
    return difference / error if error > 0 else math.copysign(math.inf, difference)


def _varies(data: Data) -> tuple[Sample, ...]:
    above, below = data.samples
    left = _residuals(above.values, below.values)
    return (replace(above, of=f"what is left of {above.of}", values=left),)


STATISTICS.add(
    Statistic(
        "ratio_of_means",
        (Assumption.INDEPENDENT, Assumption.LITTLE_SKEW),
        ratio_of_means,
        caveats=("what must not be skewed is numerator less ratio times denominator",),
        least=2,
        varies=_varies,
        takes=Parts(),
    ),
)
