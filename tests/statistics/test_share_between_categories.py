"""The share of variance between categories, against SciPy's analysis of variance and what is known of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data
from refutable.statistics.region import parse_region
from refutable.statistics.sample import Sample
from refutable.statistics.share_between_categories import BetweenFit, noncentrality
from refutable.verdicts.falsifiability.reachable import feasibility
from refutable.verdicts.judge import decide
from refutable.verdicts.verdict import Verdict

settings.load_profile("ci")

FIVE = tuple(np.repeat(list("abcde"), 5))


def fit(values, clusters=FIVE):
    sample = Sample("m", np.asarray(values, float), "prompt", clusters)
    return STATISTICS["share_between_categories"].fit(Data((sample,)))


@given(st.integers(0, 10_000), st.lists(st.integers(2, 8), min_size=2, max_size=6))
@settings(max_examples=30)
def test_the_f_ratio_and_its_p_value_are_scipys_whatever_the_sizes(seed, sizes):
    rng = np.random.default_rng(seed)
    groups = [rng.normal(rng.normal(), 1, size) for size in sizes]
    labels = tuple(np.repeat([f"c{i}" for i in range(len(sizes))], sizes))
    order = rng.permutation(sum(sizes))
    found = fit(np.concatenate(groups)[order], tuple(np.array(labels)[order]))
    f, p = stats.f_oneway(*groups)
    assert found.f == pytest.approx(f)
    assert found.p_value(1e-300, "above") == pytest.approx(p)
    assert (decide(found, parse_region("> 0"), 0.05) is Verdict.SUPPORTED) == (p < 0.05)


@given(st.floats(0.01, 200), st.integers(2, 8), st.integers(10, 500), st.sampled_from([0.01, 0.05, 0.5, 0.95]))
@settings(max_examples=50)
def test_a_bound_is_where_scipys_noncentral_f_has_that_tail(f, k, n, level):
    nc = noncentrality(f, k, n, level)
    central = stats.f.cdf(f, k - 1, n - k)
    assert (nc == 0) == (central <= level)
    if nc:
        assert stats.ncf.cdf(f, k - 1, n - k, nc) == pytest.approx(level, rel=1e-6)


@given(st.floats(0.01, 200), st.integers(2, 8), st.integers(10, 5000), st.floats(1e-3, 1e5))
@settings(max_examples=60)
def test_the_law_is_scipys_wherever_that_is_a_number(f, k, n, nc):
    expected = stats.ncf.cdf(f, k - 1, n - k, nc)
    if not math.isnan(expected):
        assert BetweenFit(f, k, n, "prompt").p_value(nc / (nc + n), "below") == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("f", "k", "n", "nc"), [(24.76, 2, 25, 2475.0), (12.385, 3, 25, 2475.0), (677.95, 3, 10000, 4285.714285714286)]
)
def test_the_law_is_a_number_where_scipys_is_none(f, k, n, nc):
    rng = np.random.default_rng(0)
    drawn = (rng.noncentral_chisquare(k - 1, nc, 200_000) / (k - 1)) / (rng.chisquare(n - k, 200_000) / (n - k))
    noncentral = noncentrality(f, k, n, 0.5)
    assert noncentral < nc
    again = (rng.noncentral_chisquare(k - 1, noncentral, 200_000) / (k - 1)) / (rng.chisquare(n - k, 200_000) / (n - k))
    assert np.mean(again <= f) == pytest.approx(0.5, abs=0.005)
    assert np.mean(drawn <= f) < 0.5


def test_the_approximation_for_very_large_ratios_joins_the_exact_law():
    k, n = 3, 30
    for tail in (0.01, 0.05, 0.5, 0.95):
        f = 1e8 / (k - 1) * (n - k) / special.chdtri(n - k, tail)  # whose tail is this at a noncentrality of about 1e8
        one, other = (BetweenFit(f, k, n, "prompt").p_value(nc / (nc + n), "below") for nc in (0.99999e8, 1.00001e8))
        assert other < one
        assert (one, other) == pytest.approx((tail, tail), rel=3e-3)


@given(st.integers(0, 1000), st.floats(0.1, 50), st.floats(-5, 5))
@settings(max_examples=20)
def test_neither_scale_nor_shift_nor_names_matter(seed, scale, shift):
    x = np.random.default_rng(seed).normal(size=25)
    renamed = tuple({"a": "z", "b": "y"}.get(name, name) for name in FIVE)
    assert fit(scale * x + shift, renamed).f == pytest.approx(fit(x).f, rel=1e-6)


def test_categories_that_have_nothing_to_do_with_it_have_no_share_and_those_that_are_all_have_all():
    rng = np.random.default_rng(3)
    none, all_ = rng.normal(size=1000), np.repeat(np.arange(5.0), 200) + 1e-3 * rng.normal(size=1000)
    labels = tuple(np.repeat(list("abcde"), 200))
    assert fit(none, labels).upper(0.05) < 0.03
    assert decide(fit(none, labels), parse_region("< 0.05"), 0.05) is Verdict.SUPPORTED
    assert fit(all_, labels).lower(0.05) > 0.999


def test_no_data_show_that_categories_have_no_share_at_all():
    chosen = STATISTICS["share_between_categories"]
    assert feasibility(chosen, parse_region("> 0"), 0.05, 25) == ("unrefutable: no n would do",)
    alike = fit(np.tile([1.0, 2.0, 3.0, 4.0, 5.0], 5))  # every category has the same values: F is 0
    assert alike.f == pytest.approx(0, abs=1e-12)
    assert 0 < alike.upper(0.05) < 1e-300
    assert decide(alike, parse_region("> 0"), 0.05) is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("values", "clusters", "reason"),
    [
        (np.arange(25), (), "these prompts have 0"),
        (np.arange(25), ("a",) * 25, "these prompts have 1"),
        (np.arange(25), ("a",) * 5 + ("",) * 20, "these prompts have 1"),
        (np.arange(5), tuple("abcde"), "every category has one prompt"),
        (np.repeat(np.arange(5), 5), FIVE, "m does not vary inside any category"),
    ],
)
def test_what_cannot_be_taken_apart_is_refused_with_the_reason(values, clusters, reason):
    with pytest.raises(Undecidable, match=reason):
        fit(values, clusters)


def test_a_prompt_without_a_category_is_left_out():
    x = np.random.default_rng(0).normal(size=25)
    assert fit(np.append(x, [99.0, -99.0]), (*FIVE, "", "")) == fit(x)


@given(st.integers(0, 1000), st.integers(2, 5), st.integers(2, 6))
@settings(max_examples=20)
def test_the_value_is_omega_squared_by_sums_of_squares(seed, k, size):
    rng = np.random.default_rng(seed)
    groups = [rng.normal(3 * rng.normal(), 1, size) for _ in range(k)]
    x, n = np.concatenate(groups), k * size
    within = sum(((g - g.mean()) ** 2).sum() for g in groups)
    between = sum(size * (g.mean() - x.mean()) ** 2 for g in groups)
    error = within / (n - k)
    # Hays: (between - (k - 1) error) / (between + within + error), never below 0
    expected = max(0.0, (between - (k - 1) * error) / (between + within + error))
    assert fit(x, tuple(np.repeat(list("abcdefgh"[:k]), size))).value == pytest.approx(expected, abs=1e-9)


def test_a_ratio_without_end_and_ratios_beyond_what_the_exact_law_can_do():
    endless = BetweenFit(math.inf, 3, 30, "prompt")
    assert (endless.value, endless.lower(0.05), endless.upper(0.05)) == (1.0, 1.0, 1.0)
    assert (endless.p_value(0.9, "above"), endless.p_value(0.9, "below")) == (0.0, 1.0)
    vast = BetweenFit(1e12, 3, 30, "prompt")
    assert 0 < 1 - vast.upper(0.05) < 1 - vast.value < 1 - vast.lower(0.05) < 1e-10
    assert vast.p_value(vast.lower(0.05), "above") == pytest.approx(0.05, rel=1e-3)
    assert vast.p_value(vast.upper(0.05), "below") == pytest.approx(0.05, rel=1e-3)


def test_a_share_is_between_0_and_1():
    found = fit(np.random.default_rng(0).normal(size=25))
    assert [found.p_value(t, s) for t in (-0.1, 0.0) for s in ("above", "below")] == [0.0, 1.0, 0.0, 1.0]
    assert [found.p_value(t, s) for t in (1.0, 1.1) for s in ("above", "below")] == [1.0, 0.0, 1.0, 0.0]
    assert [found.power(t, s, 0.05, 0.3, 25) for t in (-0.1, 1.0) for s in ("above", "below")] == [1.0, 0.0, 0.0, 1.0]
    assert found.power(0.1, "above", 0.05, 0.9, 5) == 0.0  # five prompts in five categories
    assert found.power(-0.1, "above", 0.05, 0.9, 5) == 0.0
    assert found.power(0.0, "below", 0.05, 0.0, 25) == pytest.approx(0.05)


@pytest.mark.parametrize(("side", "threshold", "true"), [("above", 0.1, 0.4), ("below", 0.5, 0.2), ("above", 0.0, 0.1)])
def test_power_is_scipys_noncentral_f(side, threshold, true):
    k, n, tail = 5, 40, 0.05
    found = fit(np.random.default_rng(0).normal(size=25))
    at, really = (n * share / (1 - share) for share in (threshold, true))
    critical = stats.ncf(k - 1, n - k, at).ppf(1 - tail if side == "above" else tail)
    law = stats.ncf(k - 1, n - k, really)
    expected = law.sf(critical) if side == "above" else law.cdf(critical)
    assert found.power(threshold, side, tail, true, n) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("predicts", "n", "labels"),
    [
        ("within [0.2, 0.4]", 25, ("unsupportable: needs 132",)),
        ("within [0.2, 0.4]", 132, ()),
        ("within [0.2, 0.4]", 131, ("unsupportable: needs 132",)),
        ("within [0.5, 1]", 25, ()),
        ("within [0.5, 1.5]", 25, ()),
        ("within [-0.5, 0.2]", 25, ()),
        ("within [0, 0.2]", 25, ()),
        ("> 0.9", 3, ()),
        ("< 0.01", 3, ()),
    ],
)
def test_how_many_prompts_could_show_it_is_said_before_any_is_read(predicts, n, labels):
    assert feasibility(STATISTICS["share_between_categories"], parse_region(predicts), 0.05, n) == labels


def test_power_is_how_often_the_bound_lies_beyond_the_threshold():
    rng = np.random.default_rng(1)
    steps = np.repeat(np.arange(5) - 2.0, 5)
    apart = math.sqrt(25 * 0.4 / 0.6 / (steps @ steps)) * steps  # omega squared 0.4
    drawn = [fit(apart + rng.normal(size=25)) for _ in range(600)]
    for threshold in (0.0, 0.1):
        seen = np.mean([one.lower(0.05) > threshold for one in drawn])
        assert drawn[0].power(threshold, "above", 0.05, 0.4, 25) == pytest.approx(seen, abs=0.06)
