"""Tests by randomisation, inverted: bounds that rest on a symmetry alone, whatever the distribution."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refutable.statistics.sides import Side

EXACT = 20_000
DRAWN = 9_999
HALF_DRAWN = 5_000
MOST_BLOCKS = 256


@dataclass(frozen=True, slots=True)
class Deals:
    """Every deal that is as likely as the observed one if a value is true.

    As the value supposed grows, each other deal comes to be at least as far above it as what was observed at one value.
    These values, sorted, are all that the test at any value needs, and its inverse too.

    Attributes:
        shifts: that value for every deal that changes something, in ascending order.
        same: number of deals that change nothing, including the observed one.
    """

    shifts: NDArray[np.float64]
    same: int

    @property
    def count(self) -> int:
        """Number of deals."""
        return len(self.shifts) + self.same

    def lower(self, tail: float) -> float:
        """Return the lower bound; minus infinity with too few deals."""
        skipped = self._skipped(tail)
        return -math.inf if skipped < 0 else float(self.shifts[skipped])

    def upper(self, tail: float) -> float:
        """Return the upper bound; infinity with too few deals."""
        skipped = self._skipped(tail)
        return math.inf if skipped < 0 else float(self.shifts[-1 - skipped])

    def _skipped(self, tail: float) -> int:
        return min(math.floor(tail * self.count * (1 + 1e-12)) - self.same, len(self.shifts) - 1)

    def p_value(self, threshold: float, side: Side) -> float:
        """Return the share of deals at least as far as the observed one, for the value most against the claim."""
        alike = (self.shifts < threshold if side == "above" else self.shifts > threshold).sum()
        return float((alike + self.same) / self.count)


def sign_flips(values: NDArray[np.float64], per: NDArray[np.float64] | None = None) -> Deals:
    """Return the deals of values that are symmetric about their mean: each may lie as far on its other side.

    If the mean is m, flipping the signs of some values less m makes their sum no smaller exactly if the mean of those
    values is at most m (Hartigan, 1969, JASA 64). Uses every subset of up to 14 values, else the empty one and 10,000
    drawn with a fixed seed, of 256 random blocks at most. Five values prove nothing at alpha below 1/32.

    Args:
        values: shape (n,).
        per: what each value is divided by, at least 0, for a ratio of two means; shape (n,). By default 1.
    """
    per = np.ones_like(values) if per is None else per
    order = np.lexsort((per, values))  # so that the order of units is of no account
    values, per = values[order], per[order]
    values, per = blocks(values), blocks(per)
    chosen = subsets(len(values))
    above, below = chosen @ values, chosen @ per
    with np.errstate(divide="ignore", invalid="ignore"):
        shifts = above / below
    shifts = shifts[~np.isnan(shifts)]
    return Deals(np.sort(shifts), len(chosen) - len(shifts))


def flips_about_mean(values: NDArray[np.float64]) -> Deals:
    """Return the sign flips of values whose mean is asked about, without losing the digits that they share."""
    centre = np.sort(values)[len(values) // 2]
    found = sign_flips(values - centre)
    return Deals(centre + found.shifts, found.same)


def resigned(value: float, parts: NDArray[np.float64]) -> Deals:
    """Return the values that a sum of independent parts, shape (n,), might have been off from, by random signs.

    Nearly exact where the parts are residuals over one less their leverage (the wild bootstrap; Wu, 1986, Annals of
    Statistics 14).
    """
    parts = blocks(np.sort(parts))
    signs = 2 * subsets(len(parts)) - 1
    return Deals(np.sort(value - signs @ parts), 1)


def p_of_flips(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the p-value of "this mean is at most 0" by flipped signs, for columns of sorted values, (n, columns)."""
    values = blocks(values)
    chosen = subsets(len(values))
    reached = chosen @ values <= 0  # (subsets, columns); the empty one always
    return np.asarray(reached.mean(axis=0))


def blocks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sums of values over 256 random blocks, of shape (256, ...); fewer values as they are."""
    if len(values) <= MOST_BLOCKS:
        return values
    order = np.random.default_rng(0).permutation(len(values))
    starts = np.linspace(0, len(values), MOST_BLOCKS, endpoint=False).astype(np.intp)
    summed: NDArray[np.float64] = np.add.reduceat(values[order], starts, axis=0)
    return summed


@functools.lru_cache(maxsize=8)
def subsets(n: int) -> NDArray[np.float64]:
    """Return which of n units each subset holds, as 0 and 1; shape (subsets, n), the first of them empty."""
    if 2**n <= EXACT:
        numbers: NDArray[np.int64] = np.arange(2**n)
        return ((numbers[:, None] >> np.arange(n)) & 1).astype(np.float64)
    drawn = np.random.default_rng(0).random((HALF_DRAWN, n)) < 0.5
    return np.vstack([np.zeros(n), drawn, drawn[:, ::-1]])  # the same for values in descending order
