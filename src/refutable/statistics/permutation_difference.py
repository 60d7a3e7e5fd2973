"""The difference between two small groups of models, by exact permutation."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from refutable.errors import Undecidable
from refutable.statistics import EVERY, STATISTICS, Data, Side, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.randomisation import DRAWN, EXACT, Deals
from refutable.statistics.region import Region
from refutable.statistics.shapes import Groups

MOST_MOVES = 4_000_000  # numbers in a table of drawn deals


@dataclass(frozen=True, slots=True)
class PermutationFit:
    """Difference of two means, first minus second, with the permutation test inverted (Pitman, 1937).

    If the groups differ by a shift d alone, then once d is subtracted from the first group every deal of the models
    into two groups is equally likely. A deal that exchanges some of the first group for as many of the second has at
    least the observed difference exactly when d is at least the mean of the former minus that of the latter.

    Attributes:
        value: the difference of the means.
        deals: that mean difference for every other deal.
        sd: pooled standard deviation, for the effect size.
        n: number of units in both groups.
    """

    value: float
    deals: Deals
    sd: float
    n: int
    unit: str
    method: str

    def lower(self, tail: float) -> float:
        """Return the lower bound; minus infinity with too few permutations."""
        return self.deals.lower(tail)

    def upper(self, tail: float) -> float:
        """Return the upper bound; infinity with too few permutations."""
        return self.deals.upper(tail)

    def p_value(self, threshold: float, side: Side) -> float:
        """Return the share of deals with at least the observed difference, for the shift most against the claim."""
        return self.deals.p_value(threshold, side)

    def effect_size(self, threshold: float) -> float | None:
        """Return Cohen's d with the pooled standard deviation; None without spread."""
        return (self.value - threshold) / self.sd if self.sd > 0 else None


def permutation_difference(data: Data) -> PermutationFit:
    """Mean of the first group of models minus that of the second, by permutation; one value per model.

    Uses every deal if there are at most 20,000, else the observed one and 9,999 drawn with a fixed seed (1,999 or more
    beyond 400 models).
    """
    first, second = data.samples
    x, y, unit = first.values, second.values, first.unit
    if not len(x) or not len(y):
        raise Undecidable(f"groups of {len(x)} and {len(y)} {unit}s: each needs at least 1")
    spread = [np.var(v, ddof=1) for v in (x, y) if len(v) > 1]
    sd = float(np.sqrt(np.mean(spread))) if spread else 0.0
    drawn = "" if math.comb(len(x) + len(y), len(x)) <= EXACT else f", {_drawn(len(x) + len(y))} deals drawn"
    return PermutationFit(
        float(x.mean() - y.mean()), exchanges(x, y), sd, len(x) + len(y), unit, f"exact permutation{drawn}"
    )


def exchanges(x: NDArray[np.float64], y: NDArray[np.float64]) -> Deals:
    """Return the deals of the units of two groups, of shape (n1,) and (n2,), that differ by a shift alone."""
    moved = _deals(len(x), len(y))  # (deals, n): whether a unit leaves its group
    count = moved[:, : len(x)].sum(axis=1)
    centre = x[0]  # near the others, so that no digits are lost
    change = moved @ np.concatenate([x - centre, centre - y])
    return Deals(np.sort(change[count > 0] / count[count > 0]), int((count == 0).sum()))


def _drawn(n: int) -> int:
    return min(DRAWN, max(1_999, MOST_MOVES // n))


@lru_cache(maxsize=16)
def _deals(n1: int, n2: int) -> NDArray[np.float64]:
    """Return, for every deal of n1 + n2 units, 1 for each unit that changes groups; shape (deals, n1 + n2)."""
    n = n1 + n2
    if math.comb(n, n1) <= EXACT:
        chosen = np.array(list(itertools.combinations(range(n), n1)))
    else:
        rng = np.random.default_rng(0)
        drawn = np.argsort(rng.random((_drawn(n), n)), axis=1)[:, :n1]
        chosen = np.vstack([np.arange(n1), drawn])
    first = np.zeros((len(chosen), n), dtype=bool)
    np.put_along_axis(first, chosen, True, axis=1)
    moved: NDArray[np.float64] = (first != (np.arange(n) < n1)).astype(np.float64)
    return moved


def _extremes(n: int, region: Region) -> tuple[PermutationFit, ...]:
    others = min(math.comb(min(n, 30), min(n, 30) // 2), EXACT) - 1  # the most deals that groups of n models can have
    return tuple(PermutationFit(d, Deals(np.full(others, d), 1), 0.0, n, "model", "") for d in region.extremes())


STATISTICS.add(
    Statistic(
        "permutation_difference",
        (Assumption.INDEPENDENT, Assumption.EQUAL_SPREAD),
        permutation_difference,
        caveats=("families share data and code: their models are not independent",),
        takes=Groups(),
        range=EVERY,
        least=2,
        extremes=_extremes,
        varies=lambda data: data.samples,
        powerless="it depends on how the models of both groups lie",
    ),
)
