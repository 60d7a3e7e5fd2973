"""Statistics that assume no shape: median, bounded mean, trend, permutation; against scipy and known results."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data
from refutable.statistics.region import parse_region
from refutable.statistics.sample import Sample
from refutable.verdicts.falsifiability.reachable import feasibility
from refutable.verdicts.judge import decide
from refutable.verdicts.verdict import Verdict

settings.load_profile("ci")  # no deadline on a busy machine, the same inputs every time

seeds = st.integers(0, 10_000)


def fit(name, *values, holds=None, unit="prompt"):
    samples = tuple(Sample("last_gain", np.asarray(v, dtype=float), unit) for v in values)
    return STATISTICS[name].fit(Data(samples, parse_region(holds) if holds else None))


# Median


@given(seeds, st.integers(5, 60), st.floats(-1, 1))
@settings(max_examples=25)
def test_the_median_is_scipys_quantile_test(seed, n, threshold):
    x = np.random.default_rng(seed).normal(size=n)
    found = fit("median", x)
    for side, alternative in (("above", "greater"), ("below", "less")):
        expected = stats.quantile_test(x, q=threshold, p=0.5, alternative=alternative)
        assert found.p_value(threshold, side) == pytest.approx(expected.pvalue, abs=1e-12)
    assert found.lower(0.05) == stats.quantile_test(x, p=0.5, alternative="greater").confidence_interval(0.95).low
    assert found.upper(0.05) == stats.quantile_test(x, p=0.5, alternative="less").confidence_interval(0.95).high


def test_four_units_never_settle_a_median_and_five_can():
    assert fit("median", [1, 2, 3, 4]).lower(0.05) == -math.inf  # 0.5 ** 4 = 0.0625
    assert fit("median", [1, 2, 3, 4, 5]).lower(0.05) == 1  # 0.5 ** 5 = 0.031
    assert feasibility(STATISTICS["median"], parse_region("< 1"), 0.05, 4) == (
        *("hopeless", "unsupportable: needs 5", "unrefutable: needs 5"),
    )


# Bounded mean


def test_25_prompts_that_all_agree_bring_a_bounded_mean_of_0_846():
    found = fit("bounded_mean", np.full((25, 4), 0.5), holds="< 1")
    assert (found.value, found.upper(0.05)) == (1.0, 1.0)
    assert found.lower(0.05) == pytest.approx(0.846, abs=5e-4)
    assert found.lower(0.05) > 1 - math.sqrt(math.log(1 / 0.05) / 50)  # Hoeffding: 0.755
    assert found.lower(0.05) < 0.05 ** (1 / 25)  # Clopper-Pearson's 0.887, which only whole agreement can bring


@given(seeds, st.integers(2, 60))
@settings(max_examples=25)
def test_bets_that_adapt_are_narrower_than_hoeffdings_where_values_hardly_vary(seed, n):
    x = np.random.default_rng(seed).beta(50, 50, n)
    found = fit("bounded_mean", x)
    assert 0 <= found.lower(0.05) <= found.value <= found.upper(0.05) <= 1
    if n >= 10:
        assert found.value - found.lower(0.05) < math.sqrt(math.log(20) / (2 * n))


@given(seeds)
@settings(max_examples=10)
def test_a_bounded_mean_knows_neither_order_nor_direction(seed):
    x = np.random.default_rng(seed).random(12)
    assert fit("bounded_mean", x[::-1]).lower(0.05) == pytest.approx(fit("bounded_mean", x).lower(0.05), abs=1e-9)
    assert fit("bounded_mean", 1 - x).upper(0.05) == pytest.approx(1 - fit("bounded_mean", x).lower(0.05), abs=1e-9)


def test_the_capital_of_one_stake_is_the_product_of_its_bets():
    # three stakes of the mixture, by hand: the mean over stakes c of prod (1 - c + c x / m)
    x, m = np.array([0.2, 0.9, 0.7]), 0.4
    from refutable.statistics.bounded_mean import STAKES

    capital = np.mean([np.prod(1 - c + c * x / m) for c in STAKES])
    assert fit("bounded_mean", x).p_value(m, "above") == pytest.approx(min(1, 1 / capital))


def test_values_outside_0_and_1_are_refused():
    with pytest.raises(Undecidable, match=r"values outside \[0, 1\]"):
        fit("bounded_mean", [0.5, 1.1])


# Trend


@given(seeds, st.integers(4, 9))
@settings(max_examples=25)
def test_a_trend_against_0_is_kendalls_exact_test(seed, n):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=n), rng.normal(size=n)
    found = fit("trend", y, x)
    for side, alternative in (("above", "greater"), ("below", "less")):
        expected = stats.kendalltau(x, y, method="exact", alternative=alternative).pvalue
        assert found.p_value(0.0, side) == pytest.approx(expected, abs=1e-12)
    assert found.value == pytest.approx(stats.theilslopes(y, x).slope)
    assert found.effect_size(0.0) == pytest.approx(stats.kendalltau(x, y).statistic)


def test_models_of_one_size_are_jonckheeres_groups():
    # sizes 1, 1, 2, 2: 4 pairs; of the 6 equally likely orders one has all four rising
    found = fit("trend", [1, 2, 3, 4], [1, 1, 2, 2])
    assert found.p_value(0.0, "above") == pytest.approx(1 / 6)
    # sizes 1, 1, 1, 2, 2, 2: Mann and Whitney's U, 20 orders
    assert fit("trend", [1, 2, 3, 4, 5, 6], [1, 1, 1, 2, 2, 2]).p_value(0.0, "above") == pytest.approx(1 / 20)


def test_three_models_in_order_prove_no_trend_and_four_do():
    assert decide(fit("trend", [1, 2, 3], [1, 2, 3]), parse_region("> 0"), 0.05) is Verdict.INCONCLUSIVE  # 1 / 6
    assert decide(fit("trend", [1, 2, 3, 4], [1, 2, 3, 4]), parse_region("> 0"), 0.05) is Verdict.SUPPORTED  # 1 / 24
    assert "needs 4" in feasibility(STATISTICS["trend"], parse_region("> 0"), 0.05, 3)[1]


def test_many_units_take_the_normal_law_of_kendalls_count():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=120), rng.normal(size=120)
    expected = stats.kendalltau(x, y, method="asymptotic", alternative="greater").pvalue
    assert fit("trend", y, x).p_value(0.0, "above") == pytest.approx(expected, abs=0.005)


# Permutation


@given(seeds, st.integers(2, 4), st.integers(2, 5), st.sampled_from([-1.3, 0.0, 0.4]))
@settings(max_examples=6)
def test_a_permutation_difference_is_scipys_permutation_test(seed, n1, n2, threshold):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=n1), rng.normal(size=n2)
    found = fit("permutation_difference", x, y, unit="model")
    for side, alternative in (("above", "greater"), ("below", "less")):
        expected = stats.permutation_test(
            *((x - threshold, y), lambda a, b, axis: a.mean(axis) - b.mean(axis)),
            alternative=alternative,
            vectorized=True,
            n_resamples=np.inf,
        )
        assert found.p_value(threshold, side) == pytest.approx(expected.pvalue, abs=1e-12)


def test_two_against_ten_can_be_decided_and_two_against_two_cannot():
    far = fit("permutation_difference", [10, 11], np.arange(10) / 10, unit="model")
    assert far.deals.count == 66  # C(12, 2): the smallest p is 1 / 66 = 0.015
    assert far.lower(0.05) > 0
    assert fit("permutation_difference", [10, 11], [0, 1], unit="model").lower(0.05) == -math.inf  # 1 / 6


def test_more_deals_than_can_be_made_are_drawn_and_say_so():
    rng = np.random.default_rng(0)
    found = fit("permutation_difference", rng.normal(1, 1, 20), rng.normal(0, 1, 20), unit="model")
    assert "9999 deals drawn" in found.method
    welch = stats.ttest_ind(*(np.random.default_rng(0).normal(m, 1, 20) for m in (1, 0)), alternative="greater")
    assert 0 < found.p_value(0.0, "above") < 0.05
    assert welch.pvalue < 0.05
    assert found.p_value(0.0, "above") >= 1 / 10_000


# Boundary


def test_a_fact_that_separates_outcomes_beats_the_majority():
    d_head = np.repeat([64, 128], [10, 10]) + np.arange(20) / 100
    gain = np.where(d_head > 100, 0.9, 1.1)
    found = fit("boundary", gain, d_head, holds="< 1", unit="model")
    assert found.value == pytest.approx(0.5)  # all foretold, against one half
    assert "last_gain 96.09" in found.method
    assert "accuracy 1 against the majority's 0.5" in found.method
    assert decide(found, parse_region("> 0"), 0.05) is Verdict.SUPPORTED


@pytest.mark.parametrize("holds_above", [True, False])
def test_a_boundary_that_holds_on_the_other_side_is_none(holds_above):
    d_head = np.repeat([64, 128], [10, 10]) + np.arange(20) / 100
    gain = Sample("last_gain", np.where((d_head > 100) == holds_above, 0.9, 1.1), "model")
    at = Sample("d_head", d_head, "model")
    as_asked, other, either = (
        STATISTICS["boundary"].fit(Data((gain, at), parse_region("< 1"), side))
        for side in (holds_above, not holds_above, None)
    )
    assert as_asked.value == either.value == pytest.approx(0.5)
    assert f"d_head 96.09, holding {'above' if holds_above else 'below'} it, leave one out" in as_asked.method
    assert other.value < 0
    assert decide(as_asked, parse_region("> 0"), 0.05) is Verdict.SUPPORTED
    assert decide(other, parse_region("> 0"), 0.05) is not Verdict.SUPPORTED


def test_below_a_boundary_is_above_the_same_one_with_its_fact_negated():
    rng = np.random.default_rng(2)
    for _ in range(20):
        gain, fact = Sample("last_gain", rng.normal(size=12), "model"), rng.normal(size=12)
        above, below, negated = (
            STATISTICS["boundary"].fit(Data((gain, Sample("d_head", at, "model")), parse_region("< 0"), side))
            for at, side in ((fact, True), (fact, False), (-fact, True))
        )
        assert negated.value == below.value
        assert max(above.lower(0.05), below.lower(0.05)) <= 0  # drawn without any boundary


def test_a_fact_that_separates_nothing_loses_to_the_majority():
    rng = np.random.default_rng(0)
    found = fit("boundary", rng.normal(size=30), rng.permutation(30), holds="< 0.5", unit="model")
    assert found.value <= 0
    assert decide(found, parse_region("> 0"), 0.05) is not Verdict.SUPPORTED


@pytest.mark.parametrize(
    ("gain", "fact", "reason"),
    [
        ([0.5, 0.6, 0.7], [1, 2, 3], "holds for every model"),
        ([1.5, 1.6, 1.7], [1, 2, 3], "holds for no model"),
        ([0.5, 1.6, 0.7], [2, 2, 2], "a constant separates nothing"),
        ([0.5, 1.6], [1, 2], "needs at least 3"),
    ],
)
def test_a_boundary_that_cannot_be_is_refused_with_the_reason(gain, fact, reason):
    with pytest.raises(Undecidable, match=reason):
        fit("boundary", gain, fact, holds="< 1", unit="model")
