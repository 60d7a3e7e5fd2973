"""Noise of each shape that data may have, with its population values."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from refutable.statistics.assumptions import Shape

CATEGORIES = 5
ICC = 0.4
FIFTH = 0.2  # of recorded last gains are of a category apart
TOGETHER, APART = (1.037, 0.045), (1.385, 0.13)  # mean and standard deviation of the other categories, and of that one
LAST_GAIN = (1 - FIFTH) * TOGETHER[0] + FIFTH * APART[0]
Values = NDArray[np.float64]


def noise(rng: np.random.Generator, shape: Shape, n: int, labels: NDArray[np.int64] | None = None) -> Values:
    """Return n values of a shape, with population mean 0, except for `UNANIMOUS`: mostly 1, rarely 0.

    `labels` gives each value's cluster for `CLUSTERED`; the default is five clusters of equal size.
    """
    if shape is Shape.SKEWED:
        return rng.lognormal(0, 1, n) - math.exp(0.5)
    if shape is Shape.HEAVY:
        return rng.standard_t(3, n)
    if shape is Shape.CLUSTERED:
        labels = categories(n) if labels is None else labels
        effects = rng.normal(size=labels.max() + 1)
        return math.sqrt(ICC) * effects[labels] + math.sqrt(1 - ICC) * rng.normal(size=n)
    if shape is Shape.UNANIMOUS:
        return (rng.random(n) >= dissent(n)).astype(float)
    if shape is Shape.TWO_ENDS:
        return rng.beta(0.1, 0.1, n) - 0.5
    if shape is Shape.ROUNDED:
        return np.round(rng.normal(size=n))
    if shape is Shape.ONE_HEAVY:
        values = rng.normal(size=n)
        values[rng.permutation(n)[:3]] = 50 * rng.choice([-1, 1], min(n, 3))
        return values
    if shape is Shape.REAL:
        apart = rng.random(n) < FIFTH
        return np.where(apart, rng.normal(*APART, n), rng.normal(*TOGETHER, n)) - LAST_GAIN
    return rng.normal(size=n)


def categories(n: int, number: int = CATEGORIES) -> NDArray[np.int64]:
    """Return the category of each of n units, in categories of equal size, by default five."""
    return np.sort(np.arange(n) % number)


def dissent(n: int) -> float:
    """Return the probability that a unit of `UNANIMOUS` data dissents: all n agree in 78 % of samples."""
    return 1 / (4 * n)


def mean_of(shape: Shape, n: int) -> float:
    """Return the population mean of `noise`."""
    return 1 - dissent(n) if shape is Shape.UNANIMOUS else 0.0


def median_of(shape: Shape) -> float:
    """Return the population median of `noise`."""
    return {Shape.SKEWED: 1 - math.exp(0.5), Shape.UNANIMOUS: 1.0}.get(shape, 0.0)


def sd_of(shape: Shape) -> float:
    """Return the population standard deviation of `noise`, except for `UNANIMOUS`."""
    return {Shape.SKEWED: float(stats.lognorm(1).std()), Shape.HEAVY: math.sqrt(3)}.get(shape, 1.0)


def trimmed_mean_of(shape: Shape, trim: float) -> float:
    """Return the population mean between the quantiles `trim` and 1 - `trim` of `noise`."""
    if shape is not Shape.SKEWED:
        return median_of(shape)
    law = stats.lognorm(1)
    low, high = law.ppf(trim), law.ppf(1 - trim)
    return float(law.expect(lambda x: x, lb=low, ub=high, conditional=True)) - math.exp(0.5)


def share_below_mean(shape: Shape) -> float:
    """Return P(noise < 0), or the probability of agreement for `UNANIMOUS`."""
    return float(stats.norm.cdf(0.5)) if shape is Shape.SKEWED else 0.5
