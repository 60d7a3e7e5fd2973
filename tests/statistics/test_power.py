"""What an open question says would settle it, held to simulation: the n it names decides in about 80 % of runs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from benchmarks.calibration.scenarios import pair
from refutable.statistics import STATISTICS, Data
from refutable.statistics.assumptions import Shape
from refutable.statistics.power import deciding_n, deciding_range, outlook, smallest_effect
from refutable.statistics.region import parse_region
from refutable.statistics.sample import Sample
from refutable.verdicts.judge import decide

RUNS = 600
ERROR = 4 * math.sqrt(0.8 * 0.2 / RUNS)  # four Monte-Carlo standard errors: 0.065


def fit(name, *values, holds=None):
    samples = tuple(Sample("last_gain", np.asarray(v, dtype=float), "prompt") for v in values)
    return STATISTICS[name].fit(Data(samples, parse_region(holds) if holds else None))


def exactly(mean, sd, n):
    """Return n normal-looking values of exactly this mean and standard deviation."""
    x = stats.norm.ppf((np.arange(n) + 0.5) / n)
    return mean + sd * (x - x.mean()) / x.std(ddof=1)


def decided(name, draw, prediction, holds=None):
    rng, region = np.random.default_rng(0), parse_region(prediction)
    return np.mean([decide(fit(name, *draw(rng), holds=holds), region, 0.05).decided for _ in range(RUNS)])


@pytest.mark.parametrize("prediction", ["< 1", "within [0.5, 1]", "within [1, 2]"])
def test_the_n_that_a_mean_names_decides_in_80_percent(prediction):
    n = deciding_n(fit("mean", exactly(0.9, 0.4, 25)), parse_region(prediction), 0.05)
    rate = decided("mean", lambda rng: (rng.normal(0.9, 0.4, n),), prediction)
    assert rate == pytest.approx(0.8, abs=ERROR + 0.01)


def test_the_n_of_a_mean_is_the_textbooks():
    # (z_0.95 + z_0.8)^2 sd^2 / d^2 = (1.645 + 0.842)^2 16 = 98.9, and one or two more for t
    assert deciding_n(fit("mean", exactly(0.9, 0.4, 25)), parse_region("< 1"), 0.05) in (100, 101)


def test_the_smallest_effect_of_a_mean_is_seen_in_80_percent():
    effect = smallest_effect(fit("mean", exactly(1.0, 0.4, 25)), 1.0, "below", 0.05)
    rate = decided("mean", lambda rng: (rng.normal(1 - effect, 0.4, 25),), "< 1")
    assert rate == pytest.approx(0.8, abs=ERROR)


def test_the_n_that_a_geometric_mean_names_decides_in_80_percent():
    n = deciding_n(fit("geometric_mean", np.exp(exactly(-0.1, 0.4, 25))), parse_region("< 1"), 0.05)
    rate = decided("geometric_mean", lambda rng: (rng.lognormal(-0.1, 0.4, n),), "< 1")
    assert rate == pytest.approx(0.8, abs=ERROR)


def test_the_n_that_a_correlation_names_decides_in_80_percent():
    x, y = exactly(0, 1, 30), np.roll(exactly(0, 1, 30), 15)
    mixed = fit("pearson", x, 0.3 * x + y)
    n = deciding_n(mixed, parse_region("> 0"), 0.05)
    rate = decided("pearson", lambda rng: pair(rng, Shape.NORMAL, n, abs(mixed.value)), "> 0")
    assert rate == pytest.approx(0.8, abs=ERROR + 0.02)


@pytest.mark.parametrize(("k", "n", "prediction"), [(18, 25, "> 0.5"), (24, 25, ">= 0.9"), (10, 25, "< 0.5")])
def test_the_n_that_a_share_names_decides_in_80_percent_and_one_fewer_does_not(k, n, prediction):
    found = fit("share_of_prompts", np.repeat([0.5, 1.5], [k, n - k]), holds="< 1")
    region = parse_region(prediction)
    needed = deciding_n(found, region, 0.05)
    rate = decided("share_of_prompts", lambda rng: (rng.random(needed),), prediction, holds=f"< {k / n}")
    assert rate == pytest.approx(0.8, abs=ERROR + 0.05)  # it rises in steps
    assert rate >= 0.8 - ERROR


def test_the_n_that_welch_names_decides_in_80_percent():
    found = fit("difference_of_groups", exactly(0.3, 1, 6), exactly(0, 1, 6))
    n = deciding_n(found, parse_region("> 0"), 0.05)
    rate = decided(
        "difference_of_groups", lambda rng: (rng.normal(0.3, 1, n // 2), rng.normal(0, 1, n - n // 2)), "> 0"
    )
    assert rate == pytest.approx(0.8, abs=ERROR + 0.01)


def test_a_value_on_the_threshold_is_decided_by_no_n():
    assert deciding_n(fit("mean", exactly(1.0, 0.4, 25)), parse_region("< 1"), 0.05) is None


def test_a_perfect_correlation_of_five_cannot_see_beyond_0_9():
    found = fit("spearman", [1, 2, 3, 4, 5], [1, 2, 3, 5, 4])
    assert smallest_effect(found, 0.9, "above", 0.001) is None


def test_the_range_of_n_holds_the_number_that_the_truth_needs_in_most_samples():
    rng, region = np.random.default_rng(0), parse_region("< 1")
    needed = deciding_n(fit("mean", exactly(0.8, 0.4, 1000)), region, 0.05)
    held = []
    for _ in range(200):
        low, best, high = deciding_range(fit("mean", rng.normal(0.8, 0.4, 25)), region, 0.05)
        assert low <= (best or math.inf) <= (high or math.inf)
        held.append(low <= needed <= (high or math.inf))
    assert np.mean(held) >= 0.5


def test_a_value_that_may_lie_on_either_side_names_no_largest_n():
    low, best, high = deciding_range(fit("mean", exactly(0.99, 0.4, 25)), parse_region("< 1"), 0.05)
    assert (low < best, high) == (True, None)
    said = outlook(fit("mean", exactly(0.99, 0.4, 25)), parse_region("< 1"), 0.05, None)["n that would decide"]
    assert f"{low} to more than 1000000 prompts; {best} were 0.99 the true value" in said


@pytest.mark.parametrize("name", ["geometric_mean", "ratio_of_means", "pearson", "share_of_prompts", "median"])
def test_every_range_is_in_order(name):
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0.4, 0.9, 25), rng.uniform(0.4, 0.9, 25)
    found = fit(
        name, *((x, y) if name in ("ratio_of_means", "pearson") else (x,)), holds="< 0.7" if "share" in name else None
    )
    for text in ("> 0.1", "< 0.9", "within [0.2, 0.95]"):
        low, best, high = (math.inf if n is None else n for n in deciding_range(found, parse_region(text), 0.05))
        assert low <= best <= high
