"""These categories, or categories like these: two estimands, each with its own bounds and error rate."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data
from refutable.statistics.over import CLUSTERED, STRATIFIED, statistic_over
from refutable.statistics.region import parse_region
from refutable.statistics.sample import Sample

FIVE = tuple(np.repeat(list("abcde"), 5))


def fit(name, *values, clusters=FIVE, holds=None):
    samples = tuple(Sample("last_gain", np.asarray(v, dtype=float), "prompt", clusters) for v in values)
    return STATISTICS[name].fit(Data(samples, parse_region(holds) if holds else None))


def apart(rng, between=3.0):
    """Return 25 values in five categories far from each other, with mean 0 over these categories."""
    shift = rng.normal(0, between, 5)
    return np.repeat(shift - shift.mean(), 5) + rng.normal(size=25)


@pytest.mark.parametrize(("name", "other"), [*STRATIFIED.items(), *CLUSTERED.items()])
def test_every_version_takes_what_the_statistic_takes(name, other):
    assert STATISTICS[other].takes.like(STATISTICS[name].takes, counting=False)
    assert STATISTICS[other].takes.counts == STATISTICS[name].takes.counts


def test_a_claim_chooses_by_a_keyword():
    assert statistic_over("mean", "these_categories") == "stratified_mean"
    assert statistic_over("mean", "categories_like_these") == "clustered_mean"
    assert statistic_over("boundary", "these_categories") is None


def test_the_clustered_median_is_the_sign_test_of_the_categories_medians():
    x = np.arange(25.0).reshape(5, 5) + np.array([0, 0, 0, 0, 100])  # one heavy prompt in each category
    found = fit("clustered_median", x.ravel())
    assert (found.value, found.n, found.unit) == (12.0, 5, "category")  # of 2, 7, 12, 17 and 22
    assert found.lower(1 / 32) == 2.0
    assert found.lower(1 / 33) == -math.inf
    assert found.p_value(1.0, "above") == pytest.approx(1 / 32)


def test_the_clustered_trimmed_mean_leaves_a_category_apart_out():
    x = np.repeat([1.0, 2, 3, 4, 500], 5)
    found = fit("clustered_trimmed_mean", x)
    assert (found.value, found.n, found.unit) == (3.0, 5, "category")  # of 2, 3 and 4
    with pytest.raises(Undecidable, match="at least 5, here 4"):
        fit("clustered_trimmed_mean", x[:20], clusters=FIVE[:20])


@pytest.mark.parametrize("name", ["clustered_median", "clustered_trimmed_mean"])
def test_prompts_as_units_err_where_categories_as_units_do_not(name):
    """Twenty categories of five, ICC 0.8: an upper bound below the truth, at alpha 5 %."""
    rng, runs, number = np.random.default_rng(0), 400, 20
    clusters = tuple(map(str, np.repeat(np.arange(number), 5)))
    wrong = {name: 0, name.removeprefix("clustered_"): 0}
    for _ in range(runs):
        x = np.repeat(2 * rng.normal(size=number), 5) + rng.normal(size=5 * number)
        for one in wrong:
            wrong[one] += fit(one, x, clusters=clusters).upper(0.05) < 0
    of_categories, of_prompts = (count / runs for count in wrong.values())
    assert of_categories <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)
    assert of_prompts > 0.15


def test_both_estimate_the_mean_and_only_one_counts_differences_between_categories():
    x = apart(np.random.default_rng(0)) + 5
    these, like = fit("stratified_mean", x), fit("clustered_mean", x)
    assert these.value == pytest.approx(like.value) == pytest.approx(x.mean())
    assert these.error < like.error / 3
    assert (these.n, like.n, like.unit) == (25, 5, "category")


def test_the_stratified_error_is_that_of_the_categories_own_variances():
    rng = np.random.default_rng(1)
    clusters = tuple("aaa" + "bbbbb" + "cc")
    x = rng.normal(size=10) + np.repeat([0, 4, 9], [3, 5, 2])
    found = fit("stratified_mean", x, clusters=clusters)
    parts = [len(g) ** 2 / 100 * g.var(ddof=1) / len(g) for g in (x[:3], x[3:8], x[8:])]
    assert found.value == pytest.approx(x.mean())
    assert found.error == pytest.approx(math.sqrt(sum(parts)))
    assert found.freedom == pytest.approx(sum(parts) ** 2 / (parts[0] ** 2 / 2 + parts[1] ** 2 / 4 + parts[2] ** 2))


def test_units_without_a_category_are_left_out():
    x = apart(np.random.default_rng(2))
    more, labels = [*x, 99.0], (*FIVE, "")
    for name in ("stratified_mean", "clustered_mean"):
        assert fit(name, more, clusters=labels) == fit(name, x)


@pytest.mark.parametrize("name", ["stratified_mean", "stratified_geometric_mean"])
def test_a_category_of_one_prompt_shows_no_spread(name):
    with pytest.raises(Undecidable, match="a category has one prompt"):
        fit(name, np.arange(1.0, 7), clusters=tuple("aabbbc"))


def test_five_categories_that_agree_prove_one_layer_and_not_two():
    values = np.abs(np.random.default_rng(0).normal(0.5, 0.01, (25, 2)))
    one = fit("clustered_layers_passing", values[:, :1], holds="< 1")
    two = fit("clustered_layers_passing", values, holds="< 1")
    assert one.p_pass[0] == pytest.approx(1 / 32)
    assert (one.lower(0.05), two.lower(0.05)) == (1.0, 0.0)
    assert (one.n, one.unit) == (5, "category")
    these = fit("stratified_layers_passing", values, holds="< 1")
    assert (these.lower(0.05), these.value, these.n) == (1.0, 1.0, 25)


def test_the_share_of_categories_like_these_is_bounded_by_their_number():
    found = fit("clustered_share", np.full(25, 0.5), holds="< 1")
    assert (found.value, found.n, found.unit) == (1.0, 5, "category")
    assert found.lower(0.05) == pytest.approx(0.4453, abs=1e-3)
    assert fit("share_of_prompts", np.full(25, 0.5), holds="< 1").lower(0.05) > 0.88


def test_a_correlation_that_categories_alone_make_is_none_of_categories_like_these():
    rng = np.random.default_rng(3)
    shift = np.repeat(rng.normal(0, 3, (2, 5)), 5, axis=1)
    x, y = rng.normal(size=(2, 25)) + shift
    found = fit("clustered_pearson", x, y)
    assert found.value == pytest.approx(stats.pearsonr(x, y).statistic)
    assert (found.n, found.unit) == (5, "category")
    assert found.upper(0.05) - found.lower(0.05) > fit("pearson", x, y).upper(0.05) - fit("pearson", x, y).lower(0.05)
    assert found.lower(0.03) == -1.0  # 0.03 < 1 / 32


def rates(name, draw, true, runs=500, alphas=(0.01, 0.05, 0.1), **options):
    rng, missed = np.random.default_rng(0), np.zeros((len(alphas), 2))
    for _ in range(runs):
        found = fit(name, *draw(rng), **options)
        missed += [[found.lower(a) > true, found.upper(a) < true] for a in alphas]
    return zip(alphas, missed.max(axis=1) / runs, strict=True)


def allowed(alpha, runs=500):
    return alpha + 3 * math.sqrt(alpha * (1 - alpha) / runs)


def _sample_of_categories(rng):
    return np.repeat(rng.normal(0, 1, 5), 5) + rng.normal(size=25)


def _heavy(rng):
    x = apart(rng)
    x -= np.repeat(x.reshape(5, 5).mean(axis=1), 5)
    x = np.repeat([-4.0, -1, 0, 2, 3], 5) + rng.normal(size=25)
    x[[0, 7, 20]] += 50 * rng.choice([-1, 1], 3)
    return x


STRATA = np.repeat([-4.0, -1, 0, 2, 3], 5)
DRAWS = {
    "five categories of many": ("clustered_mean", lambda rng: (_sample_of_categories(rng),)),
    "these five": ("stratified_mean", lambda rng: (STRATA + rng.normal(size=25),)),
    "these five, spread threefold": (
        "stratified_mean",
        lambda rng: (STRATA + rng.normal(size=25) * np.repeat([1, 1, 2, 3, 3], 5),),
    ),
    "these five, three heavy prompts": ("stratified_mean", lambda rng: (_heavy(rng),)),
    "these five, two ends": ("stratified_mean", lambda rng: (STRATA + rng.beta(0.1, 0.1, 25) - 0.5,)),
    "correlations of five categories of many": (
        "clustered_pearson",
        lambda rng: (_sample_of_categories(rng), _sample_of_categories(rng)),
    ),
    "rank correlations of five categories of many": (
        "clustered_spearman",
        lambda rng: (_sample_of_categories(rng), _sample_of_categories(rng)),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", DRAWS)
def test_each_keeps_its_rate_over_what_it_speaks_of(kind):
    name, draw = DRAWS[kind]
    alphas = (0.01, 0.05) if "heavy" in kind else (0.01, 0.05, 0.1)
    for alpha, rate in rates(name, draw, 0.0, alphas=alphas):
        assert rate <= allowed(alpha), alpha


@pytest.mark.slow
def test_a_share_over_five_categories_of_many_keeps_its_rate():
    def draw(rng):
        return ((rng.random(25) < np.repeat(rng.random(5), 5)).astype(float),)

    for alpha, rate in rates("clustered_share", draw, 0.5, holds="> 0.5"):
        assert rate <= allowed(alpha)


@pytest.mark.slow
def test_a_share_of_prompts_holds_over_these_categories_whatever_their_probabilities():
    chances = np.repeat([0.02, 0.5, 0.9, 0.99, 0.59], 5)  # 0.6 on average

    def draw(rng):
        return ((rng.random(25) < chances).astype(float),)

    for name in ("share_of_prompts", "share_anytime"):
        for alpha, rate in rates(name, draw, 0.6, holds="> 0.5"):
            assert rate <= allowed(alpha)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["clustered_layers_passing", "layers_passing"])
def test_any_false_layer_over_categories_like_these(name):  # .21 to .60 of samples with prompts as units
    rng, runs, wrong = np.random.default_rng(0), 400, 0
    for _ in range(runs):
        values = np.repeat(rng.normal(0, 1, (5, 6)), 5, axis=0) + 0.5 * rng.normal(size=(25, 6))
        wrong += fit(name, values, holds="< 0").lower(0.05) > 0
    assert wrong / runs <= allowed(0.05, runs) if name == "clustered_layers_passing" else wrong / runs > 0.2
