"""The share of layers that pass: a census of layers, prompts as replicates, Holm over layers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data
from refutable.statistics.region import parse_region
from refutable.statistics.sample import Sample
from refutable.verdicts.falsifiability.reachable import feasibility
from refutable.verdicts.judge import decide, judge
from refutable.verdicts.verdict import Verdict

settings.load_profile("ci")  # no deadline on a busy machine, the same inputs every time

LAYERS = STATISTICS["layers_passing"]


def fit(values, holds="< 1"):
    return LAYERS.fit(Data((Sample("attention_gain", np.asarray(values, dtype=float), "prompt"),), parse_region(holds)))


def layers(means, prompts=25, sd=0.05, seed=0):
    """Return values of shape (prompts, layers) with exactly these means and standard deviation."""
    noise = np.random.default_rng(seed).normal(size=(prompts, len(means)))
    noise = (noise - noise.mean(axis=0)) / noise.std(axis=0, ddof=1)
    return np.asarray(means) + sd * noise


def test_28_of_28_layers_are_supported_where_25_prompts_agree():
    found = fit(layers([0.5] * 28))
    assert (found.value, found.lower(0.05), found.upper(0.05), found.n) == (1.0, 1.0, 1.0, 25)
    judged = judge(found, parse_region(">= 0.97"), 0.05, LAYERS, ("attention_gain",))
    assert judged.verdict is Verdict.SUPPORTED


def test_31_of_32_layers_are_96_9_percent_and_below_the_line_of_97():
    found = fit(layers([0.5] * 31 + [1.5]))
    assert found.value == pytest.approx(0.96875)
    assert decide(found, parse_region(">= 0.97"), 0.05) is Verdict.REFUTED
    assert decide(found, parse_region(">= 0.96"), 0.05) is Verdict.SUPPORTED


def test_a_layer_too_near_to_call_brackets_the_share():
    found = fit(layers([0.5, 0.5, 1.0, 1.5]))
    assert (found.lower(0.05), found.upper(0.05)) == (0.5, 0.75)
    assert decide(found, parse_region("> 0.6"), 0.05) is Verdict.INCONCLUSIVE


def mean_alone(column):
    return STATISTICS["mean"].fit(Data((Sample("attention_gain", column, "prompt"),)))


def test_the_p_values_are_those_of_means_after_holm():
    values = layers([0.97, 0.98, 1.01], sd=0.05)
    found = fit(values)
    raw = np.array([mean_alone(values[:, i]).p_value(1, "below") for i in range(3)])
    np.testing.assert_allclose(found.p_pass, raw)
    first, second, third = sorted(raw)  # Holm: times 3, 2, 1, never decreasing
    for count, expected in (
        (1, 3 * first),
        (2, max(3 * first, 2 * second)),
        (3, max(3 * first, 2 * second, third)),
    ):
        assert found.p_value(count / 3, "above") == pytest.approx(min(1, expected))


def test_no_proof_is_stronger_than_the_deals_that_were_looked_at():
    found = fit(layers([3.0], sd=0.05))  # t = 200 with 24 degrees of freedom
    assert found.p_fail[0] == pytest.approx(1 / 10_001)


def test_two_ended_conditions_must_be_proved_at_both_ends_and_may_fail_at_either():
    found = fit(layers([0.5, 0.2, 0.8, 0.4]), "within [0.4, 0.6]")
    assert found.passing == 2
    assert (found.lower(0.05), found.upper(0.05)) == (
        0.25,
        0.5,
    )  # the layer at 0.4 sits on the end: not proved


@given(st.lists(st.sampled_from([0.5, 0.97, 0.99, 1.0, 1.02, 1.5]), min_size=1, max_size=6), st.integers(0, 50))
def test_what_holds_and_its_contrary_mirror_each_other(means, seed):
    values = layers(means, 8, seed=seed)
    found, contrary = fit(values, "< 1"), fit(values, "> 1")
    assert found.lower(0.05) == pytest.approx(1 - contrary.upper(0.05))
    assert found.lower(0.05) <= found.upper(0.05)


@given(st.lists(st.floats(0.9, 1.1), min_size=1, max_size=6), st.permutations(range(6)), st.integers(0, 50))
def test_the_order_of_layers_and_the_scale_are_of_no_account(means, order, seed):
    values = layers(means, 5, seed=seed)
    again = values[:, [i for i in order if i < len(means)]]
    assert fit(again).lower(0.05) == fit(values).lower(0.05)
    assert fit(4 * values, "< 4").lower(0.05) == fit(values).lower(0.05)


@given(
    st.lists(st.floats(0.9, 1.1), min_size=1, max_size=6),
    st.sampled_from([">= 0", "> 0", "> 0.5", ">= 0.5", ">= 1", "< 1", "<= 0.5", "< 0.5", "<= 0.7"]),
    st.integers(0, 50),
)
def test_the_p_value_is_at_most_alpha_exactly_where_the_claim_is_supported(means, prediction, seed):
    judged = judge(fit(layers(means, 6, seed=seed)), parse_region(prediction), 0.05, LAYERS, ("attention_gain",))
    assert (judged.estimate.p <= 0.05) == (judged.verdict is Verdict.SUPPORTED)


@pytest.mark.parametrize("prompts", [0, 1])
def test_one_prompt_or_none_proves_nothing(prompts):
    with pytest.raises(Undecidable, match=f"needs at least 2, here {prompts}"):
        fit(np.full((prompts, 3), 0.5))


@pytest.mark.parametrize("value", [0.0, 0.1, 0.5, 0.8047, 1.0, 1.7])
@pytest.mark.parametrize("prompts", [2, 3, 25, 1000])
def test_layers_without_spread_are_proved_neither_way_whatever_their_rounding(value, prompts):
    found = fit(np.full((prompts, 4), value))
    assert (found.lower(0.05), found.upper(0.05)) == (0.0, 1.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_never_reaches_a_verdict(bad):
    values = layers([0.5] * 4)
    values[3, 2] = bad
    with pytest.raises(Undecidable, match="1 of 100 values of attention_gain are not finite"):
        fit(values)


def test_five_prompts_can_support_or_refute_at_5_percent_and_four_cannot():
    region = parse_region(">= 0.97")
    assert feasibility(LAYERS, region, 0.05, 4) == (
        "hopeless",
        "unsupportable: needs 5",
        "unrefutable: needs 5",
    )
    assert feasibility(LAYERS, region, 0.05, 5) == ()


@pytest.mark.parametrize("prediction", ["within [0.4, 0.6]", "within [0.9, 1]", "within [0.32, 0.34]"])
def test_a_two_sided_share_of_layers_is_within_reach(prediction):
    assert feasibility(LAYERS, parse_region(prediction), 0.05, 25) == ()


@pytest.mark.parametrize("holds", ["< 1", "> 1", "within [0.97, 1.02]"])
def test_the_p_value_is_the_smallest_error_probability_at_which_the_bound_gets_there(holds):
    found = fit(layers([0.9, 0.985, 0.99, 1.01, 1.06, 1.1], prompts=9), holds)
    less = 1 - 1e-9
    for count in range(1, 7):
        p, q = found.p_value(count / 6, "above"), found.p_value(1 - count / 6, "below")
        assert found.lower(p) >= count / 6 or p == 1
        assert found.upper(q) <= 1 - count / 6 or q == 1
        assert found.lower(p * less) < count / 6
        assert found.upper(q * less) > 1 - count / 6


@pytest.mark.parametrize("n", [2, 3, 12, 25])
def test_each_layers_p_is_that_of_its_mean_at_either_end(n):
    values = layers([0.95, 1.0, 1.01, 1.2], prompts=n)
    means = [mean_alone(column) for column in values.T]
    low, not_low = ([found.p_value(0.98, side) for found in means] for side in ("above", "below"))
    high, not_high = ([found.p_value(1.05, side) for found in means] for side in ("below", "above"))
    above, below, between = fit(values, "> 0.98"), fit(values, "< 1.05"), fit(values, "within [0.98, 1.05]")
    np.testing.assert_allclose(above.p_pass, low)
    np.testing.assert_allclose(above.p_fail, not_low)
    np.testing.assert_allclose(below.p_pass, high)
    np.testing.assert_allclose(between.p_pass, np.maximum(low, high))  # both ends must be proved
    np.testing.assert_allclose(between.p_fail, np.minimum(1, 2 * np.minimum(not_low, not_high)))  # either may fail


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_any_share_of_layers_can_be_proved_exactly(share):
    fits = LAYERS.extremes(25, parse_region(f"within [{share}, {share}]"))
    assert [found.value for found in fits] == [1.0, 0.0, share]
    assert all(found.lower(0.05) == found.value == found.upper(0.05) for found in fits)
