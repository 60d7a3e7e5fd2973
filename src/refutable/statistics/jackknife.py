"""How far a correlation moves when one unit is left out: its error, whatever the distribution (Tukey, 1958)."""

from __future__ import annotations

import math

import numpy as np
import scipy
from numpy.typing import NDArray

Values = NDArray[np.float64]
ROWS = 256  # units left out at a time
NOTHING = 1e-12  # share of the spread that is rounding
LITTLE = 1e-4  # share of the spread from which what is left of it by subtraction is exact to 12 digits


def error_of_z(without: Values) -> float:
    """Return the jackknife error of Fisher's z from the correlations without each unit or cluster, shape (n,).

    Infinite if leaving one out leaves nothing to correlate (NaN).
    """
    if not np.isfinite(without).all():
        return math.inf
    z = np.arctanh(np.clip(without, -1 + 1e-15, 1 - 1e-15))
    return math.sqrt((len(z) - 1) / len(z) * float(((z - z.mean()) ** 2).sum()))


def pearson_without(x: Values, y: Values, leverage: Values) -> Values:
    """Return Pearson's r of residuals from what is held fixed without each unit, by what it takes with it.

    Args:
        x: residuals of one variable, shape (n,).
        y: residuals of the other.
        leverage: each unit's on what is held fixed: 1 / n if that is the mean alone.
    """
    share = np.where(leverage < 1 - NOTHING, 1 / np.maximum(1 - leverage, NOTHING), 0.0)
    xx, yy, xy = (float(a @ b) - a * b * share for a, b in ((x, x), (y, y), (x, y)))
    return _ratio(xy, xx, yy, float(x @ x), float(y @ y))


def pearson_without_each(x: Values, y: Values, groups: NDArray[np.intp]) -> Values:
    """Return Pearson's r of two variables, shape (n,), without each group of units, shape (groups,).

    From what each group has of the sums of squares about the mean; anew from the others where they have next to none.
    """
    count = int(groups.max()) + 1
    x, y = x - x.mean(), y - y.mean()
    left = len(x) - np.bincount(groups, minlength=count)  # (groups,)
    sums = [np.bincount(groups, v, count) for v in (x, y)]
    parts = {}
    for name, (i, j) in {"xx": (0, 0), "yy": (1, 1), "xy": (0, 1)}.items():
        products = (x, y)[i] * (x, y)[j]
        others = products.sum() - np.bincount(groups, products, count)
        parts[name] = others - sums[i] * sums[j] / np.maximum(left, 1)
    whole_x, whole_y = float(x @ x), float(y @ y)
    little = (parts["xx"] <= LITTLE * whole_x) | (parts["yy"] <= LITTLE * whole_y)
    for group in np.flatnonzero(little & (left > 0)):
        a, b = (v[groups != group] - v[groups != group].mean() for v in (x, y))
        parts["xx"][group], parts["yy"][group], parts["xy"][group] = a @ a, b @ b, a @ b
    return _ratio(parts["xy"], parts["xx"], parts["yy"], whole_x, whole_y)


def spearman_without(x: Values, y: Values) -> Values:
    """Return Spearman's rho without each unit, the others ranked anew, from the ranks of two variables, shape (n,)."""
    found = []
    for rows in np.array_split(np.arange(len(x)), math.ceil(len(x) / ROWS)):
        a, b = _ranks_of_others(x, rows), _ranks_of_others(y, rows)
        xx, yy, xy = (np.einsum("ij,ij->i", p, q) for p, q in ((a, a), (b, b), (a, b)))
        found.append(_ratio(xy, xx, yy, float(xx.max()), float(yy.max())))
    return np.concatenate(found)


def spearman_within_without(x: Values, y: Values, groups: NDArray[np.intp]) -> Values:
    """Return Spearman's rho of two variables' deviations from the means of groups without each unit, shape (n,)."""
    n = len(x)
    others = ~np.eye(n, dtype=bool)
    ranks = [scipy.stats.rankdata(_deviations(v, groups)[others].reshape(n, n - 1), axis=1) for v in (x, y)]
    a, b = (v - v.mean(axis=1, keepdims=True) for v in ranks)
    xx, yy, xy = ((p * q).sum(axis=1) for p, q in ((a, a), (b, b), (a, b)))
    return _ratio(xy, xx, yy, float(xx.max()), float(yy.max()))


def _deviations(v: Values, groups: NDArray[np.intp]) -> Values:
    """Return each unit's deviation from its group's mean where one unit is left out; shape (left out, units)."""
    sizes, sums = np.bincount(groups), np.bincount(groups, v)
    left = v - (sums / sizes)[groups]
    together = groups[:, None] == groups  # (n, n)
    moved = left / np.maximum(sizes[groups] - 1, 1)  # by how much the mean falls without the unit
    return np.where(together, left + moved[:, None], left)


def _ranks_of_others(ranks: Values, rows: NDArray[np.intp]) -> Values:
    """Return every unit's rank without each of `rows` about its mean, 0 for the one left out; shape (rows, n)."""
    own = ranks[rows, None]
    others: Values = ranks - (1 + np.sign(ranks - own)) / 2 - len(ranks) / 2  # the mean of n - 1 ranks is n / 2
    others[np.arange(len(rows)), rows] = 0.0
    return others


def _ratio(xy: Values, xx: Values, yy: Values, most_x: float, most_y: float) -> Values:
    """Return the correlations, NaN where nothing of a variable is left."""
    spread = (xx > NOTHING * most_x) & (yy > NOTHING * most_y)
    product = np.sqrt(np.where(spread, xx * yy, 1.0))
    return np.where(spread, np.clip(xy / product, -1.0, 1.0), math.nan)
