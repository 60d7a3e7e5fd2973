"""Tests by randomisation: against every deal, and against each other implementation of them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from refutable.statistics import STATISTICS, Data
from refutable.statistics.randomisation import flips_about_mean, p_of_flips, sign_flips
from refutable.statistics.region import parse_region
from refutable.statistics.sample import Sample
from refutable.statistics.signed_rank import SignedRank
from refutable.statistics.skewness import t_p_value, widening
from refutable.statistics.student import fewest_signs, fit_values
from refutable.verdicts.judge import decide
from refutable.verdicts.verdict import Verdict

settings.load_profile("ci")  # no deadline on a busy machine, the same inputs every time


def share_of_flips(values, centre):
    """Return the share of sign patterns about the centre whose sum is at least the observed one."""
    left = [v - centre for v in values]
    patterns = itertools.product((1, -1), repeat=len(left))
    sums = [sum(s * x for s, x in zip(pattern, left, strict=True)) for pattern in patterns]
    return sum(s >= sum(left) - 1e-12 for s in sums) / len(sums)


@pytest.mark.parametrize("n", [2, 5, 8])
@pytest.mark.parametrize("centre", [-0.7, 0.1, 0.45])
def test_its_p_value_is_the_share_of_sign_patterns(n, centre):
    values = np.random.default_rng(n).normal(0.5, 1, n)
    found = flips_about_mean(values)
    assert found.p_value(centre, "above") == pytest.approx(share_of_flips(values, centre))
    assert found.p_value(centre, "below") == pytest.approx(share_of_flips(-values, -centre))
    assert p_of_flips(np.sort(values)[:, None] - centre)[0] == pytest.approx(share_of_flips(values, centre))


@given(st.integers(0, 1000), st.sampled_from([3, 9, 20, 300]), st.sampled_from([0.02, 0.05, 0.3]))
@settings(max_examples=20)
def test_its_bounds_mirror_and_scale_and_forget_the_order(seed, n, tail):
    values = np.random.default_rng(seed).normal(size=n)
    found, mirrored = flips_about_mean(values), flips_about_mean(-3 * values[::-1])
    if n < 300:  # beyond 256 values random blocks are flipped
        assert mirrored.upper(tail) == pytest.approx(-3 * found.lower(tail))
    assert flips_about_mean(values[::-1]).lower(tail) == found.lower(tail)


def test_a_ratio_flips_what_is_left_of_its_numerators():
    rng = np.random.default_rng(0)
    below = rng.gamma(4, 1, 7)
    left = rng.normal(size=7)
    found = sign_flips(left, below)
    for ratio in (-0.3, 0.0, 0.2):
        assert found.p_value(ratio, "above") == pytest.approx(share_of_flips(left - ratio * below, 0.0))


@pytest.mark.parametrize("n", [5, 12, 40])
def test_signed_ranks_are_scipys(n):
    values = np.random.default_rng(n).normal(0.3, 1, n)
    for side, alternative in (("above", "greater"), ("below", "less")):
        expected = stats.wilcoxon(values - 0.1, alternative=alternative, method="exact").pvalue
        assert SignedRank.of(values).p_value(0.1, side) == pytest.approx(expected)


@pytest.mark.parametrize(("tail", "n"), [(0.25, 2), (0.1, 4), (0.05, 5), (0.03125, 5), (0.025, 6), (0.01, 7)])
def test_as_many_signs_as_it_takes(tail, n):
    assert fewest_signs(tail) == n
    values = np.linspace(1, 1.1, n)
    assert fit_values(values, "seed").lower(tail) > 0.9
    assert n == 2 or fit_values(values[:-1], "seed").lower(tail) == -math.inf


def test_a_slopes_deals_are_the_orders_of_its_residuals():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=6), rng.normal(size=6)
    found = STATISTICS["slope"].fit(Data((Sample("y", y, "model"), Sample("x", x, "model"))))
    for supposed in (-1.0, -0.2, 0.3):
        errors = y - supposed * x
        sums = [np.array(order) @ errors for order in itertools.permutations(x)]
        share = np.mean(np.array(sums) >= x @ errors - 1e-12)
        assert found.beside.p_value(supposed, "above") == pytest.approx(share)


@pytest.mark.parametrize("n", [5, 25, 100])
@pytest.mark.parametrize("skewed", [-3.0, 0.0, 1.5, 2.2, 4.0])
def test_a_p_value_is_where_the_widened_bound_is(n, skewed):
    for tail in (1e-6, 1e-3, 0.01, 0.05, 0.2):
        t = widening(skewed, tail, n) * stats.t.isf(tail, n - 1)
        assert t_p_value(t, n - 1, skewed, n) == pytest.approx(tail, rel=1e-6)


@pytest.mark.parametrize("skewed", [-3.0, 0.0, 3.0])
def test_a_mean_ever_so_far_from_the_threshold_has_a_p_value(skewed):
    for t in (1e2, 1e4, 1e20, math.inf):
        assert 0 <= t_p_value(t, 119, skewed, 120) < 1e-20


def test_a_pair_of_seeds_or_three_decide_nothing_at_5_percent():
    for n in (2, 3, 4):
        found = fit_values(5 + 0.01 * np.random.default_rng(n).normal(size=n), "seed")
        assert decide(found, parse_region("> 0"), 0.05) is Verdict.INCONCLUSIVE
