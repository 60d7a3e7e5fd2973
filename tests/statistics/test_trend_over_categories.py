"""A trend over categories: exact on their means, against scipy and every order, whatever prompts of one share."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data
from refutable.statistics.region import parse_region
from refutable.statistics.sample import Sample
from refutable.verdicts.judge import decide
from refutable.verdicts.verdict import Verdict

OVER = STATISTICS["trend_over_categories"]
NAMES = ("Factual", "Syntactic", "Cliche", "Novel", "Nonsense")
NUMBERS = (1, 5, 2, 4, 3)  # the notebook's
LEVELS = np.array([1.0, 1.9, 1.2, 1.6, 1.5])  # in the order of the numbers


def fit(gains, numbers, clusters, unit="prompt"):
    """Fit gains, one a prompt, on numbers, each prompt of a cluster."""
    samples = (("last_gain", gains), ("prompt_complexity", numbers))
    return OVER.fit(Data(tuple(Sample(name, np.asarray(v, float), unit, tuple(clusters)) for name, v in samples)))


def of_means(means, prompts=5, spread=0.0, seed=0):
    """Fit five categories of as many prompts, of these means exactly."""
    noise = np.random.default_rng(seed).normal(size=(5, prompts))
    gains = np.asarray(means)[:, None] + spread * (noise - noise.mean(axis=1, keepdims=True))
    return fit(gains.ravel(), np.repeat(NUMBERS, prompts), np.repeat(NAMES, prompts).tolist())


def test_five_categories_in_order_have_p_of_one_in_120():
    found = of_means(LEVELS)
    assert (found.n, found.unit) == (5, "category")
    assert found.p_value(0, "above") == pytest.approx(1 / math.factorial(5))
    assert found.p_value(0, "below") == pytest.approx(1.0)
    assert found.effect_size(0) == 1.0
    assert decide(found, parse_region("> 0"), 0.025) is Verdict.SUPPORTED
    assert decide(found, parse_region("< 0"), 0.025) is Verdict.REFUTED
    assert found.lower(0.025) == pytest.approx(0.1)  # from 3 to 4, the least steep: no pair may be against the bound
    assert of_means(-LEVELS).p_value(0, "below") == pytest.approx(1 / 120)


def test_a_categorys_mean_is_of_its_own_prompts_however_many_it_has():
    found = fit([1, 3, 5, 5, 5, 5, 9], [1, 1, 2, 2, 2, 2, 3], list("aabbbbc"))
    assert found.value == pytest.approx(3.5)  # means 2, 5 and 9: slopes 3, 4 and 3.5


def test_one_pair_out_of_order_leaves_it_open_at_2_5_percent_and_not_at_5():
    found = of_means([1.0, 1.9, 1.2, 1.5, 1.6])  # 3 and 4 exchanged: 5 of 120 orders have one pair against it or none
    assert found.p_value(0, "above") == pytest.approx(5 / 120)
    assert decide(found, parse_region("> 0"), 0.025) is Verdict.INCONCLUSIVE
    assert decide(found, parse_region("> 0"), 0.05) is Verdict.SUPPORTED


def test_every_order_of_the_categories_has_scipys_exact_p():
    for means in itertools.permutations(range(5)):
        expected = stats.kendalltau(means, NUMBERS, alternative="greater", method="exact").pvalue
        assert of_means(means).p_value(0, "above") == pytest.approx(expected)


@pytest.mark.parametrize("prompts", [2, 5, 20])
def test_what_happens_inside_a_category_changes_nothing_and_more_prompts_prove_no_more(prompts):
    few, many = of_means(LEVELS, 1), of_means(LEVELS, prompts, spread=3.0)
    assert many.n == few.n == 5
    assert many.value == pytest.approx(few.value)
    assert [many.lower(t) for t in (0.01, 0.05)] == pytest.approx([few.lower(t) for t in (0.01, 0.05)])


def test_on_categories_of_one_unit_it_is_the_trend():
    rng = np.random.default_rng(1)
    gains, numbers = rng.normal(size=12), rng.integers(0, 6, 12)
    samples = tuple(Sample(name, np.asarray(v, float), "model") for name, v in (("g", gains), ("x", numbers)))
    found, expected = fit(gains, numbers, map(str, range(12))), STATISTICS["trend"].fit(Data(samples))
    assert found.value == pytest.approx(expected.value)
    assert found.upper(0.05) == pytest.approx(expected.upper(0.05))


def test_where_categories_differ_it_keeps_alpha_and_a_rank_correlation_over_prompts_does_not():
    rng, runs, alpha = np.random.default_rng(0), 1500, 0.025
    wrong = {"over": 0, "prompts": 0}
    numbers = np.repeat(NUMBERS, 5).astype(float)
    for _ in range(runs):
        gains = np.repeat(rng.normal(size=5), 5) + rng.normal(size=25)  # ICC 0.5, unrelated to the numbers
        wrong["over"] += fit(gains, numbers, np.repeat(NAMES, 5).tolist()).lower(alpha) > 0
        wrong["prompts"] += stats.spearmanr(gains, numbers, alternative="greater").pvalue <= alpha
    assert wrong["over"] / runs <= 1 / 120 + 3 * math.sqrt(1 / 120 / runs)
    assert wrong["prompts"] / runs > 0.08


def test_models_are_taken_by_family():
    found = fit([1.0, 1.2, 2.0, 2.2, 3.0, 3.2], [1, 3, 5, 7, 9, 11], ["a", "a", "b", "b", "c", "c"], "model")
    assert (found.n, found.unit) == (3, "family")
    assert found.value == pytest.approx(0.25)  # means 1.1, 2.1, 3.1 at 2, 6, 10


def test_a_prompt_without_a_category_is_left_out():
    found = fit([1.0, 2.0, 99.0], [1, 2, 3], ["a", "b", ""])
    assert (found.n, found.value) == (2, 1.0)


@pytest.mark.parametrize(
    ("gains", "numbers", "clusters", "reason"),
    [
        ([1.0, 2.0, 3.0], [1, 2], ["a", "b", "c"], "3 values and prompt_complexity 2: they do not pair"),
        ([1.0, 2.0], [1, 2], [], "at least 2 of them, and these prompts have 0"),
        ([1.0, 2.0], [1, 2], ["a", "a"], "at least 2 of them, and these prompts have 1"),
        ([1.0, 2.0, 3.0], [4, 4, 4], ["a", "b", "c"], "every prompt_complexity is 4"),
    ],
)
def test_categories_that_cannot_rise_are_refused_with_the_reason(gains, numbers, clusters, reason):
    with pytest.raises(Undecidable, match=reason):
        fit(gains, numbers, clusters)
