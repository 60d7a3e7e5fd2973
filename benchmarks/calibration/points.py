"""Point estimates in bulk, along the last axis, for the percentile bootstrap and the notebook's rule."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special, stats

from benchmarks.calibration.noise import Values
from refutable.statistics.trimmed_mean import TRIM


def mean(x: Values) -> Values:
    return x.mean(axis=-1)


def geometric_mean(x: Values) -> Values:
    return np.exp(np.log(x).mean(axis=-1))


def trimmed_mean(x: Values) -> Values:
    return np.asarray(stats.trim_mean(x, TRIM, axis=-1))


def median(x: Values) -> Values:
    return np.median(x, axis=-1)


def share(x: Values) -> Values:
    """Return the share of values that agree (are 1) or lie below 0."""
    return ((x < 0) | (x == 1)).mean(axis=-1)


def layers(closed: bool) -> Callable[[Values], Values]:
    """Return the share of layers whose mean is below 0, or at most 0, from values (resamples, n, layers)."""
    return lambda x: (x.mean(axis=-2) <= 0 if closed else x.mean(axis=-2) < 0).mean(axis=-1)


def difference(x: Values, y: Values) -> Values:
    if not x.shape[-1] or not y.shape[-1]:
        return np.full(x.shape[:-1], np.nan)  # a group without units, of which nothing can be said
    return x.mean(axis=-1) - y.mean(axis=-1)


def ratio(x: Values, y: Values) -> Values:
    return x.mean(axis=-1) / y.mean(axis=-1)


def pearson(x: Values, y: Values) -> Values:
    x, y = x - x.mean(axis=-1, keepdims=True), y - y.mean(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):  # a constant resample has no correlation
        return (x * y).sum(axis=-1) / np.sqrt((x * x).sum(axis=-1) * (y * y).sum(axis=-1))


def spearman(x: Values, y: Values) -> Values:
    return pearson(stats.rankdata(x, axis=-1), stats.rankdata(y, axis=-1))


def slope(y: Values, x: Values) -> Values:
    centred = x - x.mean(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (centred * y).sum(axis=-1) / (centred * centred).sum(axis=-1)


def exponent(y: Values, x: Values) -> Values:
    return slope(np.log(y), np.log(x))


def normal_cdf(x: Values) -> Values:
    return np.asarray(special.ndtr(x))


def normal_to_heavy(x: Values) -> Values:
    """Return normal values transformed to the t distribution with 3 degrees of freedom."""
    return np.asarray(special.stdtrit(3, special.ndtr(x)))
