"""The arithmetic mean, with bounds that hold however often one looks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy
from scipy import special

from refutable._util.text import plural
from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.region import Region
from refutable.statistics.sides import Side
from refutable.statistics.skewness import in_errors, widening
from refutable.statistics.student import is_flat

EFFECTS = 0.2  # variance of the effects that are bet on, in variances of the values
SKEWED_AT = 0.05  # error probability at which skewness widens the bounds


@dataclass(frozen=True, slots=True)
class AnytimeFit:
    """A mean with the bounds of a t e-process (Lai, 1976, Annals of Statistics 4; Wang and Ramdas, 2023).

    Against "the mean is m", the likelihood of the values if it is m + d standard deviations is divided by that if it
    is m, averaged over the positive half of a normal law of d with variance 0.2, and over all scales alike. While the
    mean is m this ratio is a martingale from 1, whatever the standard deviation. By Ville's inequality it ever reaches
    1 / tail with probability at most tail; the bound is the m at which it does.

    Attributes:
        value: the mean.
        squares: sum of squared deviations from it.
        n: number of units.
        skewness: in its standard errors; it widens the bound on the side of the long tail.
    """

    value: float
    squares: float
    n: int
    unit: str
    skewness: float = 0.0
    method: str = "t e-process, at every look"

    def lower(self, tail: float) -> float:
        """Return the lower bound: it is ever above the true mean with probability at most `tail`."""
        return self.value - self._reach(tail, "above")

    def upper(self, tail: float) -> float:
        """Return the upper bound: it is ever below the true mean with probability at most `tail`."""
        return self.value + self._reach(tail, "below")

    def e_value(self, threshold: float, side: Side) -> float:
        """Return the e-value against "the mean is not on this side"."""
        distance = self.value - threshold if side == "above" else threshold - self.value
        log = self._log(distance / self._widened(side))
        return math.exp(log) if log < math.log(np.finfo(np.float64).max) else math.inf

    def p_value(self, threshold: float, side: Side) -> float:
        """Return the p-value that holds at every look: one over the e-value."""
        e = self.e_value(threshold, side)
        return min(1.0, 1 / e) if e > 0 else 1.0

    def effect_size(self, threshold: float) -> float | None:
        """Return Cohen's d; None without any spread."""
        sd = math.sqrt(self.squares / (self.n - 1))
        return (self.value - threshold) / sd if sd > 0 else None

    def _widened(self, side: Side) -> float:
        return widening(self.skewness if side == "below" else -self.skewness, SKEWED_AT, self.n)

    def _reach(self, tail: float, side: Side) -> float:
        """Return how far the bound lies from the mean; infinity if so few units prove nothing."""
        needed = -math.log(tail)
        if self._log(math.inf) < needed:
            return math.inf
        if self.squares == 0:
            return 0.0
        far = math.sqrt(self.squares / self.n)
        while self._log(far) < needed:
            far *= 2
        return self._widened(side) * float(
            scipy.optimize.brentq(lambda d: self._log(d) - needed, 0.0, far, xtol=1e-14 * far)
        )

    def _log(self, distance: float) -> float:
        """Return the logarithm of the e-value at a mean that lies this far on the other side of the threshold."""
        n, more = self.n, 1 + self.n * EFFECTS
        if math.isinf(distance) or self.squares == 0:
            sign = math.copysign(1.0, distance) if distance else 0.0
            ratio, t = more, sign * math.sqrt(n**2 * EFFECTS)
        else:
            about, left = self.squares + n * distance**2, self.squares + n * distance**2 / more
            ratio = about / left
            t = n * EFFECTS * distance / more / math.sqrt(left / n * EFFECTS / more)
        tail = float(special.stdtr(n, t))
        return -math.log(more) / 2 + n / 2 * math.log(ratio) + (math.log(2 * tail) if tail > 0 else -math.inf)


def mean_anytime(data: Data) -> AnytimeFit:
    """The arithmetic mean over units, with bounds that hold at every look, wherever one stops.

    Prompts may be added until the claim is decided: the verdicts of all looks together err with probability at most
    alpha. For one look at 25 units the bounds are about 1.7 times as wide as those of `mean`.
    """
    (sample,) = data.samples
    n, values = sample.n, sample.values
    if n < 2:
        raise Undecidable(f"one value has no spread: a t bound needs at least 2 {plural(sample.unit)}, here {n}")
    if is_flat(values):
        raise Undecidable(f"all {n} values are {values[0]:.6g}: without spread a t bound says nothing")
    mean = float(values.mean())
    left = values - mean
    return AnytimeFit(mean, float(left @ left), n, sample.unit, float(in_errors(values)))


def _extremes(n: int, region: Region) -> tuple[AnytimeFit, ...]:
    ends = region.extremes() if region.low < region.high else region.extremes()[:2]
    return tuple(AnytimeFit(end, 0.0, n, "prompt") for end in ends)


STATISTICS.add(
    Statistic(
        "mean_anytime",
        (Assumption.INDEPENDENT, Assumption.LITTLE_SKEW),
        mean_anytime,
        caveats=("units are looked at in an order that does not depend on their values",),
        least=2,
        extremes=_extremes,
        varies=lambda data: data.samples,
        powerless="it depends on how often one looks",
        anytime=True,
    ),
)
