"""The ratio of means: Fieller's bounds against a worked form of them, invariances, and error rates by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from t_alone import t_alone

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data
from refutable.statistics.power import deciding_n
from refutable.statistics.randomisation import Deals
from refutable.statistics.ratio_of_means import RatioFit
from refutable.statistics.region import parse_region
from refutable.statistics.sample import Sample
from refutable.statistics.student import t_quantile
from refutable.verdicts.judge import decide
from refutable.verdicts.verdict import Verdict


def fit(above, below):
    parts = (
        Sample("last_gain", np.asarray(above, float), "prompt"),
        Sample("last_gain", np.asarray(below, float), "prompt"),
    )
    return STATISTICS["ratio_of_means"].fit(Data(parts))


NO_DEALS = Deals(np.zeros(1023), 1)


def drawn(n=30, seed=0, ratio=1.2):
    rng = np.random.default_rng(seed)
    below = rng.gamma(9.0, 1.0, n)
    return below * ratio + rng.normal(0, 0.8, n), below


def test_its_value_is_the_ratio_of_the_sums_not_the_mean_of_ratios():
    assert fit([1, 9], [1, 3]).value == 10 / 4
    assert np.mean([1 / 1, 9 / 3]) == 2


@pytest.mark.parametrize("tail", [0.05, 0.025, 0.001])
def test_at_its_bounds_the_t_test_of_the_differences_has_the_tails_p(tail):
    above, below = drawn()
    found = t_alone(fit(above, below))
    for bound, side in ((found.lower(tail), "greater"), (found.upper(tail), "less")):
        p = stats.ttest_1samp(above - bound * below, 0, alternative=side).pvalue  # Fieller (1954), by its definition
        assert p == pytest.approx(tail, rel=1e-6)


@pytest.mark.parametrize("side", ["above", "below"])
def test_its_p_is_that_of_the_t_test_of_the_differences(side):
    above, below = drawn()
    want = stats.ttest_1samp(above - 1.1 * below, 0, alternative="greater" if side == "above" else "less")
    assert t_alone(fit(above, below)).p_value(1.1, side) == pytest.approx(want.pvalue, rel=1e-9)


def test_scales_of_either_part_scale_it():
    above, below = drawn()
    plain, scaled = fit(above, below), fit(6 * above, 3 * below)
    for one, other in ((plain.value, scaled.value), (plain.lower(0.05), scaled.lower(0.05))):
        assert other == pytest.approx(2 * one)
    assert scaled.effect_size(2.0) == pytest.approx(plain.effect_size(1.0))


def test_a_denominator_that_may_be_nothing_bounds_nothing():
    found = fit([1.0, 2.0, 3.0], [0.0, 0.0, 9.0])
    assert (found.lower(0.05), found.upper(0.05)) == (-math.inf, math.inf)
    assert decide(found, parse_region("< 100"), 0.05) is Verdict.INCONCLUSIVE
    assert decide(found, parse_region("within [-100, 100]"), 0.05) is Verdict.INCONCLUSIVE
    above = fit([5.0, 5.1, 4.9], [0.0, 0.0, 9.0])  # surely above 0; what divides them is not
    assert above.p_value(0, "above") == pytest.approx(stats.ttest_1samp([0, 0, 9], 0, alternative="greater").pvalue)


@pytest.mark.parametrize(
    ("above", "below", "why"),
    [
        ([1.0], [1.0], "needs at least 2"),
        ([2.0, 4.0, 6.0], [1.0, 2.0, 3.0], "all 3 ratios are 2"),
        ([0.3, 0.0, 0.9], [3.0, 0.0, 9.0], "all 3 ratios are 0.1"),
        ([0.0, 0.0], [1.0, 3.0], "all 2 ratios are 0"),
        ([1.0, 2.0], [1.0, -1.0], "not positive lengths"),
        ([1.0, 2.0], [0.0, 0.0], "not positive lengths"),
        ([1.0, np.nan], [1.0, 2.0], "not finite"),
    ],
)
def test_data_without_a_ratio_of_means_are_undecidable(above, below, why):
    with pytest.raises(Undecidable, match=why):
        fit(above, below)


@pytest.mark.parametrize("predicts", ["< 1.2", "> 1.2"])
def test_on_the_threshold_it_errs_no_more_often_than_it_says(predicts):
    region, alpha, runs = parse_region(predicts), 0.05, 1500
    wrong = sum(decide(fit(*drawn(25, seed)), region, alpha) is Verdict.SUPPORTED for seed in range(runs))
    assert stats.binomtest(wrong, runs, alpha, "greater").pvalue > 1e-4, wrong / runs


@pytest.mark.parametrize("side", ["above", "below"])
@pytest.mark.parametrize(("value", "threshold", "n"), [(1.25, 1.2, 40), (1.1, 1.2, 10), (1.2, 1.2, 7)])
def test_its_power_is_that_of_the_t_test_of_the_differences(value, threshold, n, side):
    above, below = drawn(12)
    sd = (above - threshold * below).std(ddof=1)
    away = (value - threshold) * below.mean() / (sd / math.sqrt(n)) * (1 if side == "above" else -1)
    want = stats.nct.sf(stats.t.isf(0.05, n - 1), n - 1, away)
    assert fit(above, below).power(threshold, side, 0.05, value, n) == pytest.approx(want, rel=1e-6)


def test_the_n_it_names_decides_in_80_percent():
    region, runs = parse_region("> 1.18"), 600
    n = deciding_n(RatioFit(1.2, 9.0, 0.64 / 25, 9.0 / 25, 0.0, 25, "prompt", NO_DEALS), region, 0.05)  # as `drawn` is
    rate = np.mean([decide(fit(*drawn(n, seed)), region, 0.05) is Verdict.SUPPORTED for seed in range(runs)])
    assert rate == pytest.approx(0.8, abs=4 * math.sqrt(0.8 * 0.2 / runs))  # four Monte-Carlo standard errors


def test_numerators_a_constant_above_their_denominators_are_surely_not_in_the_ratio_of_their_slope():
    found = fit([6.0, 7.0, 8.0], [1.0, 2.0, 3.0])  # numerator - 1 denominator is 5, always
    denominator = stats.ttest_1samp([1, 2, 3], 0, alternative="greater").pvalue  # what is left to doubt
    assert t_alone(found).p_value(1.0, "above") == pytest.approx(denominator)
    assert found.p_value(1.0, "below") == 1.0
    assert found.effect_size(1.0) == math.inf
    assert [found.power(1.0, "above", 0.05, value, 5) for value in (3.5, 1.0, 0.5)] == [1.0, 0.0, 0.0]
    assert [found.power(1.0, "below", 0.05, value, 5) for value in (3.5, 1.0, 0.5)] == [0.0, 0.0, 1.0]


def test_where_the_denominator_is_just_not_told_from_0_there_is_no_bound():
    t = t_quantile(0.05, 9)  # its mean so many errors above 0
    found = RatioFit(1.0, t, 1.0, 1.0, 0.0, 10, "prompt", NO_DEALS)
    assert (found.lower(0.05), found.upper(0.05)) == (-math.inf, math.inf)
    assert found.upper(0.06) < math.inf
