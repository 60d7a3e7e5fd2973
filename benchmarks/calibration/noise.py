"""Noise of each shape that data may have, with its population values."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from refutable.statistics.assumptions import Shape

CATEGORIES = 5
ICC = 0.4
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
    return rng.normal(size=n)


def categories(n: int) -> NDArray[np.int64]:
    """Return the category of each of n units, in five categories of equal size."""
    return np.sort(np.arange(n) % CATEGORIES)


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
