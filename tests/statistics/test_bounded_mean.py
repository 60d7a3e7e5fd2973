"""The bounded mean's p-values: on either side, on other scales, at the ends of what can be."""

from __future__ import annotations

import math

import numpy as np
import pytest

from refutable.statistics import STATISTICS, Data
from refutable.statistics.bounded_mean import STAKES, BoundedFit
from refutable.statistics.sample import Sample

VALUES = np.array([0.2, 0.9, 0.7, 0.95, 0.8, 0.9, 1.0])


def fit(values):
    return STATISTICS["bounded_mean"].fit(Data((Sample("share", np.asarray(values, float), "prompt"),)))


def capital(values, mean):
    """Return what the bets against "the mean is at most `mean`" leave, stake by stake."""
    return np.mean([np.prod(1 - c + c * values / mean) for c in STAKES])


def test_the_stakes_follow_the_arcsine_law():
    # under it the mean of c is 1 / 2, of c^2 3 / 8, of c^3 5 / 16; as many nodes give these exactly
    assert [np.mean(STAKES**k) for k in (1, 2, 3)] == pytest.approx([1 / 2, 3 / 8, 5 / 16])


@pytest.mark.parametrize("mean", [0.1, 0.3, 0.5])
def test_a_p_value_is_one_over_the_capital_won_on_either_side(mean):
    want = min(1.0, 1 / capital(VALUES, mean))
    assert fit(VALUES).p_value(mean, "above") == pytest.approx(want)
    assert fit(1 - VALUES).p_value(1 - mean, "below") == pytest.approx(want)
    assert want < 0.8


@pytest.mark.parametrize("side", ["above", "below"])
@pytest.mark.parametrize("threshold", [-0.4, 0.0, 0.2, 0.9])
def test_on_another_scale_it_says_the_same(threshold, side):
    scaled = BoundedFit(VALUES, "model", -1.0, 1.0)  # of the values 2 x - 1
    assert scaled.p_value(threshold, side) == pytest.approx(fit(VALUES).p_value((threshold + 1) / 2, side))
    assert scaled.value == pytest.approx((2 * VALUES - 1).mean())
    assert scaled.lower(0.05) == pytest.approx(2 * fit(VALUES).lower(0.05) - 1)


@pytest.mark.parametrize("n", [1, 25])
def test_the_ends_of_what_can_be_are_beyond_no_mean_and_what_lies_outside_is_beyond_all(n):
    nothing, everything = fit(np.zeros(n)), fit(np.ones(n))
    for found in (nothing, everything, fit(VALUES)):
        assert (found.p_value(-0.1, "above"), found.p_value(1.1, "below")) == (0.0, 0.0)
        assert (found.p_value(1.1, "above"), found.p_value(-0.1, "below")) == (1.0, 1.0)
        assert (found.p_value(1.0, "above"), found.p_value(0.0, "below")) == (1.0, 1.0)
    assert nothing.p_value(math.nextafter(0, 1), "above") == 1.0  # a mean of 0 is not above 0
    assert everything.p_value(math.nextafter(1, 0), "below") == 1.0
    assert (nothing.p_value(0.0, "above"), everything.p_value(1.0, "below")) == (0.0, 0.0)  # the ends belong to it
    assert fit(VALUES).p_value(0.0, "above") == 0.0  # one value above 0 is proof enough
    assert (nothing.lower(0.05), everything.upper(0.05)) == (0.0, 1.0)
