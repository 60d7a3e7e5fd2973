"""The t statistics beside the mean, and correlations that hold something fixed: against scipy and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from t_alone import t_alone

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data
from refutable.statistics.region import parse_region
from refutable.statistics.sample import Sample
from refutable.verdicts.judge import decide
from refutable.verdicts.verdict import Verdict

settings.load_profile("ci")  # no deadline on a busy machine, the same inputs every time

seeds = st.integers(0, 10_000)
FIVE = tuple(np.repeat(["a", "b", "c", "d", "e"], 5))


def fit(name, *values, clusters=(), unit="prompt", holds=None):
    names = ("last_gain", "output_entropy", "prompt_length")
    samples = tuple(
        Sample(of, np.asarray(v, dtype=float), unit, clusters) for of, v in zip(names, values, strict=False)
    )
    return STATISTICS[name].fit(Data(samples, parse_region(holds) if holds else None))


@given(seeds, st.sampled_from([5, 10, 25, 40]))
@settings(max_examples=6)
def test_the_trimmed_mean_is_scipys(seed, n):
    x = np.random.default_rng(seed).standard_t(2, n)
    found = t_alone(fit("trimmed_mean", x))
    assert found.value == pytest.approx(stats.trim_mean(x, 0.2))
    low, high = stats.mstats.trimmed_mean_ci(x, (0.2, 0.2), alpha=0.1)
    kept = n - 2 * (n // 5)  # Yuen's error, against scipy's by Tukey and McLaughlin, which is a little smaller
    wider = math.sqrt(kept * (n - 1) / (n * (kept - 1)))
    assert found.upper(0.05) - found.value == pytest.approx(wider * (high - low) / 2, rel=1e-6)


def test_one_wild_prompt_moves_the_mean_and_not_the_trimmed_mean():
    x = np.append(np.linspace(0.8, 0.9, 24), 1000.0)
    assert fit("mean", x).value > 40
    assert fit("trimmed_mean", x).upper(0.05) < 1


def test_a_clustered_mean_is_the_t_of_the_categories_means():
    rng = np.random.default_rng(0)
    x = rng.normal(size=25) + np.repeat(rng.normal(size=5), 5)
    found = t_alone(fit("clustered_mean", x, clusters=FIVE))
    expected = stats.ttest_1samp(x.reshape(5, 5).mean(axis=1), 0.0).confidence_interval(0.9)
    assert (found.lower(0.05), found.upper(0.05)) == pytest.approx((expected.low, expected.high))
    assert (found.n, found.unit) == (5, "category")


@pytest.mark.parametrize(("clusters", "reason"), [((), "of none"), (("a",) * 25, "all of 'a'")])
def test_a_clustered_mean_needs_categories(clusters, reason):
    with pytest.raises(Undecidable, match=reason):
        fit("clustered_mean", np.arange(25), clusters=clusters)


def test_a_prompt_without_a_category_is_no_category_of_its_own():
    x, wild = np.arange(25.0), [1000.0, -1000.0]
    with_others = fit("clustered_mean", np.append(x, wild), clusters=(*FIVE, "", ""))
    assert with_others == fit("clustered_mean", x, clusters=FIVE)
    with pytest.raises(Undecidable, match="of none"):
        fit("clustered_mean", x, clusters=("",) * 25)


@given(seeds, st.integers(3, 30))
@settings(max_examples=20)
def test_a_paired_difference_is_scipys_paired_test(seed, n):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=n), rng.normal(size=n)
    expected = stats.ttest_rel(x, y, alternative="greater").pvalue
    assert t_alone(fit("paired_difference", x, y)).p_value(0.0, "above") == pytest.approx(expected)


@given(seeds, st.integers(3, 30))
@settings(max_examples=20)
def test_a_slope_is_scipys_regression_of_the_first_on_the_second(seed, n):
    rng = np.random.default_rng(seed)
    y, x = rng.normal(size=n), rng.normal(size=n)
    expected = stats.linregress(x, y, alternative="greater")
    found = t_alone(fit("slope", y, x))
    assert (found.value, found.p_value(0.0, "above")) == pytest.approx((expected.slope, expected.pvalue))


def test_a_power_law_has_the_exponent_of_its_logarithms():
    n = np.array([70e6, 160e6, 410e6, 1e9, 1.4e9, 2.8e9, 6.9e9, 12e9])
    loss = 3 * n**-0.076 * np.exp(np.random.default_rng(0).normal(0, 0.001, 8))
    found = fit("power_law_exponent", loss, n)
    assert found.value == pytest.approx(-0.076, abs=5e-4)
    assert decide(found, parse_region("within [-0.08, -0.07]"), 0.05) is Verdict.SUPPORTED
    with pytest.raises(Undecidable, match="not positive"):
        fit("power_law_exponent", -loss, n)


def test_points_on_one_line_and_two_points_say_nothing_of_a_slope():
    with pytest.raises(Undecidable, match="lie on one line"):
        fit("slope", [1, 3, 5, 7], [0, 1, 2, 3])
    with pytest.raises(Undecidable, match="always on a line"):
        fit("slope", [1, 3], [0, 1])


def test_a_partial_correlation_is_that_of_the_residuals_with_one_unit_less():
    rng = np.random.default_rng(0)
    z = rng.normal(size=30)
    x, y = z + rng.normal(size=30), z + rng.normal(size=30)
    left = [v - np.polyval(np.polyfit(z, v, 1), z) for v in (x, y)]
    found = fit("partial_correlation", x, y, z)
    r = stats.pearsonr(*left).statistic
    assert found.value == pytest.approx(r)
    assert found.error == pytest.approx(1 / math.sqrt(30 - 4))  # n - 3, and one less for what is held fixed
    assert found.centre == pytest.approx(math.atanh(r) - r / (2 * 28))
    assert fit("pearson", x, y).value > 0.4  # what z alone brings about
    assert abs(found.value) < 0.3
    with pytest.raises(Undecidable, match="lies on a line in prompt_length"):
        fit("partial_correlation", 2 * z + 1, y, z)


def test_a_correlation_that_only_categories_make_is_not_there_within_them():
    rng = np.random.default_rng(3)
    effect = np.repeat([0.0, 10, 20, 30, 40], 5)
    x, y = effect + rng.normal(size=25), effect + rng.normal(size=25)
    for name in ("pearson", "spearman"):
        assert decide(fit(name, x, y), parse_region("> 0.5"), 0.05) is Verdict.SUPPORTED
        within = fit(f"{name}_within_categories", x, y, clusters=FIVE)
        assert decide(within, parse_region("> 0"), 0.05) is Verdict.INCONCLUSIVE
        assert "within 5 categories" in within.method


def test_within_one_category_pearson_is_pearson():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=12), rng.normal(size=12)
    one = fit("pearson_within_categories", x, y, clusters=("a",) * 12)
    assert one.lower(0.05) == pytest.approx(fit("pearson", x, y).lower(0.05))
    assert one.upper(0.05) == pytest.approx(fit("pearson", x, y).upper(0.05))


def test_how_many_models_pass_is_bracketed_by_proof():
    rng = np.random.default_rng(0)

    def model(mean, n=25):
        return Sample("last_gain", mean + rng.normal(0, 0.05, n), "prompt")

    data = Data((*map(model, (0.5, 0.6, 0.7, 1.5)), model(1.0), model(0.5, 0)), parse_region("< 1"))
    found = STATISTICS["models_passing"].fit(data)
    assert (found.lower(0.05), found.upper(0.05), found.n) == (3, 5, 6)  # one fails; one is open, one not measured
    assert decide(found, parse_region(">= 3"), 0.05) is Verdict.SUPPORTED
    assert decide(found, parse_region(">= 4"), 0.05) is Verdict.INCONCLUSIVE
    assert decide(found, parse_region(">= 6"), 0.05) is Verdict.REFUTED
