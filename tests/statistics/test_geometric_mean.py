"""The geometric mean: the arithmetic mean of logarithms, transformed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from t_alone import t_alone

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data
from refutable.statistics.region import parse_region
from refutable.statistics.sample import Sample
from refutable.verdicts.judge import decide
from refutable.verdicts.verdict import Verdict

settings.load_profile("ci")  # no deadline on a busy machine, the same inputs every time

positive = arrays(np.float64, st.integers(2, 20), elements=st.floats(0.01, 100).map(lambda x: round(x, 3)), unique=True)


def fit(x):
    return STATISTICS["geometric_mean"].fit(Data((Sample("last_gain", np.asarray(x, dtype=float), "prompt"),)))


def test_known_values():
    assert fit([1, 4]).value == pytest.approx(2)  # sqrt(1 * 4)
    assert fit([1, 10, 100]).value == pytest.approx(10)
    assert (fit([1, 10, 100]).n, fit([1, 10]).unit) == (3, "prompt")


@given(positive)
def test_it_is_scipys_gmean_with_the_t_bounds_of_the_logarithms(x):
    interval = stats.ttest_1samp(np.log(x), 0.0).confidence_interval(0.9)
    assert fit(x).value == pytest.approx(stats.gmean(x))
    plain = t_alone(fit(x))
    assert plain.lower(0.05) == pytest.approx(math.exp(interval.low))
    assert plain.upper(0.05) == pytest.approx(math.exp(min(interval.high, 709)), rel=1e-6)
    assert plain.p_value(1.0, "above") == pytest.approx(stats.ttest_1samp(np.log(x), 0.0, alternative="greater").pvalue)


@given(positive, st.sampled_from([0.25, 3.0]))
def test_it_scales_and_inverts(x, scale):
    assert fit(scale * x).lower(0.05) == pytest.approx(scale * fit(x).lower(0.05), rel=1e-6)
    assert fit(1 / x).value == pytest.approx(1 / fit(x).value)  # a gain and its inverse cancel, unlike with the mean
    low, high = fit(x).lower(0.25), fit(1 / x).upper(0.25)
    assert low * high == pytest.approx(1, rel=1e-6) if low > 0 else high == math.inf


@given(positive)
def test_it_is_never_above_the_arithmetic_mean(x):
    assert fit(x).value <= x.mean() * (1 + 1e-12)


@pytest.mark.parametrize("bad", [0.0, -1.0])
def test_a_value_that_is_not_positive_has_no_logarithm(bad):
    with pytest.raises(Undecidable, match="last_gain has values that are not positive"):
        fit([1.0, 2.0, bad])


@pytest.mark.parametrize("value", [1.0, 2.0, 0.1])
def test_equal_values_are_undecidable_and_named_as_they_are(value):
    with pytest.raises(Undecidable, match=f"all 25 values are {value:.6g}: without spread"):
        fit(np.full(25, value))


def test_values_that_differ_from_1_by_rounding_are_equal():
    with pytest.raises(Undecidable):  # their logarithms, 0 and 2.2e-16, differ by their own size
        fit([1.0, 1.0, np.nextafter(1.0, 2.0)])


@pytest.mark.parametrize("x", [[], [2.0]])
def test_one_value_or_none_is_undecidable(x):
    with pytest.raises(Undecidable, match=f"needs at least 2 prompts, here {len(x)}"):
        fit(x)


def test_a_bound_beyond_the_largest_number_is_infinite_and_decides_nothing():
    wide = fit([1e-3, 1e3])  # sd of the logarithms 9.8, t(0.99999, 1) = 31831
    assert wide.upper(1e-5) == math.inf
    assert wide.lower(1e-5) == 0.0
    assert decide(wide, parse_region("< 1"), 1e-5) is Verdict.INCONCLUSIVE


def test_a_threshold_that_is_not_positive_is_below_every_geometric_mean():
    found = fit([1, 2, 3, 4, 5])
    assert (found.p_value(0.0, "above"), found.p_value(-1.0, "below")) == (0.0, 1.0)
    assert found.effect_size(0.0) is None
    assert decide(found, parse_region("> 0"), 0.05) is Verdict.SUPPORTED


@pytest.mark.parametrize("side", ["above", "below"])
@pytest.mark.parametrize(("value", "threshold", "n"), [(1.2, 1.1, 30), (0.9, 1.0, 8), (3.0, 3.0, 5)])
def test_its_power_is_that_of_the_t_test_of_the_logarithms(value, threshold, n, side):
    x = [0.7, 0.9, 1.0, 1.3, 1.6, 0.8]
    away = math.log(value / threshold) / (np.log(x).std(ddof=1) / math.sqrt(n)) * (1 if side == "above" else -1)
    want = stats.nct.sf(stats.t.isf(0.05, n - 1), n - 1, away)
    assert fit(x).power(threshold, side, 0.05, value, n) == pytest.approx(want, rel=1e-6)


@pytest.mark.parametrize("threshold", [0.0, -1.0])
def test_what_is_beyond_no_geometric_mean_is_surely_seen_on_its_side(threshold):
    found = fit([1, 2, 3])
    for value in (0.5, 1e-9):
        assert found.power(threshold, "above", 0.05, value, 3) == 1.0
        assert found.power(threshold, "below", 0.05, value, 3) == 0.0


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_value_that_no_geometric_mean_can_have_is_below_every_threshold(value):
    found = fit([1, 2, 3])
    assert (found.power(1.0, "below", 0.05, value, 3), found.power(1.0, "above", 0.05, value, 3)) == (1.0, 0.0)
