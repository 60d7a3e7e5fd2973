"""The slope of one variable on another, and the exponent of a power law, by least squares."""

from __future__ import annotations

import itertools
import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from refutable.errors import Undecidable
from refutable.statistics import EVERY, STATISTICS, Data, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.geometric_mean import logarithms
from refutable.statistics.randomisation import DRAWN, EXACT, Deals
from refutable.statistics.region import Region
from refutable.statistics.shapes import Paired
from refutable.statistics.student import TFit, is_flat


def slope(data: Data) -> TFit:
    """The slope of the first variable on the second by least squares; its unit is the quotient of theirs.

    The bounds are those of t, which holds for normal errors, no narrower than by permutation, which holds for any
    errors that are alike along the line, also where one unit lies far from the others.
    """
    y, x = (sample.values for sample in data.samples)
    return _line(y, x, data, "least squares, t and permutation")


def power_law_exponent(data: Data) -> TFit:
    """The exponent b of first = a second^b: the slope of the logarithms by least squares, bounds as of `slope`."""
    y, x = (logarithms(sample)[0].values for sample in data.samples)
    return _line(y, x, data, "least squares of logarithms, t and permutation")


def _line(y: NDArray[np.float64], x: NDArray[np.float64], data: Data, method: str) -> TFit:
    first, second = data.paired()
    n = first.n
    if n < 3:
        raise Undecidable(f"two points are always on a line: a slope needs at least 3 {first.unit}s, here {n}")
    if is_flat(second.values):
        raise Undecidable(f"every {second.of} is {second.values[0]:.6g}: there is no slope on a constant")
    across, up = x - x.mean(), y - y.mean()
    squared = float(across @ across)
    found = float(across @ up) / squared
    left = up - found * across
    if np.abs(left).max() <= ROUNDING * max(np.abs(y).max(), np.abs(found * x).max()):
        raise Undecidable(f"all {n} {first.unit}s lie on one line: without spread a t bound says nothing")
    error = math.sqrt(float(left @ left) / (n - 2) / squared)
    deals = _permuted(across, left)
    deals = Deals(found + deals.shifts, deals.same)
    return TFit(found, error, n - 2, error * math.sqrt(n), n, first.unit, method, deals, None, _fewest)


def _permuted(x: NDArray[np.float64], left: NDArray[np.float64]) -> Deals:
    """Return the deals of residuals among values of x, both about their mean, shape (n,), as slopes beyond the found.

    Errors that are alike can be dealt out anew. If the slope is d more than the found one, the errors are left - d x,
    and a deal p of x has as steep a slope as the found one exactly when d is at least -p.left / (x.x - p.x).
    """
    dealt = x[_orders(len(x))]  # (deals, n)
    less = float(x @ x) - dealt @ x
    moves = less > ROUNDING * float(x @ x)
    return Deals(np.sort(-(dealt @ left)[moves] / less[moves]), int((~moves).sum()))


@lru_cache(maxsize=8)
def _orders(n: int) -> NDArray[np.intp]:
    """Return every order of n units, or the present one and 9,999 drawn with a fixed seed; shape (orders, n)."""
    if math.factorial(n) <= EXACT:
        return np.array(list(itertools.permutations(range(n))), dtype=np.intp)
    drawn = np.argsort(np.random.default_rng(0).random((min(DRAWN, max(1_999, 4_000_000 // n)), n)), axis=1)
    return np.vstack([np.arange(n), drawn])


def _fewest(tail: float) -> int:
    """Return the fewest units whose orders prove a slope at error probability `tail`."""
    return next(n for n in itertools.count(3) if math.factorial(n) * tail >= 1)


def _extremes(n: int, region: Region) -> tuple[TFit, ...]:
    ends = region.extremes() if region.low < region.high else region.extremes()[:2]
    others = math.factorial(min(n, 7)) - 1
    return tuple(TFit(b, 0.0, n - 2, 0.0, n, "model", "", Deals(np.full(others, b), 1)) for b in ends)


ROUNDING = 16 * np.finfo(np.float64).eps

CAVEATS = ("the spread about the line is the same along it", "the relation is a line")
STATISTICS.add(
    Statistic(
        "slope",
        (Assumption.INDEPENDENT,),
        slope,
        caveats=CAVEATS,
        takes=Paired(),
        range=EVERY,
        least=3,
        extremes=_extremes,
        varies=lambda data: data.samples,
        version=2,
    ),
)
STATISTICS.add(
    Statistic(
        "power_law_exponent",
        (Assumption.INDEPENDENT,),
        power_law_exponent,
        caveats=(*CAVEATS, "both of the logarithms"),
        takes=Paired(),
        range=EVERY,
        least=3,
        extremes=_extremes,
        varies=lambda data: tuple(logarithms(sample)[0] for sample in data.samples),
        version=2,
    ),
)
