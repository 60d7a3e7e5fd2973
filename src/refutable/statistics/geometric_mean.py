"""The geometric mean: the natural average of ratios such as gains."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, replace

import numpy as np

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data, Side, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.sample import Sample
from refutable.statistics.student import TFit, fit_values, is_flat


@dataclass(frozen=True, slots=True)
class GeometricMeanFit:
    """Exponential of a mean of logarithms; the bounds are that mean's t bounds, transformed."""

    logs: TFit
    method: str = "t on logarithms"

    @property
    def value(self) -> float:
        """The geometric mean."""
        return math.exp(self.logs.value)

    @property
    def n(self) -> int:
        """Number of units."""
        return self.logs.n

    @property
    def unit(self) -> str:
        """What one unit is."""
        return self.logs.unit

    def lower(self, tail: float) -> float:
        """Return the lower bound at error probability `tail`."""
        return _exp(self.logs.lower(tail))

    def upper(self, tail: float) -> float:
        """Return the upper bound at error probability `tail`."""
        return _exp(self.logs.upper(tail))

    def p_value(self, threshold: float, side: Side) -> float:
        """Return the one-sided p-value; a threshold at or below zero is below every geometric mean."""
        if threshold <= 0:
            return 0.0 if side == "above" else 1.0
        return self.logs.p_value(math.log(threshold), side)

    def effect_size(self, threshold: float) -> float | None:
        """Return Cohen's d of the logarithms, or None if the threshold is not positive."""
        return self.logs.effect_size(math.log(threshold)) if threshold > 0 else None

    def power(self, threshold: float, side: Side, tail: float, value: float, n: int) -> float:
        """Return how often the bound would lie beyond `threshold` if `value` were true."""
        if threshold <= 0 or value <= 0:
            return 1.0 if (side == "above") == (threshold <= 0) else 0.0
        return self.logs.power(math.log(threshold), side, tail, math.log(value), n)


def geometric_mean(data: Data) -> GeometricMeanFit:
    """The geometric mean over units: the exponential of the mean logarithm, with t bounds."""
    (sample,) = data.samples
    if (sample.values <= 0).any():
        raise Undecidable(f"{sample.of} has values that are not positive: they have no logarithm")
    if sample.n > 1 and is_flat(sample.values):  # tested on the values, since their logarithms may be near 0
        raise Undecidable(f"all {sample.n} values are {sample.values[0]:.6g}: without spread a t bound says nothing")
    return GeometricMeanFit(fit_values(np.log(sample.values), sample.unit))


def _logarithms(data: Data) -> tuple[Sample, ...]:
    (sample,) = data.samples
    return (replace(sample, of=f"log {sample.of}", values=np.log(sample.values)),)


def _exp(x: float) -> float:
    return math.exp(x) if x < math.log(sys.float_info.max) else math.inf


STATISTICS.add(
    Statistic(
        "geometric_mean",
        (Assumption.INDEPENDENT, Assumption.LITTLE_SKEW),
        geometric_mean,
        caveats=("it is the logarithms that must not be skewed",),
        least=2,
        varies=_logarithms,
    ),
)
