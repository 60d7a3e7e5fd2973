"""The share of variance between categories, against SciPy's analysis of variance and what is known of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from refutable.errors import Undecidable
from refutable.outcome import Verdict
from refutable.predicate import parse_region
from refutable.sample import Sample
from refutable.statistics import STATISTICS, Data
from refutable.statistics.share_between_categories import BetweenFit, noncentrality
from refutable.verdict import decide, feasibility

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


def test_the_approximation_for_very_large_ratios_joins_the_exact_law():
    below, beyond = (BetweenFit(f, 3, 30, "prompt") for f in (0.999e6, 1.001e6))
    for tail in (0.01, 0.05):
        assert 1 - below.lower(tail) == pytest.approx(1 - beyond.lower(tail), rel=0.01)
        assert 1 - below.upper(tail) == pytest.approx(1 - beyond.upper(tail), rel=0.01)


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


def test_power_is_how_often_the_bound_lies_beyond_the_threshold():
    rng = np.random.default_rng(1)
    steps = np.repeat(np.arange(5) - 2.0, 5)
    apart = math.sqrt(25 * 0.4 / 0.6 / (steps @ steps)) * steps  # omega squared 0.4
    drawn = [fit(apart + rng.normal(size=25)) for _ in range(600)]
    for threshold in (0.0, 0.1):
        seen = np.mean([one.lower(0.05) > threshold for one in drawn])
        assert drawn[0].power(threshold, "above", 0.05, 0.4, 25) == pytest.approx(seen, abs=0.06)
