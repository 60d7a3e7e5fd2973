"""What is said of assumptions beside a verdict: against scipy, a published table and the algebra of variances."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from refutable.statistics import STATISTICS, Data
from refutable.statistics.check_assumptions import check, clustering
from refutable.statistics.sample import Sample

# Shrout and Fleiss (1979), Psychological Bulletin 86, table 2: six targets, four judges; their ICC(1, 1) is .17
TARGETS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float)
UNEQUAL = ("a",) * 2 + ("b",) * 3 + ("c",) * 7


def sample(values, clusters=()):
    return Sample("last_gain", np.asarray(values, dtype=float), "prompt", tuple(clusters))


def groups(values, clusters):
    labels = np.array(clusters)
    return [np.asarray(values)[labels == name] for name in dict.fromkeys(clusters)]


def test_it_is_shrout_and_fleiss_intraclass_correlation():
    found = clustering(sample(TARGETS.ravel(), np.repeat(list("abcdef"), 4)))
    assert found.icc == pytest.approx(0.17, abs=0.005)
    f, p = stats.f_oneway(*TARGETS)
    assert found.icc == pytest.approx((f - 1) / (f + 3))
    assert found.p == pytest.approx(p)


@pytest.mark.parametrize("clusters", [UNEQUAL, ("a", "b") * 6, ("a",) + ("b",) * 11, ("a", "b", "c") + ("d",) * 9])
def test_its_parts_of_the_variance_are_those_that_the_mean_squares_expect(clusters):
    """Solve E[between] = m sb + sw, E[within] = sw, where m is the trace of the between square on the groups' own."""
    values = np.random.default_rng(0).normal(size=12) + (np.array(clusters) == "a")
    member = np.equal.outer(np.array(clusters), np.unique(clusters)).astype(float)  # (12, k)
    k = member.shape[1]
    onto = member @ np.linalg.inv(member.T @ member) @ member.T - np.full((12, 12), 1 / 12)
    between = values @ onto @ values / (k - 1)
    within = sum(((g - g.mean()) ** 2).sum() for g in groups(values, clusters)) / (12 - k)
    sb = (between - within) / (np.trace(onto @ member @ member.T) / (k - 1))
    found = clustering(sample(values, clusters))
    assert found.icc == pytest.approx(sb / (sb + within))
    assert found.p == pytest.approx(stats.f_oneway(*groups(values, clusters)).pvalue)


def test_units_without_a_category_are_left_out():
    inside = np.random.default_rng(0).normal(size=12)
    outside = [50.0, 60.0, 70.0]
    assert clustering(sample([*inside, *outside], [*UNEQUAL, "", "", ""])) == clustering(sample(inside, UNEQUAL))
    assert clustering(sample([1, 1, 1, 1, 5], ["a", "a", "b", "b", ""])) is None  # no spread among those that have one


@pytest.mark.parametrize(
    ("values", "clusters"),
    [
        ([1, 2, 3, 4], ()),
        ([1, 2, 3, 4], ("a", "b")),
        ([1, 2, 3, 4], ("", "", "", "")),
        ([1, 2, 3, 4], ("a", "a", "a", "a")),
        ([1, 2, 3, 4], ("a", "b", "c", "d")),
        ([2, 2, 2, 2], ("a", "a", "b", "b")),
    ],
)
def test_without_categories_of_several_units_or_without_spread_nothing_is_said_of_clustering(values, clusters):
    assert clustering(sample(values, clusters)) is None
    seen = check(STATISTICS["mean"], Data((sample(values, clusters),)))
    assert not any("clustering" in line for line in seen.details)


def test_categories_that_each_agree_are_wholly_clustered():
    assert clustering(sample([1, 1, 2, 2, 2], "aabbb")) == (1.0, 0.0)
    seen = check(STATISTICS["mean"], Data((sample([1, 1, 2, 2, 2], "aabbb"),)))
    assert seen.labels == ("clustered by category (ICC 1)",)


@pytest.mark.parametrize("values", [[1, 2, 4], [1, 1, 1, 9], [3, 1, 4, 1, 5, 9, 2, 6], [-8, -1, 0, 1, 2]])
def test_the_skewness_is_scipys_unbiased_one(values):
    seen = check(STATISTICS["mean"], Data((sample(values),)))
    assert seen.details["skewness of last_gain"] == f"{stats.skew(values, bias=False):.2g}"


@pytest.mark.parametrize("values", [[1, 2], [3, 3, 3]])
def test_two_values_or_equal_ones_have_no_skewness(values):
    assert list(check(STATISTICS["mean"], Data((sample(values),))).details) == ["assumes"]


def test_three_units_are_enough_to_look_at_clustering():
    seen = check(STATISTICS["mean"], Data((sample([1, 2, 9], "aab"),)))
    assert seen.details["clustering of last_gain"].endswith(f"p = {stats.f_oneway([1, 2], [9]).pvalue:.2g}")


@pytest.mark.parametrize("name", ["slope", "power_law_exponent"])
def test_a_line_that_one_far_unit_decides_says_so(name):
    rng = np.random.default_rng(0)
    x, y = 3 + 0.1 * rng.normal(size=25), 1 + 0.01 * rng.normal(size=25)
    near = check(STATISTICS[name], Data((sample(y), sample(x))))
    assert not any(label.startswith("one-unit-decides") for label in near.labels)
    x[-1], y[-1] = 8, 9
    far = check(STATISTICS[name], Data((sample(y), sample(x))))
    assert any(label.startswith("one-unit-decides (leverage 0.9") for label in far.labels)
    assert far.details["leverage"].startswith("0.9")
    assert not any("one-unit" in label for label in check(STATISTICS["pearson"], Data((sample(y), sample(x)))).labels)


def test_leverage_is_that_of_the_hat_matrix():
    x = np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 60])
    design = np.column_stack([np.ones(9), x])
    hat = np.diag(design @ np.linalg.inv(design.T @ design) @ design.T) - 1 / 9
    found = check(STATISTICS["slope"], Data((sample(x**0.5), sample(x))))
    assert found.details["leverage"].startswith(f"{hat.max():.2g} ")
