"""The arithmetic mean, against scipy's t test and its invariances."""

from __future__ import annotations

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
from refutable.verdicts.falsifiability.reachable import feasibility
from refutable.verdicts.judge import decide

settings.load_profile("ci")  # no deadline on a busy machine, the same inputs every time

MEAN = STATISTICS["mean"]
values = arrays(np.float64, st.integers(2, 30), elements=st.floats(-1e3, 1e3).map(lambda x: round(x, 3)), unique=True)


def fit(x, name="mean"):
    return STATISTICS[name].fit(Data((Sample("last_gain", np.asarray(x, dtype=np.float64), "prompt"),)))


def test_the_textbook_example_by_hand():
    found = t_alone(fit([1, 2, 3, 4, 5]))
    assert (found.value, found.n) == (3.0, 5)
    assert found.sd == pytest.approx(2.5**0.5)  # (4 + 1 + 0 + 1 + 4) / 4 = 2.5
    # t(0.95, 4) = 2.1318, standard error = sqrt(2.5 / 5) = 0.7071: 3 -/+ 1.5074
    assert found.lower(0.05) == pytest.approx(3 - 1.5074, abs=1e-4)
    assert found.upper(0.05) == pytest.approx(3 + 1.5074, abs=1e-4)
    assert found.effect_size(2.0) == pytest.approx(1 / 2.5**0.5)


@given(values, st.floats(-1e3, 1e3))
def test_it_is_scipys_t_test(x, threshold):
    for side, alternative in (("above", "greater"), ("below", "less")):
        expected = stats.ttest_1samp(x, threshold, alternative=alternative)
        assert t_alone(fit(x)).p_value(threshold, side) == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    interval = stats.ttest_1samp(x, threshold).confidence_interval(0.9)
    found = t_alone(fit(x))
    assert (found.lower(0.05), found.upper(0.05)) == pytest.approx((interval.low, interval.high), rel=1e-9, abs=1e-9)


@given(values, st.sampled_from([-4.0, 0.5, 3.0]))
def test_bounds_move_with_shift_and_scale(x, scale):
    low, high = fit(x).lower(0.05), fit(x).upper(0.05)
    assert fit(x + 7).lower(0.05) == pytest.approx(low + 7, abs=1e-6)
    scaled = fit(scale * x)
    ends = sorted((scale * low, scale * high))
    assert [scaled.lower(0.05), scaled.upper(0.05)] == pytest.approx(ends, rel=1e-9, abs=1e-6)


@given(values, st.floats(-1e3, 1e3), st.sampled_from([0.001, 0.05, 0.2]))
def test_below_on_the_data_is_above_on_the_negated_data(x, threshold, alpha):
    below = decide(fit(x), parse_region(f"< {threshold:f}"), alpha)
    assert decide(fit(-x), parse_region(f"> {-threshold:f}"), alpha) is below


@given(values, st.randoms())
def test_the_order_of_prompts_is_of_no_account(x, random):
    y = list(x)
    random.shuffle(y)
    assert fit(y).lower(0.05) == pytest.approx(fit(x).lower(0.05), rel=1e-9, abs=1e-9)


def test_one_value_has_no_spread():
    with pytest.raises(Undecidable, match="one value has no spread: a t bound needs at least 2 prompts, here 1"):
        fit([1.5])


def test_no_value_is_undecidable():
    with pytest.raises(Undecidable, match="needs at least 2 prompts, here 0"):
        fit([])


@pytest.mark.parametrize(("n", "alpha"), [(2, 0.25), (3, 0.125), (4, 0.1), (5, 0.05), (6, 0.02), (7, 0.01)])
def test_so_many_values_that_agree_are_enough(n, alpha):
    found = fit(np.linspace(1, 1.001, n))
    assert found.lower(alpha) > 0.99
    assert found.lower(0.99 / 2**n) == -np.inf  # the signs of n values are all alike in 1 of 2^n samples
    assert feasibility(MEAN, parse_region("> 0"), alpha, n) == ()
    assert feasibility(MEAN, parse_region("> 0"), alpha, n - 1)[0] == "hopeless" or 0.5 ** (n - 1) <= alpha


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, -3.3, 1e-12, 1e12, 0.8047])
@pytest.mark.parametrize("n", [2, 3, 25, 1000, 4097])
def test_equal_values_are_undecidable_whatever_their_rounding(value, n):
    with pytest.raises(Undecidable, match=r"values are .*: without spread"):
        fit(np.full(n, value))


def test_ties_are_data_like_any_other():
    assert fit([1, 1, 1, 2]).value == 1.25


@pytest.mark.parametrize("name", ["mean", "geometric_mean"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_never_reaches_a_verdict(bad, name):
    with pytest.raises(Undecidable, match="1 of 3 values of last_gain are not finite numbers"):
        fit([0.5, bad, 0.6], name)


def test_a_statistic_says_what_it_assumes_and_what_it_is():
    for name in STATISTICS:
        assert STATISTICS[name].assumes
        assert STATISTICS[name].doc
