"""The share of prompts, against scipy's exact binomial."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data
from refutable.statistics.region import parse_region
from refutable.statistics.sample import Sample
from refutable.statistics.share_of_prompts import ShareFit
from refutable.verdicts.falsifiability.reachable import feasibility
from refutable.verdicts.judge import decide, judge
from refutable.verdicts.verdict import Verdict

settings.load_profile("ci")  # no deadline on a busy machine, the same inputs every time

SHARE = STATISTICS["share_of_prompts"]


def fit(x, holds="< 1"):
    return SHARE.fit(Data((Sample("last_gain", np.asarray(x, dtype=float), "prompt"),), parse_region(holds)))


def of(k, n):
    return fit([0.5] * k + [1.5] * (n - k))


def test_25_agreeing_prompts_prove_a_share_of_0_887():
    assert of(25, 25).lower(0.05) == pytest.approx(0.887, abs=5e-4)  # 0.05 ** (1 / 25) = 0.8871
    assert of(25, 25).upper(0.05) == 1.0
    judged = judge(of(25, 25), parse_region(">= 0.97"), 0.05, SHARE, ("last_gain",))
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert judged.estimate.value == 1.0


def test_0_97_needs_99_prompts_and_no_fewer():
    region = parse_region(">= 0.97")
    # 0.05 ** (1 / 99) = 0.97019, 0.05 ** (1 / 98) = 0.96989
    assert feasibility(SHARE, region, 0.05, 25) == ("unsupportable: needs 99",)
    assert decide(of(99, 99), region, 0.05) is Verdict.SUPPORTED
    assert decide(of(98, 98), region, 0.05) is Verdict.INCONCLUSIVE
    assert feasibility(SHARE, region, 0.05, 98) == ("unsupportable: needs 99",)
    assert feasibility(SHARE, region, 0.05, 99) == ()


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.01, 0.99))
def test_it_is_scipys_exact_binomial(counts, threshold):
    k, n = counts
    interval = stats.binomtest(k, n).proportion_ci(0.9, method="exact")
    assert (of(k, n).lower(0.05), of(k, n).upper(0.05)) == pytest.approx((interval.low, interval.high), abs=1e-9)
    for side, alternative in (("above", "greater"), ("below", "less")):
        assert of(k, n).p_value(threshold, side) == pytest.approx(
            stats.binomtest(k, n, threshold, alternative).pvalue, abs=1e-9
        )


@given(st.lists(st.floats(0, 2), min_size=1, max_size=30))
def test_what_holds_and_its_contrary_mirror_each_other(x):
    assert fit(x, "< 1").lower(0.05) == pytest.approx(1 - fit(x, ">= 1").upper(0.05), abs=1e-9)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=20))
def test_ties_with_the_threshold_count_as_the_region_says(x):
    assert fit(x, "<= 2").k == sum(v <= 2 for v in x)
    assert fit(x, "< 2").k == sum(v < 2 for v in x)


@pytest.mark.parametrize(("k", "low", "high"), [(0, 0.0, 0.95), (1, 0.05, 1.0)])
def test_one_prompt_says_little(k, low, high):
    assert (of(k, 1).lower(0.05), of(k, 1).upper(0.05)) == pytest.approx((low, high))  # 0.05 ** (1 / 1)
    assert decide(of(k, 1), parse_region(">= 0.5"), 0.05) is Verdict.INCONCLUSIVE


def test_no_prompt_has_no_share():
    with pytest.raises(Undecidable, match="no unit, no share"):
        fit([])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_neither_holds_nor_fails(bad):
    with pytest.raises(Undecidable, match="25 of 25 values of last_gain are not finite numbers"):
        fit([bad] * 25)  # counted as failing, NaN would have refuted ">= 0.5"


@pytest.mark.parametrize("holds", ["< 1", "<= 1", "> 1", "within [0, 2]"])
def test_equal_values_have_a_share(holds):
    assert fit([1.0] * 10, holds).value in (0.0, 1.0)


def test_the_share_is_its_own_effect():
    assert of(1, 2).effect_size(0.5) is None


# Power and reach


def proves(k, n, threshold, side, tail):
    """Whether scipy's one-sided exact bound of k of n lies beyond the threshold."""
    found = stats.binomtest(k, n, alternative="greater" if side == "above" else "less")
    interval = found.proportion_ci(1 - tail, method="exact")
    return interval.low > threshold if side == "above" else interval.high < threshold


@pytest.mark.parametrize("side", ["above", "below"])
@pytest.mark.parametrize("threshold", [-0.1, 0.0, 0.03, 0.2, 0.5, 0.8, 0.97, 1.0, 1.1])
@pytest.mark.parametrize("n", [1, 2, 5, 13])
def test_power_is_the_chance_of_counts_whose_bound_lies_beyond(side, threshold, n):
    for tail in (0.01, 0.05, 0.3):
        proving = [k for k in range(n + 1) if proves(k, n, threshold, side, tail)]
        for value in (0.0, 0.1, 0.6, 0.9, 1.0):
            expected = sum(stats.binom.pmf(k, n, value) for k in proving)
            assert of(1, 2).power(threshold, side, tail, value, n) == pytest.approx(expected, abs=1e-9)


def test_a_bound_on_the_threshold_does_not_lie_beyond_it():
    # one of one has the lower bound `tail` itself; at 1 / 4 exactly
    assert of(1, 1).lower(0.25) == 0.25
    assert of(1, 2).power(0.25, "above", 0.25, 1.0, 1) == 0.0
    assert of(1, 2).power(0.2499, "above", 0.25, 1.0, 1) == 1.0


@pytest.mark.parametrize("threshold", [-0.5, 0.0, 1.0, 1.5])
@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 7), (3, 7), (7, 7)])
def test_a_bound_reaches_the_ends_of_all_shares_where_its_p_value_says_so(k, n, threshold):
    found = of(k, n)
    assert found.p_value(threshold, "above") == float(found.lower(0.05) < threshold)
    assert found.p_value(threshold, "below") == float(found.upper(0.05) > threshold)


@pytest.mark.parametrize(
    "region",
    [
        *("> 0.4", "<= 0.9", "within [0.2, 0.8]", "within [0.01, 0.3]", "within [0.001, 0.1]", "within [0, 0.2]"),
        *("within [0.7, 1]", "within [0.9, 0.995]", "within [0.3, 0.5]", "within [-0.5, 0.4]", "within [0.55, 1.5]"),
    ],
)
@pytest.mark.parametrize("alpha", [0.01, 0.2])
def test_no_verdict_is_called_out_of_reach_that_some_count_brings(region, alpha):
    region = parse_region(region)
    for n in (*range(1, 13), 25, 33, 34, 85):
        brought = {decide(ShareFit(k, n, "prompt"), region, alpha) for k in range(n + 1)}
        labels = " ".join(feasibility(SHARE, region, alpha, n))
        assert ("unsupportable" in labels) == (Verdict.SUPPORTED not in brought)
        assert ("unrefutable" in labels) == (Verdict.REFUTED not in brought)
