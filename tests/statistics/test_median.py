"""The median's bounds, ties, effect and power: against numpy, exact binomials and every sample that could be drawn."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from refutable.statistics import STATISTICS, Data
from refutable.statistics.region import parse_region
from refutable.statistics.sample import Sample
from refutable.verdicts.falsifiability.reachable import feasibility

MEDIAN = STATISTICS["median"]


def fit(values):
    return MEDIAN.fit(Data((Sample("last_gain", np.asarray(values, dtype=float), "prompt"),)))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 10])
def test_the_value_is_numpys_median(n):
    x = np.random.default_rng(n).normal(3, 1, n)
    assert fit(x).value == pytest.approx(np.median(x))


@pytest.mark.parametrize("threshold", [0, 1, 2, 3, 4])
def test_a_value_on_the_threshold_speaks_for_either_side(threshold):
    x = np.array([1, 1, 2, 2, 2, 3, 3, 5])
    above, below = (
        stats.binomtest(int(c), 8, 0.5, "greater").pvalue for c in ((x >= threshold).sum(), (x <= threshold).sum())
    )
    assert fit(x).p_value(threshold, "above") == pytest.approx(above)
    assert fit(x).p_value(threshold, "below") == pytest.approx(below)


@pytest.mark.parametrize("n", [1, 2, 5, 6, 9, 20])
def test_its_bounds_turn_the_sign_test_round_at_levels_that_are_attained_exactly(n):
    found = fit(np.arange(n))
    for k in range(n // 2):
        tail = sum(math.comb(n, i) for i in range(k + 1)) / 2**n  # P(Bin(n, 1/2) <= k)
        assert found.p_value(k - 0.5, "above") == pytest.approx(tail, rel=1e-12)
        exactly, less = found.p_value(k - 0.5, "above"), tail * (1 - 1e-9)
        assert (found.lower(exactly), found.upper(exactly)) == (k, n - 1 - k)
        assert (found.lower(less), found.upper(less)) == ((k - 1, n - k) if k else (-math.inf, math.inf))


def test_the_effect_is_the_share_above_less_one_half():
    found = fit([1, 2, 3, 4])
    assert [found.effect_size(x) for x in (0, 1, 2, 2.5, 4)] == [0.5, 0.25, 0, 0, -0.5]


@pytest.mark.parametrize(("side", "sign"), [("above", 1), ("below", -1)])
@pytest.mark.parametrize("value", [1.5, 2.0, 2.5, 3.5, 20.0])
@pytest.mark.parametrize(("n", "tail"), [(4, 0.05), (5, 0.05), (5, 1 / 32), (5, 0.2)])
def test_power_is_the_share_of_all_samples_whose_bound_lies_beyond(side, sign, value, n, tail):
    law = np.array([0.0, 1.0, 2.0, 5.0])  # of median 1.5; moved to 2.5 or to 3.5, one of its values is the threshold 1
    found = fit(sign * law)
    drawn = [fit(x) for x in itertools.product(sign * (law - 1.5 + value), repeat=n)]
    seen = [one.lower(tail) > 1 if side == "above" else one.upper(tail) < -1 for one in drawn]
    assert found.power(sign * 1.0, side, tail, sign * value, n) == pytest.approx(np.mean(seen), abs=1e-12)


@pytest.mark.parametrize("x", [-1e6, -7.0, -0.5, 0.0, 0.5, 7.0, 1e6])
def test_what_can_be_decided_does_not_hang_on_where_the_threshold_lies(x):
    for region in (f"< {x}", f">= {x}", f"within [{x}, {x + 1}]"):
        assert feasibility(MEDIAN, parse_region(region), 0.05, 8) == ()
        assert feasibility(MEDIAN, parse_region(region), 0.05, 4)[0] == "hopeless"
