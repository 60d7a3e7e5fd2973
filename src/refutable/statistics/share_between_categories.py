"""The share of a metric's variance between prompt categories (omega squared)."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy
from scipy import special

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data, Side, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.region import Region
from refutable.statistics.student import is_flat
from refutable.statistics.takes import Takes

LEAST = math.ulp(0.0)  # no data prove a share of exactly 0
CENTRAL = 1e8  # beyond this noncentrality only F's denominator varies


@dataclass(frozen=True, slots=True)
class BetweenFit:
    """A share of variance, omega squared, by the noncentral F distribution (Steiger, 2004, Psychological Methods 9).

    Attributes:
        f: the F ratio of a one-way analysis of variance; infinite if nothing varies inside the categories.
        k: number of categories.
        n: number of units.
    """

    f: float
    k: int
    n: int
    unit: str
    method: str = "one-way analysis of variance, noncentral F"

    @property
    def value(self) -> float:
        """Omega squared (Hays, 1963); 0 if categories differ by less than expected by chance."""
        if math.isinf(self.f):
            return 1.0
        between = (self.k - 1) * max(self.f - 1, 0.0)
        return between / (between + self.n)

    def lower(self, tail: float) -> float:
        """Return the lower bound at error probability `tail`; 0 if chance could explain the value."""
        return _share(noncentrality(self.f, self.k, self.n, 1 - tail), self.n)

    def upper(self, tail: float) -> float:
        """Return the upper bound at error probability `tail`; never quite 0."""
        return max(_share(noncentrality(self.f, self.k, self.n, tail), self.n), LEAST)

    def p_value(self, threshold: float, side: Side) -> float:
        """Return the one-sided p-value against `threshold`; no share is below 0 or above 1."""
        if threshold <= 0:
            return float(side == "below")
        if threshold >= 1:
            return float(side == "above")
        below = _below(self.f, self.k, self.n, _noncentral(threshold, self.n))
        return 1 - below if side == "above" else below

    def effect_size(self, threshold: float) -> None:
        """Return None: the share itself is the effect."""

    def power(self, threshold: float, side: Side, tail: float, value: float, n: int) -> float:
        """Return how often the bound would lie beyond `threshold` if `value` were these categories' true share."""
        if n <= self.k:
            return 0.0
        if threshold < 0 or threshold >= 1:
            return float((threshold < 0) == (side == "above"))
        true = _noncentral(min(max(value, 0.0), 1 - 1e-9), n)
        level = 1 - tail if side == "above" else tail
        critical = _quantile(level, self.k, n, _noncentral(threshold, n))
        missed = _below(critical, self.k, n, true)
        return 1 - missed if side == "above" else missed


def _share(noncentral: float, n: int) -> float:
    return 1.0 if math.isinf(noncentral) else noncentral / (noncentral + n)


def _noncentral(share: float, n: int) -> float:
    return n * share / (1 - share)


def _below(f: float, k: int, n: int, noncentral: float) -> float:
    """Return P(F <= f), as a Poisson mixture of central F distributions.

    SciPy's noncentral F is NaN at some points (1.17: 24.76 with 1 and 23 degrees of freedom and noncentrality 2475).
    """
    if math.isinf(f):
        return 1.0
    if noncentral > CENTRAL:
        return float(special.chdtrc(n - k, noncentral * (n - k) / ((k - 1) * f)))
    mean = noncentral / 2
    reach = 9 * math.sqrt(mean) + 30  # the rest is below rounding
    step = max(1, math.floor(math.sqrt(mean) / 6))  # the mixture is smooth: linear between nodes this near
    j = np.arange(max(0, math.floor(mean - reach)), math.ceil(mean + reach) + 1, step)
    weights = np.exp(special.xlogy(j, mean) - mean - special.gammaln(j + 1))
    x = (k - 1) * f / ((k - 1) * f + n - k)
    return float(weights @ special.betainc((k - 1) / 2 + j, (n - k) / 2, x) / weights.sum())


def _root(rises: Callable[[float], float], high: float) -> float:
    """Return where a function that rises through 0 does so, searching from 0 to `high` and on."""
    while rises(high) < 0:
        high *= 2
    return float(scipy.optimize.brentq(rises, 0.0, high, xtol=1e-12 * high))


@functools.lru_cache(maxsize=4096)
def _quantile(level: float, k: int, n: int, noncentral: float) -> float:
    """Return the quantile of F at this level."""
    return _root(lambda f: _below(f, k, n, noncentral) - level, 1 + noncentral / (k - 1))


@functools.lru_cache(maxsize=4096)
def noncentrality(f: float, k: int, n: int, level: float) -> float:
    """Return the noncentrality at which P(F <= f) is `level`; 0 if the probability is no higher even without any."""
    if math.isinf(f):
        return math.inf
    if _below(f, k, n, 0.0) <= level:
        return 0.0
    return _root(lambda x: level - _below(f, k, n, x), max(1.0, (k - 1) * f))


def share_between_categories(data: Data) -> BetweenFit:
    """The share of the variance over prompts that lies between their categories (omega squared).

    For these categories and their numbers of prompts; prompts without a category are left out. 0: all categories have
    the same mean; 1: nothing varies inside any.
    """
    (sample,) = data.samples
    groups = [sample.values[inside] for inside in sample.by_category().values()]
    n, k = sum(map(len, groups)), len(groups)
    if k < 2:
        raise Undecidable(f"a share between categories needs 2 of them, and these {sample.unit}s have {k}")
    if n == k:
        raise Undecidable(f"every category has one {sample.unit}: nothing varies inside it")
    if all(is_flat(group) for group in groups):
        raise Undecidable(f"{sample.of} does not vary inside any category: there is nothing to hold between against")
    means, sizes = np.array([group.mean() for group in groups]), np.array([len(group) for group in groups])
    between = float(sizes @ (means - sizes @ means / n) ** 2) / (k - 1)
    within = float(sum(((group - group.mean()) ** 2).sum() for group in groups)) / (n - k)
    return BetweenFit(between / within, k, n, sample.unit)


def _extremes(n: int, region: Region) -> tuple[BetweenFit, ...]:
    ends = BetweenFit(math.inf, 2, n, "prompt"), BetweenFit(0.0, 2, n, "prompt")
    if region.one_sided or region.low < 0 or region.high >= 1:
        return ends
    return (*ends, *(BetweenFit(_between(region, k, n), k, n, "prompt") for k in (2, 3, 5) if n > k))


def _between(region: Region, k: int, n: int) -> float:
    """Return the F at which "above the low end" is as sure as "below the high end": it proves both if any F does."""
    low, high = _noncentral(region.low, n), _noncentral(region.high, n)

    def surer(f: float) -> float:
        return _below(f, k, n, low) + _below(f, k, n, high) - 1

    return _root(surer, 1 + high / (k - 1))


STATISTICS.add(
    Statistic(
        "share_between_categories",
        (Assumption.INDEPENDENT_INSIDE, Assumption.EQUAL_SPREAD, Assumption.LITTLE_SKEW, Assumption.LIGHT_TAILS),
        share_between_categories,
        caveats=("it says nothing of other categories than these",),
        range=(0.0, 1.0),
        least=3,
        takes=Takes(by_category=True),
        extremes=_extremes,
    ),
)
