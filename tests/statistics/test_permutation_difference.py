"""The permutation test of two groups: against every deal, in exact fractions, and its inverse at exact levels."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from refutable.statistics import STATISTICS, Data, permutation_difference
from refutable.statistics.region import parse_region
from refutable.statistics.sample import Sample
from refutable.verdicts.falsifiability.reachable import feasibility
from refutable.verdicts.judge import decide
from refutable.verdicts.verdict import Verdict

PERMUTATION = STATISTICS["permutation_difference"]
GROUPS = [([3, 4], [1, 2]), ([1, 1, 5], [1, 2, 2]), ([7], [1, 2, 3, 9]), ([2, 2, 3, 8], [0, 2, 3]), ([4, 4], [4, 4])]


def fit(x, y):
    return PERMUTATION.fit(Data(tuple(Sample("last_gain", np.asarray(v, dtype=float), "model") for v in (x, y))))


def share_of_deals(x, y, shift, sign):
    """Return the share of deals with at least the difference seen (sign 1) or at most it (-1), the shift taken off."""
    values = [v - Fraction(shift) for v in x] + [Fraction(v) for v in y]

    def difference(first):
        second = set(range(len(values))) - set(first)
        return sum(values[i] for i in first) / len(x) - sum(values[i] for i in second) / len(y)

    seen = difference(range(len(x)))
    deals = list(itertools.combinations(range(len(values)), len(x)))
    return Fraction(sum(sign * difference(deal) >= sign * seen for deal in deals), len(deals))


@pytest.mark.parametrize(("x", "y"), GROUPS)
@pytest.mark.parametrize("shift", [-3, -1, -0.5, 0, 0.5, 1, 1.5, 2, 4])
def test_its_p_value_is_the_share_of_deals_at_any_shift_beyond_the_threshold(x, y, shift):
    found, beyond = fit(x, y), Fraction(1, 10**9)
    assert found.p_value(shift, "above") == float(share_of_deals(x, y, Fraction(shift) - beyond, 1))
    assert found.p_value(shift, "below") == float(share_of_deals(x, y, Fraction(shift) + beyond, -1))
    # "> shift" allows for the shift itself: equal differences count as at least as large
    assert found.p_value(math.nextafter(shift, math.inf), "above") == float(share_of_deals(x, y, shift, 1))
    assert found.p_value(math.nextafter(shift, -math.inf), "below") == float(share_of_deals(x, y, shift, -1))


@pytest.mark.parametrize(("n1", "n2"), [(1, 4), (2, 2), (2, 5), (3, 3)])
def test_its_bounds_turn_the_test_round_at_levels_that_are_attained_exactly(n1, n2):
    rng = np.random.default_rng(n1 + 10 * n2)
    x, y = rng.normal(1, 1, n1), rng.normal(0, 1, n2)
    found, deals = fit(x, y), math.comb(n1 + n2, n1)
    assert found.deals.count == deals
    assert (found.lower(0.999 / deals), found.upper(0.999 / deals)) == (-math.inf, math.inf)
    for k in range(1, deals):
        low, high = found.lower(k / deals), found.upper(k / deals)
        assert share_of_deals(x, y, low - 1e-9, 1) <= Fraction(k, deals) < share_of_deals(x, y, low + 1e-9, 1)
        assert share_of_deals(x, y, high + 1e-9, -1) <= Fraction(k, deals) < share_of_deals(x, y, high - 1e-9, -1)


def test_its_value_n_and_effect_are_the_textbooks():
    found = fit([5, 7, 9], [1, 2, 3])  # variances 4 and 1
    assert (found.value, found.n) == (5.0, 6)
    assert [found.effect_size(x) for x in (0, 2, 7)] == pytest.approx([d / math.sqrt(2.5) for d in (5, 3, -2)])
    assert fit([1, 1], [1, 1]).effect_size(0.0) is None
    assert fit([1], [2]).effect_size(0.0) is None


@pytest.mark.parametrize(("exact", "drawn"), [(20, False), (19, True)])
def test_exactly_as_many_deals_as_are_counted_out_are_counted_out(monkeypatch, exact, drawn):
    monkeypatch.setattr(permutation_difference, "EXACT", exact)
    permutation_difference._deals.cache_clear()
    found = fit([4, 5, 6], [1, 2, 3])  # C(6, 3) = 20 deals
    permutation_difference._deals.cache_clear()
    assert found.deals.count == (10_000 if drawn else 20)
    assert ("drawn" in found.method) is drawn


@pytest.mark.parametrize("x", [-1e6, -7.0, -0.5, 0.0, 0.5, 7.0, 1e6])
def test_what_can_be_decided_does_not_hang_on_where_the_threshold_lies(x):
    for region in (f"< {x}", f">= {x}", f"within [{x}, {x + 1}]"):
        assert feasibility(PERMUTATION, parse_region(region), 0.05, 8) == ()
        assert feasibility(PERMUTATION, parse_region(region), 0.05, 5)[0] == "hopeless"  # C(5, 2) = 10


@pytest.mark.parametrize("n", [2, 3, 4, 6, 8, 16])
def test_the_smallest_level_at_which_n_models_decide_is_that_of_two_halves(n):
    best = fit(10 + np.arange(n // 2), np.arange(n - n // 2) / 100)
    region, deals = parse_region("> 0"), math.comb(n, n // 2)
    assert decide(best, region, 1 / deals) is Verdict.SUPPORTED
    assert feasibility(PERMUTATION, region, 1 / deals, n) == ()
    assert decide(best, region, 0.999 / deals) is Verdict.INCONCLUSIVE
    assert feasibility(PERMUTATION, region, 0.999 / deals, n)[0] == "hopeless"


def test_no_level_is_called_out_of_reach_that_few_of_many_models_reach():
    two_of_200 = fit([10, 11], np.arange(198) / 1000)  # 19,900 deals, of which every one is looked at
    assert decide(two_of_200, parse_region("> 0"), 0.00006) is Verdict.SUPPORTED
    assert feasibility(PERMUTATION, parse_region("> 0"), 0.00006, 200) == ()
    assert feasibility(PERMUTATION, parse_region("> 0"), 0.00004, 200)[0] == "hopeless"
