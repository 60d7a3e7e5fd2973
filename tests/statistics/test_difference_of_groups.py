"""The difference between two groups of models, against scipy's Welch test."""

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
from refutable.verdicts.judge import decide

settings.load_profile("ci")  # no deadline on a busy machine, the same inputs every time

group = arrays(np.float64, st.integers(2, 8), elements=st.floats(-10, 10).map(lambda x: round(x, 2)), unique=True)


def fit(first, second):
    samples = [Sample("last_gain", np.asarray(v, dtype=float), "model") for v in (first, second)]
    return STATISTICS["difference_of_groups"].fit(Data(tuple(samples)))


def test_by_hand():
    found = fit([1, 2, 3], [2, 4, 6])
    assert found.value == -2.0
    assert found.error == pytest.approx((1 / 3 + 4 / 3) ** 0.5)  # variances 1 and 4, three models each
    assert found.freedom == pytest.approx((5 / 3) ** 2 / ((1 / 3) ** 2 / 2 + (4 / 3) ** 2 / 2))
    assert found.sd == pytest.approx(2.5**0.5)
    assert (found.n, found.unit) == (6, "model")


@given(group, group, st.floats(-5, 5))
def test_it_is_scipys_welch_test(first, second, threshold):
    found = t_alone(fit(first, second))
    for side, alternative in (("above", "greater"), ("below", "less")):
        expected = stats.ttest_ind(first - threshold, second, equal_var=False, alternative=alternative)
        assert found.p_value(threshold, side) == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    interval = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.9)
    assert (found.lower(0.05), found.upper(0.05)) == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-9)


@given(group, group, st.floats(-5, 5))
def test_exchanging_the_groups_exchanges_below_and_above(first, second, threshold):
    below = decide(fit(first, second), parse_region(f"< {threshold:f}"), 0.05)
    assert decide(fit(second, first), parse_region(f"> {-threshold:f}"), 0.05) is below


@given(group, group)
def test_a_shift_of_both_groups_changes_nothing_and_scale_scales(first, second):
    low = fit(first, second).lower(0.05)
    assert fit(first + 5, second + 5).lower(0.05) == pytest.approx(low, abs=1e-6)
    assert fit(4 * first, 4 * second).lower(0.05) == pytest.approx(4 * low, rel=1e-9)


@pytest.mark.parametrize(("first", "second"), [([], [1, 2]), ([1], [1, 2]), ([1, 2], [3]), ([], [])])
def test_a_group_of_fewer_than_two_models_shows_no_spread(first, second):
    with pytest.raises(Undecidable, match=f"groups of {len(first)} and {len(second)} models: each needs at least 2"):
        fit(first, second)


@pytest.mark.parametrize(("a", "b"), [(1.0, 2.0), (0.1, 0.3), (0.7, 0.7)])
@pytest.mark.parametrize("n", [2, 3, 7])
def test_groups_that_agree_exactly_are_undecidable_whatever_their_rounding(a, b, n):
    # three times 0.1 have a variance of 3e-34, not 0: taken for spread it would have decided anything
    with pytest.raises(Undecidable, match="the models of each group all agree exactly"):
        fit([a] * n, [b] * n)


def test_one_group_that_agrees_leaves_the_other_groups_spread():
    found = fit([1, 1, 1], [1, 2, 3])
    assert found.freedom == pytest.approx(2)  # those of the second group alone
    assert np.isfinite(found.lower(0.1))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_never_reaches_a_verdict(bad):
    with pytest.raises(Undecidable, match="1 of 2 values of last_gain are not finite"):
        fit([1, bad], [1, 2, 3])


def test_cohens_d_is_in_pooled_standard_deviations():
    assert fit([1, 2, 3], [2, 4, 6]).effect_size(0.0) == pytest.approx(-2 / 2.5**0.5)
