"""Does one variable rise with another? By order alone; exact even for few units."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

from refutable._util.text import plural
from refutable.errors import Undecidable
from refutable.statistics import EVERY, STATISTICS, Data, Side, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.region import Region
from refutable.statistics.shapes import Paired

EXACT_PAIRS = 5000


@dataclass(frozen=True, slots=True)
class TrendFit:
    """Theil's slope with Sen's bounds (Sen, 1968, JASA 63): Kendall's test, inverted.

    If the slope is b, the order of y - b x is independent of that of x, and the number of rising pairs has an exact
    distribution (Kendall's, or Jonckheere's if several units share an x). A pair exactly on b counts both for "at least
    b" and for "at most b". A pair with equal y, as rounded values have, counts for neither and so against whatever is
    to be proved.

    Attributes:
        slopes: of all pairs of units that differ in x and in y, in ascending order.
        ties: how many units share each value of x.
        level: number of pairs that differ in x but not in y.
    """

    slopes: NDArray[np.float64]
    ties: tuple[int, ...]
    unit: str
    method: str = "Theil-Sen, exact Kendall"
    level: int = 0

    @property
    def n(self) -> int:
        """Number of units."""
        return sum(self.ties)

    @property
    def value(self) -> float:
        """The median slope over pairs."""
        return float(np.median(np.append(self.slopes, np.zeros(self.level))))

    def lower(self, tail: float) -> float:
        """Return the lower bound; minus infinity for too few units."""
        needed = _pairs_needed(self.ties, tail)
        return float(self.slopes[-needed]) if needed <= len(self.slopes) else -math.inf

    def upper(self, tail: float) -> float:
        """Return the upper bound; infinity for too few units."""
        needed = _pairs_needed(self.ties, tail)
        return float(self.slopes[needed - 1]) if needed <= len(self.slopes) else math.inf

    def p_value(self, threshold: float, side: Side) -> float:
        """Return the p-value of Kendall's test of "the slope is not on this side"."""
        speaking = self.slopes >= threshold if side == "above" else self.slopes <= threshold
        return float(_at_least(self.ties)[int(speaking.sum())])

    def effect_size(self, threshold: float) -> float:
        """Return Kendall's tau about a line of slope `threshold`: the share of rising minus that of falling pairs."""
        return float(np.sign(np.append(self.slopes, np.zeros(self.level)) - threshold).mean())


@lru_cache(maxsize=256)
def _at_least(ties: tuple[int, ...]) -> NDArray[np.float64]:
    """Return P(at least c pairs rise) for c = 0 ... number of pairs, if all orders are equally likely."""
    n = sum(ties)
    pairs = (n * n - sum(t * t for t in ties)) // 2
    if pairs > EXACT_PAIRS:
        variance = (n * (n - 1) * (2 * n + 5) - sum(t * (t - 1) * (2 * t + 5) for t in ties)) / 72
        z = (np.arange(pairs + 1) - 0.5 - pairs / 2) / math.sqrt(variance)
        return np.asarray(special.ndtr(-z))
    ways = np.zeros(pairs + 1, dtype=object)  # exact integers: the coefficients of the q-multinomial of `ties`
    ways[0] = 1
    for k in range(1, min(n, pairs) + 1):  # times (1 - q^k)
        ways[k:] = ways[k:] - ways[:-k]
    for k in (k for t in ties for k in range(1, min(t, pairs) + 1)):  # over (1 - q^k)
        for start in range(k):
            ways[start::k] = np.add.accumulate(ways[start::k])
    above = np.add.accumulate(ways[::-1])[::-1]
    return np.array([float(Fraction(int(w), int(above[0]))) for w in above])


def _pairs_needed(ties: tuple[int, ...], tail: float) -> int:
    """Return the fewest rising pairs that prove a rise; more than there are if none do."""
    at_least = _at_least(ties)
    proving = at_least <= tail
    return int(np.argmax(proving)) if proving[-1] else len(at_least)


def trend(data: Data) -> TrendFit:
    """The median slope of the first variable on the second over pairs of units: whether it rises, and how steeply.

    With `predicts: "> 0"` this is Kendall's rank test of a monotone trend, which is exact even for four models.
    """
    y, x = data.paired()
    if y.n < 2:
        raise Undecidable(f"a trend needs at least 2 {plural(y.unit)}, here {y.n}")
    _, ties = np.unique(x.values, return_counts=True)
    if len(ties) < 2:
        raise Undecidable(f"every {x.of} is {x.values[0]:.6g}: nothing can rise with a constant")
    i, j = np.triu_indices(y.n, 1)
    apart = x.values[i] != x.values[j]
    slopes = (y.values[i] - y.values[j])[apart] / (x.values[i] - x.values[j])[apart]
    differ = slopes[slopes != 0]
    return TrendFit(np.sort(differ), tuple(map(int, ties)), y.unit, level=len(slopes) - len(differ))


def _extremes(n: int, region: Region) -> tuple[TrendFit, ...]:
    n = min(n, 100)  # 100 units prove whatever can be proved
    return tuple(TrendFit(np.full(n * (n - 1) // 2, b), (1,) * n, "model") for b in region.extremes())


STATISTICS.add(
    Statistic(
        "trend",
        (Assumption.INDEPENDENT,),
        trend,
        caveats=(
            "what is left of a line is alike for every unit",
            "units that agree in the first variable, as rounded values do, prove nothing about each other",
        ),
        takes=Paired(),
        range=EVERY,
        least=2,
        extremes=_extremes,
        varies=lambda data: data.samples,
        version=2,
        powerless="it depends on how the units lie on both axes",
    ),
)
