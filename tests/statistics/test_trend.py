"""Trends: against every order that there could be, scipy's tests and the textbook's variances."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data
from refutable.statistics.region import parse_region
from refutable.statistics.sample import Sample
from refutable.verdicts.falsifiability.reachable import feasibility
from refutable.verdicts.judge import decide
from refutable.verdicts.verdict import Verdict

TREND = STATISTICS["trend"]
XS = [[0, 1, 2, 3], [0, 0, 1, 1], [0, 0, 1, 2], [0, 1, 2, 3, 4], [0, 0, 0, 1, 1], [0, 1, 1, 2, 2], [0, 1, 1, 1, 3, 3]]


def fit(y, x):
    samples = (
        Sample("last_gain", np.asarray(y, dtype=float), "model"),
        Sample("n_params", np.asarray(x, float), "model"),
    )
    return TREND.fit(Data(samples))


def at_least(x, c):
    """Return the share of all orders of distinct values in which at least c of the pairs that differ in x rise."""
    pairs = [(i, j) for i, j in itertools.combinations(range(len(x)), 2) if x[i] < x[j]]
    orders = list(itertools.permutations(range(len(x))))
    return sum(sum(y[i] < y[j] for i, j in pairs) >= c for y in orders) / len(orders)


@pytest.mark.parametrize("x", XS)
def test_its_law_is_that_of_all_orders_and_its_bounds_turn_the_test_round(x):
    y = np.array([0.3, 1.9, 2.2, 0.7, 3.1, 2.4])[: len(x)]
    found, mirrored = fit(y, x), fit(-y, x)
    for c in range(len(found.slopes) + 1):
        tail = at_least(x, c)
        at = found.slopes[-c] if c else found.slopes[-1] + 1  # c pairs are at least as steep as this
        assert found.p_value(at, "above") == mirrored.p_value(-at, "below") == pytest.approx(tail, abs=1e-15)
        if c:  # exactly attained: the bound is the slope of the c-th steepest pair; a trifle less: the next one
            assert (found.lower(tail), mirrored.upper(tail)) == (found.slopes[-c], -found.slopes[-c])
            less = found.slopes[-c - 1] if c < len(found.slopes) else -math.inf
            assert (found.lower(tail * (1 - 1e-9)), mirrored.upper(tail * (1 - 1e-9))) == (less, -less)


@pytest.mark.parametrize("slope", [-1.0, 0.5, 1.0, 1.5, 2.0, 3.0])
def test_a_pair_exactly_on_the_slope_speaks_for_either_side(slope):
    x, y = [0, 1, 2, 3], np.array([0, 1, 2, 4])  # three pairs of slope 1, and 4 / 3, 3 / 2 and 2
    left = y - slope * np.array(x)
    pairs = list(itertools.combinations(range(4), 2))
    rise, fall = (sum(sign * (left[j] - left[i]) >= 0 for i, j in pairs) for sign in (1, -1))
    assert fit(y, x).p_value(slope, "above") == pytest.approx(at_least(x, rise))
    assert fit(y, x).p_value(slope, "below") == pytest.approx(at_least(x, fall))


@pytest.mark.parametrize("slope", [-2.0, 0.0, 0.7, 3.0])
def test_the_effect_is_kendalls_tau_of_what_the_line_leaves(slope):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=9), rng.normal(size=9)
    assert fit(y, x).effect_size(slope) == pytest.approx(stats.kendalltau(x, y - slope * x).statistic)


def test_5000_pairs_are_still_counted_exactly():
    found = fit(np.arange(150), np.repeat([0, 1], [50, 100]))
    assert found.p_value(0.0, "above") == pytest.approx(
        1 / math.comb(150, 50), rel=1e-12, abs=0
    )  # one order in so many


def test_of_more_pairs_two_sizes_have_mann_and_whitneys_normal_law():
    rng = np.random.default_rng(0)
    small, large = rng.normal(size=80), rng.normal(0.2, 1, 90)  # 7200 pairs
    found = fit(np.concatenate([small, large]), np.repeat([0, 1], [80, 90]))
    for side, alternative in (("above", "greater"), ("below", "less")):
        expected = stats.mannwhitneyu(large, small, alternative=alternative, method="asymptotic")
        assert found.p_value(0.0, side) == pytest.approx(expected.pvalue, rel=1e-9)


@pytest.mark.parametrize("rises", [True, False])
def test_of_more_pairs_kendalls_count_has_its_textbook_variance(rises):
    n = 102  # 5151 pairs, of which all rise or none
    found = fit(np.arange(n) if rises else -np.arange(n), np.arange(n))
    s = n * (n - 1) / 2 * (1 if rises else -1) - 1  # with the correction for continuity: S takes every other integer
    expected = stats.norm.sf(s / math.sqrt(n * (n - 1) * (2 * n + 5) / 18))  # Kendall, 1938
    assert found.p_value(0.0, "above") == pytest.approx(expected, rel=1e-9, abs=0)


def test_two_models_have_a_slope_and_prove_nothing():
    found = fit([1, 4], [0, 2])
    assert (found.value, found.p_value(0.0, "above"), found.lower(0.5)) == (1.5, 0.5, 1.5)
    assert found.lower(0.49) == -math.inf


@pytest.mark.parametrize(("y", "x"), [([1, 2, 3], [0, 1, 2, 3]), ([1, 2, 3, 4], [0, 1, 2])])
def test_values_that_do_not_pair_are_refused(y, x):
    with pytest.raises(Undecidable, match=f"{len(y)} values and n_params {len(x)}: they do not pair"):
        fit(y, x)


@pytest.mark.parametrize("x", [-1e6, -7.0, -0.5, 0.0, 0.5, 7.0, 1e6])
def test_what_can_be_decided_does_not_hang_on_where_the_threshold_lies(x):
    for region in (f"< {x}", f">= {x}", f"within [{x}, {x + 1}]"):
        assert feasibility(TREND, parse_region(region), 0.05, 5) == ()
        assert feasibility(TREND, parse_region(region), 0.05, 3)[0] == "hopeless"


def test_rounded_values_that_agree_speak_for_neither_side():
    y = np.array([1.0] * 17 + [1.1] * 3)  # rises, as scipy.stats.kendalltau says with p = 0.0035
    found = fit(y, np.arange(20.0))
    assert found.value == 0
    assert (found.lower(0.05), found.upper(0.05)) == (-math.inf, math.inf)
    assert [decide(found, parse_region(text), 0.05) for text in ("> 0", "<= 0")] == [Verdict.INCONCLUSIVE] * 2
    assert found.effect_size(0) == pytest.approx(3 * 17 / (20 * 19 / 2))


def test_rounding_makes_no_true_rise_a_refuted_one():
    rng = np.random.default_rng(0)
    x = np.arange(25.0)
    samples = (np.round(1 + 0.0003 * x + rng.normal(0, 0.005, 25), 2) for _ in range(300))
    wrong = sum(decide(fit(y, x), parse_region("> 0"), 0.05) is Verdict.REFUTED for y in samples)
    assert wrong <= 0.05 * 300
