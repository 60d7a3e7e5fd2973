"""The slope of one variable on another, and the exponent of a power law, by least squares."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from refutable.errors import Undecidable
from refutable.statistics import EVERY, STATISTICS, Data, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.shapes import Paired
from refutable.statistics.student import TFit, is_flat


def slope(data: Data) -> TFit:
    """The slope of the first variable on the second by least squares, with t bounds; their units' quotient."""
    y, x = (sample.values for sample in data.samples)
    return _line(y, x, data, "least squares, t")


def power_law_exponent(data: Data) -> TFit:
    """The exponent b of first = a second^b: the slope of the logarithms by least squares, with t bounds."""
    for sample in data.samples:
        if (sample.values <= 0).any():
            raise Undecidable(f"{sample.of} has values that are not positive: they have no logarithm")
    y, x = (np.log(sample.values) for sample in data.samples)
    return _line(y, x, data, "least squares of logarithms, t")


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
    if np.linalg.norm(left) <= 1e-12 * max(np.linalg.norm(y), np.finfo(np.float64).tiny):
        raise Undecidable(f"all {n} {first.unit}s lie on one line: without spread a t bound says nothing")
    error = math.sqrt(float(left @ left) / (n - 2) / squared)
    return TFit(found, error, n - 2, error * math.sqrt(n), n, first.unit, method)


CAVEATS = ("the spread about the line is the same along it", "the relation is a line")
STATISTICS.add(
    Statistic(
        "slope",
        (Assumption.INDEPENDENT, Assumption.LITTLE_SKEW),
        slope,
        caveats=CAVEATS,
        takes=Paired(),
        range=EVERY,
        least=3,
        varies=lambda data: data.samples,
    ),
)
STATISTICS.add(
    Statistic(
        "power_law_exponent",
        (Assumption.INDEPENDENT, Assumption.LITTLE_SKEW),
        power_law_exponent,
        caveats=(*CAVEATS, "both of the logarithms"),
        takes=Paired(),
        range=EVERY,
        least=3,
    ),
)
