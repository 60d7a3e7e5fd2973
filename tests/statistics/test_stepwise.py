"""Adjusted p-values against statsmodels and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from refutable.statistics.stepwise import benjamini_hochberg, holm

settings.load_profile("ci")  # no deadline on a busy machine, the same inputs every time

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=9)


@pytest.mark.slow
@given(P_VALUES)
@settings(max_examples=15)  # statsmodels collects garbage on each call: 50 ms
def test_holm_is_that_of_statsmodels(p):
    from statsmodels.stats import multitest

    assert holm(np.array(p)) == pytest.approx(multitest.multipletests(p, method="holm")[1])


@given(P_VALUES)
def test_benjamini_and_hochberg_are_those_of_scipy(p):
    assert benjamini_hochberg(np.array(p)) == pytest.approx(stats.false_discovery_control(p))


def test_no_p_value_is_adjusted_to_none():
    assert len(holm(np.array([]))) == len(benjamini_hochberg(np.array([]))) == 0
