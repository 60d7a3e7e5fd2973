"""The geometric mean: the natural average of ratios such as gains."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data, Side, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.sample import Sample
from refutable.statistics.student import TFit, fit_values, is_flat, proofs


@dataclass(frozen=True, slots=True)
class GeometricMeanFit:
    """Exponential of a mean of logarithms; the bounds are that mean's, transformed.

    Attributes:
        logs: fitted to the logarithms of the values over `centre`, which keep what values near each other differ by.
        centre: a positive value among those of the sample.
    """

    logs: TFit
    centre: float
    method: str = "t and flipped signs of logarithms"

    @property
    def value(self) -> float:
        """The geometric mean."""
        return self._from_log(self.logs.value)

    @property
    def n(self) -> int:
        """Number of units."""
        return self.logs.n

    @property
    def unit(self) -> str:
        """What one unit is."""
        return self.logs.unit

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the spread of the logarithms."""
        return self.logs.freedom

    def lower(self, tail: float) -> float:
        """Return the lower bound at error probability `tail`."""
        return self._from_log(self.logs.lower(tail))

    def upper(self, tail: float) -> float:
        """Return the upper bound at error probability `tail`."""
        return self._from_log(self.logs.upper(tail))

    def p_value(self, threshold: float, side: Side) -> float:
        """Return the one-sided p-value; a threshold at or below zero is below every geometric mean."""
        if threshold <= 0:
            return 0.0 if side == "above" else 1.0
        return self.logs.p_value(self._to_log(threshold), side)

    def effect_size(self, threshold: float) -> float | None:
        """Return Cohen's d of the logarithms, or None if the threshold is not positive."""
        return self.logs.effect_size(self._to_log(threshold)) if threshold > 0 else None

    def power(self, threshold: float, side: Side, tail: float, value: float, n: int) -> float:
        """Return how often the bound would lie beyond `threshold` if `value` were true."""
        if threshold <= 0 or value <= 0:
            return 1.0 if (side == "above") == (threshold <= 0) else 0.0
        return self.logs.power(self._to_log(threshold), side, tail, self._to_log(value), n)

    def with_spread(self, factor: float) -> Self:
        """Return it as if its logarithms were spread out by this factor."""
        return replace(self, logs=self.logs.with_spread(factor))

    def _to_log(self, value: float) -> float:
        return float(log_over(value, self.centre))

    def _from_log(self, log: float) -> float:
        return self.centre * math.exp(log) if log + math.log(self.centre) < LARGEST else math.inf


def geometric_mean(data: Data) -> GeometricMeanFit:
    """The geometric mean over units: the exponential of the mean logarithm, whose bounds are as of `mean`."""
    (sample,) = data.samples
    if sample.n > 1 and is_flat(sample.values):
        raise Undecidable(f"all {sample.n} values are {sample.values[0]:.6g}: without spread a t bound says nothing")
    logs, centre = logarithms(sample)
    return GeometricMeanFit(fit_values(logs.values, logs.unit), centre)


def logarithms(sample: Sample) -> tuple[Sample, float]:
    """Return the logarithms of the values over one of them, and that one.

    Raises:
        Undecidable: a value is not positive.
    """
    if (sample.values <= 0).any():
        raise Undecidable(f"{sample.of} has values that are not positive: they have no logarithm")
    centre = float(np.sort(sample.values)[sample.n // 2]) if sample.n else 1.0
    return replace(sample, of=f"log {sample.of}", values=log_over(sample.values, centre)), centre


def log_over(values: ArrayLike, centre: float) -> NDArray[np.float64]:
    """Return log(values / centre), exact also where they are nearly equal."""
    x = np.asarray(values, dtype=np.float64)
    near = np.abs(x - centre) < centre / 2
    return np.where(near, np.log1p(np.where(near, x - centre, 0.0) / centre), np.log(x) - math.log(centre))


LARGEST = math.log(sys.float_info.max)

STATISTICS.add(
    Statistic(
        "geometric_mean",
        (Assumption.INDEPENDENT, Assumption.LITTLE_SKEW),
        geometric_mean,
        caveats=("it is the logarithms that must not be skewed",),
        least=2,
        extremes=proofs,
        varies=lambda data: tuple(logarithms(sample)[0] for sample in data.samples),
        skewed_from=25,
        version=2,
    ),
)
