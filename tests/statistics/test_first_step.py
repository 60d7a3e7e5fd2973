"""The first step from which something holds: a planted one, its bounds, and their error rates."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from refutable.statistics.first_step import FirstStepFit

STEPS = np.array([0.0, 1.0, 10.0, 100.0, 1000.0])


def fit(p_holds: list[float], p_fails: list[float]) -> FirstStepFit:
    holds = np.array(p_holds) < 0.5
    return FirstStepFit(STEPS, holds, np.array(p_holds), np.array(p_fails), 25, "prompt")


def test_its_value_and_bounds_are_where_the_checkpoints_say() -> None:
    found = fit([1.0, 0.9, 0.2, 0.01, 0.001], [0.001, 0.1, 0.8, 0.9, 1.0])
    assert found.value == 10  # the point estimates hold at the last three
    assert found.upper(0.05) == 100  # shown at the last two
    assert found.lower(0.05) == 1  # shown not to hold at step 0: 5 x 0.001 <= 0.05
    assert found.p_value(100, "below") == 0.01
    assert found.p_value(99, "below") == 0.2
    assert found.p_value(1, "above") == pytest.approx(0.005)  # Bonferroni over five checkpoints
    assert found.p_value(10, "above") == pytest.approx(0.5)
    assert found.p_value(0, "above") == 0.0  # it is never before the first checkpoint


def test_what_does_not_hold_at_the_last_checkpoint_lies_beyond_it() -> None:
    found = fit([0.01, 0.01, 0.01, 0.01, 0.9], [1.0, 1.0, 1.0, 1.0, 0.001])
    assert found.value == found.upper(0.05) == found.lower(0.05) == math.inf
    assert found.p_value(1000, "below") == 0.9
    assert found.p_value(math.inf, "above") == pytest.approx(0.005)


def test_a_checkpoint_that_holds_early_and_not_later_does_not_count() -> None:
    assert fit([0.01, 0.9, 0.01, 0.01, 0.01], [1.0] * 5).value == 10


@pytest.mark.parametrize("side", ["below", "above"])
def test_a_bound_reaches_a_threshold_at_its_p_value(side: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        found = fit(rng.uniform(size=5).tolist(), rng.uniform(0, 0.2, size=5).tolist())
        for threshold in STEPS[1:]:
            p = found.p_value(threshold, side)  # type: ignore[arg-type]
            reached = found.upper(p) <= threshold if side == "below" else found.lower(p) >= threshold
            assert reached or p == 1.0
            short = p * 0.999 - 1e-12
            before = found.upper(short) <= threshold if side == "below" else found.lower(short) >= threshold
            assert not before


def test_both_bounds_err_no_more_often_than_they_say() -> None:
    rng = np.random.default_rng(1)
    alpha, n, trials = 0.05, 20, 2000
    truth = np.array(
        [0.0, 0.4, 0.5, 0.9, 1.0]
    )  # of each checkpoint; "> 0.5" holds from step 100 on, and just fails at 10
    too_low = too_high = 0
    for _ in range(trials):
        common = rng.normal(size=n)  # the same prompts at every checkpoint
        values = truth[:, None] + 0.7 * common + 0.7 * rng.normal(size=(5, n))
        found = FirstStepFit(STEPS, values.mean(axis=1) > 0.5, *_tests(values, 0.5), n, "prompt")
        too_low += found.upper(alpha) < 100
        too_high += found.lower(alpha) > 100
    for errors in (too_low, too_high):
        assert stats.binomtest(errors, trials, alpha, alternative="greater").pvalue > 1e-3
    assert too_low > 0  # at the edge of the null hypothesis the rate is used up, and not zero


def _tests(values: NDArray[np.float64], threshold: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    above = stats.ttest_1samp(values, threshold, axis=1, alternative="greater").pvalue
    return above, 1 - above
