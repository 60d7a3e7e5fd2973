"""Correlations where one variable's spread depends on the other: against leaving out by hand, and their error rates."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from refutable.statistics import STATISTICS, Data
from refutable.statistics.jackknife import (
    error_of_z,
    pearson_without,
    pearson_without_each,
    spearman_within_without,
    spearman_without,
)
from refutable.statistics.sample import Sample


def fit(name, *values, clusters=()):
    return STATISTICS[name].fit(Data(tuple(Sample("drawn", np.asarray(v), "prompt", clusters) for v in values)))


def residuals(v, given):
    return v - np.polyval(np.polyfit(given, v, 1), given)


def test_leaving_one_out_is_leaving_it_out():
    rng = np.random.default_rng(0)
    x, y, z = rng.normal(size=(3, 12))
    without = [np.delete(np.arange(12), i) for i in range(12)]
    found = pearson_without(x - x.mean(), y - y.mean(), np.full(12, 1 / 12))
    assert found == pytest.approx([stats.pearsonr(x[i], y[i]).statistic for i in without])
    leverage = 1 / 12 + (z - z.mean()) ** 2 / ((z - z.mean()) ** 2).sum()
    found = pearson_without(residuals(x, z), residuals(y, z), leverage)
    by_hand = [np.corrcoef(residuals(x[i], z[i]), residuals(y[i], z[i]))[0, 1] for i in without]
    assert found == pytest.approx(by_hand)


@pytest.mark.parametrize("decimals", [0, 6])
def test_leaving_one_out_ranks_the_others_anew_also_with_ties(decimals):
    rng = np.random.default_rng(1)
    x, y = np.round(rng.normal(size=(2, 300)), decimals)
    found = spearman_without(stats.rankdata(x), stats.rankdata(y))
    for i in (0, 7, 256, 299):
        others = np.delete(np.arange(300), i)
        assert found[i] == pytest.approx(stats.spearmanr(x[others], y[others]).statistic)


def test_leaving_one_out_moves_its_categorys_mean():
    rng = np.random.default_rng(2)
    groups = np.array([0, 0, 0, 1, 1, 1, 1, 2, 2])
    x, y = rng.normal(size=(2, 9)) + groups

    def left(v, of):
        return v - np.array([v[of == g].mean() for g in of])

    dx, dy = left(x, groups), left(y, groups)
    sizes = np.bincount(groups)
    pearson, spearman = pearson_without(dx, dy, 1 / sizes[groups]), spearman_within_without(dx, dy, groups)
    for i in range(9):
        others = np.delete(np.arange(9), i)
        a, b = left(x[others], groups[others]), left(y[others], groups[others])
        assert pearson[i] == pytest.approx(np.corrcoef(a, b)[0, 1])
        assert spearman[i] == pytest.approx(stats.spearmanr(a, b).statistic)


def test_where_one_unit_alone_makes_the_correlation_nothing_is_bounded():
    found = fit("pearson", [0.0] * 9 + [1.0], [0.1, 0.2, 0.1, 0.3, 0.2, 0.1, 0.2, 0.3, 0.1, 9.0])
    assert found.jackknife == math.inf
    assert (found.lower(0.05), found.upper(0.05)) == (-1.0, 1.0)


def test_its_error_is_that_of_the_pseudovalues():
    rng = np.random.default_rng(0)
    without = rng.uniform(0.2, 0.6, 20)
    pseudo = 20 * 0.5 - 19 * np.arctanh(without)
    assert error_of_z(without) == pytest.approx(pseudo.std(ddof=1) / math.sqrt(20))


def random_signs(rng, n, clusters):
    """Return y = x with random signs, both normal, about categories' means: uncorrelated and not independent."""
    x = rng.normal(size=n)
    y = x * rng.choice([-1, 1], n)
    shift = rng.normal(size=(2, 5)) * 3 if clusters else np.zeros((2, 5))
    of = np.arange(n) % 5
    return x + shift[0, of], y + shift[1, of]


@pytest.mark.slow
@pytest.mark.parametrize("n", [10, 25, 100])  # Pearson .16, Spearman .10 to .13, the others .13 to .17
@pytest.mark.parametrize(
    "name",
    ["pearson", "spearman", "partial_correlation", "pearson_within_categories", "spearman_within_categories"],
)
def test_no_correlation_with_random_signs(name, n):
    rng, runs, missed, alphas = np.random.default_rng(0), 600, 0, (0.01, 0.05, 0.1)
    missed = np.zeros((3, 2))
    for _ in range(runs):
        x, y = random_signs(rng, n, "within" in name)
        third = [rng.normal(size=n)] if name == "partial_correlation" else []
        clusters = tuple((np.arange(n) % 5).astype(str)) if "within" in name else ()
        found = fit(name, *(v + sum(third) for v in (x, y)), *third, clusters=clusters)
        missed += [[found.lower(a) > 0, found.upper(a) < 0] for a in alphas]
    for alpha, worst in zip(alphas, missed.max(axis=1) / runs, strict=True):
        assert worst <= alpha + 3 * math.sqrt(alpha * (1 - alpha) / runs), alpha


@pytest.mark.parametrize("offset", [0.0, 1e6])
@given(
    groups=st.lists(st.integers(0, 4), min_size=6, max_size=40),
    seed=st.integers(0, 10_000),
    heavy=st.sampled_from([1.0, 1e3, 1e9]),
)
@settings(max_examples=60, deadline=None)
def test_pearson_without_each_group_is_that_of_the_others(
    offset: float, groups: list[int], seed: int, heavy: float
) -> None:
    rng = np.random.default_rng(seed)
    of = np.unique(groups, return_inverse=True)[1]
    x, y = rng.normal(size=(2, len(of)))
    x[of == 0] *= heavy  # what is left without this group is a small part of the whole
    x += offset
    found = pearson_without_each(x, y, of)
    for group, r in enumerate(found):
        a, b = x[of != group], y[of != group]
        if len(a) < 2 or np.ptp(a) < 1e-5 * np.ptp(x) or np.ptp(b) == 0:
            continue  # of which rounding decides
        assert r == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-7 if offset else 1e-9)


def test_nothing_is_left_where_a_variable_varies_in_one_group_alone() -> None:
    x, y = np.array([1.0, 2.0, 5.0, 5.0, 5.0, 5.0]), np.array([3.0, 1.0, 2.0, 4.0, 1.0, 7.0])
    found = pearson_without_each(x, y, np.array([0, 0, 1, 1, 2, 2]))
    assert np.isnan(found[0])
    assert np.isfinite(found[1:]).all()
