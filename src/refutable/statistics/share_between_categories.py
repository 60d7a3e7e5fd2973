"""The share of a metric's variance that lies between prompt categories (omega squared)."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data, Side, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.region import Region
from refutable.statistics.student import is_flat
from refutable.statistics.takes import Takes

LEAST = math.ulp(0.0)  # no data show that categories have nothing to do with it
CENTRAL = 1e8  # a noncentrality beyond which F varies by its denominator alone


@dataclass(frozen=True, slots=True)
class BetweenFit:
    """A share of variance, omega squared, by the noncentral F distribution (Steiger, 2004, Psychological Methods 9).

    Attributes:
        f: the F ratio of a one-way analysis of variance; infinite where categories do not vary inside.
        k: number of categories.
        n: number of units.
        unit: what one unit is.
        method: how the bounds are made.
    """

    f: float
    k: int
    n: int
    unit: str
    method: str = "one-way analysis of variance, noncentral F"

    @property
    def value(self) -> float:
        """Omega squared (Hays, 1963); 0 where categories differ by less than chance would have it."""
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
        """Return how often the bound would lie beyond `threshold`, were `value` the true share, in these categories."""
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
    """Return how often F comes out no larger than this: a mixture of central ones, Poisson's the weights.

    SciPy's own is NaN here and there (1.17: 24.76 with 1 and 23 degrees of freedom and noncentrality 2475).
    """
    if math.isinf(f):
        return 1.0
    if noncentral > CENTRAL:
        return float(special.chdtrc(n - k, noncentral * (n - k) / ((k - 1) * f)))
    mean = noncentral / 2
    reach = 9 * math.sqrt(mean) + 30  # beyond it lies less than rounding
    step = max(1, math.floor(math.sqrt(mean) / 6))  # between nodes so near a smooth mixture is a straight line
    j = np.arange(max(0, math.floor(mean - reach)), math.ceil(mean + reach) + 1, step)
    weights = np.exp(special.xlogy(j, mean) - mean - special.gammaln(j + 1))
    x = (k - 1) * f / ((k - 1) * f + n - k)
    return float(weights @ special.betainc((k - 1) / 2 + j, (n - k) / 2, x) / weights.sum())


@functools.lru_cache(maxsize=4096)
def _quantile(level: float, k: int, n: int, noncentral: float) -> float:
    """Return the F that comes out no larger as often as `level`."""
    high = 1 + noncentral / (k - 1)
    while _below(high, k, n, noncentral) < level:
        high *= 2
    return float(optimize.brentq(lambda f: _below(f, k, n, noncentral) - level, 0.0, high, xtol=1e-12 * high))


@functools.lru_cache(maxsize=4096)
def noncentrality(f: float, k: int, n: int, level: float) -> float:
    """Return the noncentrality with which F comes out no larger than this as often as `level`; 0 where none does."""
    if math.isinf(f):
        return math.inf
    if _below(f, k, n, 0.0) <= level:
        return 0.0
    high = max(1.0, (k - 1) * f)
    while _below(f, k, n, high) > level:
        high *= 2
    return float(optimize.brentq(lambda x: _below(f, k, n, x) - level, 0.0, high, xtol=1e-12 * high))


def share_between_categories(data: Data) -> BetweenFit:
    """The share of the variance over prompts that lies between their categories (omega squared).

    Of the categories there are, with as many prompts in each; a prompt without a category is left out. 0: all have one
    mean; 1: nothing varies inside any.
    """
    (sample,) = data.samples
    labels = np.array(sample.clusters if sample.clusters else [""] * sample.n)
    groups = [sample.values[labels == name] for name in dict.fromkeys(filter(None, labels.tolist()))]
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
    """Return the F at which "above the low end" is as sure as "below the high end": it proves both if any does."""
    low, high = _noncentral(region.low, n), _noncentral(region.high, n)

    def surer(f: float) -> float:
        return _below(f, k, n, low) + _below(f, k, n, high) - 1

    most = 1 + high / (k - 1)
    while surer(most) < 0:
        most *= 2
    return float(optimize.brentq(surer, 0.0, most, xtol=1e-12 * most))


STATISTICS.add(
    Statistic(
        "share_between_categories",
        (
            Assumption.INDEPENDENT_INSIDE,
            Assumption.EQUAL_SPREAD,
            Assumption.LITTLE_SKEW,
            Assumption.LIGHT_TAILS,
        ),
        share_between_categories,
        caveats=("it says nothing of other categories than these",),
        range=(0.0, 1.0),
        least=3,
        takes=Takes(by_category=True),
        extremes=_extremes,
    ),
)
