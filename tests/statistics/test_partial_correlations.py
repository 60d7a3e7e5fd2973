"""Correlations that hold something fixed, a third metric or the category: against regressions that hold it fixed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from t_alone import t_alone

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data
from refutable.statistics.sample import Sample

WITHIN = ["pearson_within_categories", "spearman_within_categories"]
THREE = tuple("aaaabbbccccc")  # 4, 3 and 5 prompts


def fit(name, *values, clusters=()):
    names = ("last_gain", "output_entropy", "prompt_length")
    values = (np.asarray(v, float) for v in values)
    return STATISTICS[name].fit(
        Data(tuple(Sample(of, v, "prompt", tuple(clusters)) for of, v in zip(names, values, strict=False)))
    )


def regressed(y, x, *fixed):
    """Return the partial correlation that the t of x says, in a regression of y on x and what is held fixed."""
    found = sm.OLS(y, np.column_stack([x, *fixed])).fit()
    t = float(found.tvalues[0])
    return t / math.sqrt(t**2 + found.df_resid)


def drawn(n=30, seed=0, shift=0.0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    return z + rng.normal(size=n) + shift, z + rng.normal(size=n) - shift, z + shift


@pytest.mark.parametrize("shift", [0.0, 5.0, 1e4])
def test_a_partial_correlation_is_the_regressions_wherever_zero_lies(shift):
    x, y, z = drawn(shift=shift)
    found, want = t_alone(fit("partial_correlation", x, y, z)), regressed(y, x, z - z.mean(), np.ones(30))
    assert found.value == pytest.approx(want, abs=1e-9)
    assert found.lower(0.05) == pytest.approx(
        math.tanh(math.atanh(want) - want / (2 * 28) - stats.norm.isf(0.05) / math.sqrt(30 - 4)), abs=1e-9
    )


def test_a_small_spread_on_a_large_mean_is_a_spread():
    x, y, z = drawn()
    assert fit("partial_correlation", x + 1e10, y, z).value == pytest.approx(
        fit("partial_correlation", x, y, z).value, abs=1e-4
    )


@pytest.mark.parametrize("line", [lambda z: 2 * z + 1, lambda z: 100 - z / 3])
def test_a_metric_on_a_line_in_what_is_held_fixed_leaves_nothing(line):
    x, _, z = drawn(shift=7.0)
    with pytest.raises(Undecidable, match="last_gain lies on a line in prompt_length"):
        fit("partial_correlation", line(z), x, z)
    with pytest.raises(Undecidable, match="output_entropy lies on a line in prompt_length"):
        fit("partial_correlation", x, line(z), z)


def test_five_units_are_enough_for_a_partial_correlation_and_four_are_not():
    with pytest.raises(Undecidable, match="needs at least 5 prompts, here 4"):
        fit("partial_correlation", *drawn(4))
    assert fit("partial_correlation", *drawn(5)).n == 5


# Within categories


def categorised(clusters=THREE, seed=1):
    """Return two metrics whose categories' means differ more than their prompts do."""
    rng, names = np.random.default_rng(seed), np.array(clusters)
    effect = np.array([10.0 * ord(name[0]) for name in names])
    x = rng.normal(size=len(names))
    return x + effect, 0.5 * x + rng.normal(size=len(names)) - effect


def test_pearson_within_categories_is_a_regressions_with_an_indicator_for_each():
    x, y = categorised()
    indicators = [np.array([name == one for name in THREE], float) for one in "abc"]
    found, want = t_alone(fit("pearson_within_categories", x, y, clusters=THREE)), regressed(y, x, *indicators)
    assert found.value == pytest.approx(want)
    assert (found.n, found.lost) == (12, 5)  # Fisher's 3, and two for three categories
    half = stats.norm.isf(0.05) / math.sqrt(12 - 5)
    assert found.upper(0.05) == pytest.approx(math.tanh(math.atanh(want) - want / (2 * 9) + half))


def test_spearman_within_categories_ranks_what_the_categories_means_leave():
    x, y = categorised()
    left = [v - np.repeat([v[:4].mean(), v[4:7].mean(), v[7:].mean()], [4, 3, 5]) for v in (x, y)]
    rho = stats.spearmanr(*left).statistic
    found = t_alone(fit("spearman_within_categories", x, y, clusters=THREE))
    assert found.value == pytest.approx(rho)
    assert found.error == pytest.approx(math.sqrt((1 + rho**2 / 2) / (12 - 5)))  # Bonett and Wright's, of 12 - 5
    assert found.lower(0.05) == pytest.approx(math.tanh(math.atanh(rho) - stats.norm.isf(0.05) * found.error))


def test_a_perfect_order_within_categories_is_the_next_to_perfect_one_of_the_units_left():
    x, _ = categorised()
    found = fit("spearman_within_categories", x, x, clusters=THREE)
    next_to = 1 - 12 / (10 * 99)  # 12 prompts less 2: 1 - 6 (1 + 1) / (n (n^2 - 1)), two neighbours exchanged
    assert (found.value, found.centre) == (pytest.approx(1), pytest.approx(math.atanh(next_to)))
    assert found.error == pytest.approx(math.sqrt((1 + next_to**2 / 2) / 7))


def test_within_one_category_spearman_is_spearman():
    x, y = categorised()
    one, plain = fit("spearman_within_categories", x, y, clusters="a" * 12), fit("spearman", x, y)
    assert (one.lower(0.05), one.upper(0.05)) == pytest.approx((plain.lower(0.05), plain.upper(0.05)))
    assert one.power(0.1, "above", 0.05, 0.9, 20) == plain.power(0.1, "above", 0.05, 0.9, 20)


@pytest.mark.parametrize("name", WITHIN)
def test_the_power_within_categories_counts_the_units_left(name):
    found = t_alone(fit(name, *categorised(), clusters=THREE))
    z = (math.atanh(0.6) - math.atanh(0.1)) / (found.error * math.sqrt((12 - 5) / (40 - 5)))
    assert found.power(0.1, "above", 0.05, 0.6, 40) == pytest.approx(stats.norm.sf(stats.norm.isf(0.05) - z))


@pytest.mark.parametrize("name", WITHIN)
def test_prompts_without_fellows_or_without_a_category_are_left_out(name):
    x, y = categorised()
    whole = fit(name, x, y, clusters=THREE)
    more = fit(name, [*x, 3.0, 4.0, 9.0], [*y, 5.0, 1.0, 2.0], clusters=(*THREE, "alone", "", ""))
    assert (more.value, more.error, more.n) == pytest.approx((whole.value, whole.error, 12))


@pytest.mark.parametrize("name", WITHIN)
@pytest.mark.parametrize(
    ("clusters", "why"),
    [
        ((), "these prompts have no category"),
        (("",) * 4, "these prompts have no category"),  # a table without that column
        (tuple("abcd"), "every category has one prompt: nothing varies inside it"),
        (tuple("aabb"), "needs at least 5 prompts, here 4"),
        (tuple("aabc"), "needs at least 4 prompts, here 2"),
    ],
)
def test_categories_that_leave_too_little_are_undecidable(name, clusters, why):
    with pytest.raises(Undecidable, match=why):
        fit(name, [1, 2, 4, 3], [2, 1, 3, 5], clusters=clusters)


@pytest.mark.parametrize("name", WITHIN)
@pytest.mark.parametrize("means", [(0.1, 0.3, 0.7), (1.0, 2.0, 3.0), (-0.1, 0.0, 1e6)])
def test_what_only_categories_make_vary_does_not_vary_inside_them(name, means):
    x, y = np.repeat(means, [4, 3, 5]), categorised()[1]
    with pytest.raises(Undecidable, match="last_gain does not vary inside any category"):
        fit(name, x, y, clusters=THREE)
    with pytest.raises(Undecidable, match="output_entropy does not vary inside any category"):
        fit(name, y, x, clusters=THREE)
