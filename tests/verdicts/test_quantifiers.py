"""Quantifiers over models: what members make of the whole, and how often it errs."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from refutable.reports.terminal import interval_text
from refutable.statistics import STATISTICS, Data
from refutable.statistics.region import parse_region
from refutable.statistics.sample import Sample
from refutable.statistics.student import TFit
from refutable.verdicts.judge import Judgement, judge
from refutable.verdicts.quantifiers import combine, combine_variations, needed, partial_conjunction
from refutable.verdicts.robustness import Variation
from refutable.verdicts.verdict import UNVERIFIED_FACT, Verdict

settings.load_profile("ci")  # no deadline on a busy machine, the same inputs every time

SUPPORTED, REFUTED, INCONCLUSIVE = Verdict.SUPPORTED, Verdict.REFUTED, Verdict.INCONCLUSIVE
NOT_MEASURED, ERROR = Verdict.NOT_MEASURED, Verdict.ERROR
ALPHA = 0.05
QUANTIFIERS = ("all", "any", "majority")


def parts(*verdicts):
    return {f"model-{i}": Judgement(v, "< 1", f"reason {i}") for i, v in enumerate(verdicts)}


def measured(value, sd=1.0, n=25, alpha=ALPHA, region="< 1"):
    """Return the judgement on a mean that came out as `value`."""
    return judge(
        TFit(value, sd / math.sqrt(n), n - 1, sd, n, "prompt"),
        parse_region(region),
        alpha,
        STATISTICS["mean"],
        ("last_gain",),
    )


@pytest.mark.parametrize(
    ("quantifier", "members", "verdict"),
    [
        ("all", (SUPPORTED, SUPPORTED), SUPPORTED),
        ("all", (SUPPORTED, REFUTED), REFUTED),
        ("all", (SUPPORTED, INCONCLUSIVE), INCONCLUSIVE),
        ("all", (REFUTED, NOT_MEASURED), REFUTED),  # one counter-example is enough
        ("all", (SUPPORTED, NOT_MEASURED), INCONCLUSIVE),  # the one that is missing might be it
        ("all", (NOT_MEASURED, NOT_MEASURED), NOT_MEASURED),
        ("any", (REFUTED, REFUTED), REFUTED),
        ("any", (SUPPORTED, REFUTED), SUPPORTED),
        ("any", (REFUTED, INCONCLUSIVE), INCONCLUSIVE),
        ("any", (SUPPORTED, NOT_MEASURED), SUPPORTED),
        ("any", (REFUTED, NOT_MEASURED), INCONCLUSIVE),
        ("any", (NOT_MEASURED,), NOT_MEASURED),
        ("majority", (SUPPORTED, SUPPORTED, REFUTED), SUPPORTED),
        ("majority", (SUPPORTED, REFUTED, REFUTED), REFUTED),
        ("majority", (SUPPORTED, REFUTED), REFUTED),  # half is not over half
        ("majority", (SUPPORTED, SUPPORTED, NOT_MEASURED), SUPPORTED),  # two of three, whatever the third
        ("majority", (SUPPORTED, NOT_MEASURED, NOT_MEASURED), INCONCLUSIVE),
        ("majority", (SUPPORTED, NOT_MEASURED), INCONCLUSIVE),
        ("majority", (REFUTED, NOT_MEASURED), REFUTED),
        ("majority", (SUPPORTED, SUPPORTED, ERROR), ERROR),
        ("all", (SUPPORTED, ERROR), ERROR),
        ("all", (REFUTED, ERROR), ERROR),  # an error always shows
        ("any", (SUPPORTED, ERROR), ERROR),
        ("any", (NOT_MEASURED, ERROR), ERROR),
        ("all", (), NOT_MEASURED),  # of no model nothing is true
        ("any", (), NOT_MEASURED),
        ("majority", (), NOT_MEASURED),
    ],
)
def test_several_models_are_combined_by_their_quantifier(quantifier, members, verdict):
    assert combine(parts(*members), quantifier, "< 1", ALPHA).verdict is verdict


def test_a_combination_of_models_that_were_all_looked_at_names_none_as_missing():
    judged = combine(parts(SUPPORTED, REFUTED), "any", "< 1", ALPHA)
    assert judged.why == "any of 2 models: SUPPORTED model-0; REFUTED model-1"


def test_a_combination_names_every_member_and_keeps_its_reason():
    judged = combine(parts(SUPPORTED, NOT_MEASURED, SUPPORTED), "all", "< 1", ALPHA)
    assert judged.why == "all of 3 models, 2 looked at: SUPPORTED model-0, model-2; NOT_MEASURED model-1"
    assert judged.details == {
        "model-0": "SUPPORTED: reason 0",
        "model-1": "NOT_MEASURED: reason 1",
        "model-2": "SUPPORTED: reason 2",
    }
    assert (judged.predicts, judged.estimate) == ("< 1", None)


members = st.lists(st.sampled_from([SUPPORTED, REFUTED, INCONCLUSIVE, NOT_MEASURED, ERROR]), min_size=1, max_size=5)


@given(members)
def test_all_and_any_mirror_each_other(verdicts):
    mirror = {SUPPORTED: REFUTED, REFUTED: SUPPORTED}
    turned = [mirror.get(v, v) for v in verdicts]
    found = combine(parts(*verdicts), "all", "< 1", ALPHA).verdict
    assert combine(parts(*turned), "any", "< 1", ALPHA).verdict is mirror.get(found, found)


@given(members, st.sampled_from(QUANTIFIERS), st.randoms())
def test_the_names_and_order_of_models_are_of_no_account(verdicts, quantifier, random):
    shuffled = list(verdicts)
    random.shuffle(shuffled)
    first, second = (combine(parts(*some), quantifier, "< 1", ALPHA).verdict for some in (shuffled, verdicts))
    assert first is second


@given(members, st.sampled_from(QUANTIFIERS), st.integers(0, 4))
def test_a_member_that_is_not_measured_never_decides(verdicts, quantifier, which):
    """Taking a measurement away leaves the verdict or unsettles it; it never makes another."""
    whole = combine(parts(*verdicts), quantifier, "< 1", ALPHA).verdict
    verdicts[which % len(verdicts)] = NOT_MEASURED
    fewer = combine(parts(*verdicts), quantifier, "< 1", ALPHA).verdict
    assert whole is ERROR or fewer in (whole, INCONCLUSIVE, NOT_MEASURED)


# The p-values of the whole


def test_all_is_supported_without_a_correction_and_refuted_by_one_only_with_it():
    weak = measured(1 - 1.75 / 5)  # t = -1.75 at 24 degrees of freedom: p = 0.046
    assert (weak.verdict, round(weak.estimate.p, 3)) == (SUPPORTED, 0.046)
    judged = combine({f"m{i}": weak for i in range(10)}, "all", "< 1", ALPHA)
    assert (judged.verdict, judged.estimate.p) == (SUPPORTED, pytest.approx(weak.estimate.p))
    against = measured(1 + 1.75 / 5)
    judged = combine({"odd": against, **{f"m{i}": weak for i in range(9)}}, "all", "< 1", ALPHA)
    assert judged.verdict is INCONCLUSIVE
    assert judged.estimate.p_refuted == pytest.approx(10 * against.estimate.p_refuted)
    assert judged.why.endswith("; 1 REFUTED, as many as may be by chance among 10 (p = 0.464)")
    strong = combine({"odd": measured(2.0), **{f"m{i}": weak for i in range(9)}}, "all", "< 1", ALPHA)
    assert strong.verdict is REFUTED


def test_the_estimate_of_the_whole_is_the_share_of_models_looked_at():
    found = {"a": measured(0.1), "b": measured(2.0), "c": Judgement(NOT_MEASURED, "< 1", "absent")}
    estimate = combine(found, "majority", "< 1", ALPHA).estimate
    assert (estimate.value, estimate.n, estimate.unit, estimate.statistic) == (0.5, 2, "model", "majority")
    assert (estimate.low, estimate.high, estimate.level) == (1 / 3, 2 / 3, None)  # the missing one fails, or holds
    assert estimate.method == "share of 2 of 3 models, partial conjunction of 3 tests, 2 needed"
    assert interval_text(estimate) == "0.5 [0.3333, 0.6667]"
    whole = combine({name: found[name] for name in "ab"}, "majority", "< 1", ALPHA).estimate
    assert (whole.value, whole.low, whole.high) == (0.5, None, None)
    assert estimate.p == 1.0  # the second smallest of three, one of which is 1, and the largest but one near 1


def test_partial_conjunction_by_hand():
    p = [0.01, 0.2, 0.03, 1.0]
    assert partial_conjunction(p, 1) == pytest.approx(4 * 0.01)  # Bonferroni
    assert partial_conjunction(p, 2) == pytest.approx(3 * 0.03)
    assert partial_conjunction(p, 3) == pytest.approx(2 * 0.2)
    assert partial_conjunction(p, 4) == 1.0  # the largest
    assert [needed("majority", m) for m in (1, 2, 3, 4, 5)] == [1, 2, 2, 3, 3]


@given(st.lists(st.floats(0.0001, 0.9999), min_size=1, max_size=6), st.sampled_from(QUANTIFIERS))
def test_no_whole_is_both_supported_and_refuted(p, quantifier):
    support = partial_conjunction(p, needed(quantifier, len(p)))
    against = partial_conjunction([1 - x for x in p], len(p) - needed(quantifier, len(p)) + 1)
    assert support > ALPHA or against > ALPHA


@pytest.mark.parametrize("prediction", ["< 0.1", "<= 0.1", "> 0.1", ">= 0.1", "within [-0.3, 0.3]"])
@given(seed=st.integers(0, 1000))
def test_the_p_value_against_is_below_alpha_exactly_where_the_claim_is_refuted(prediction, seed):
    x = np.random.default_rng(seed).normal(0.4, 0.5, 12)
    judged = measured(float(x.mean()), float(x.std(ddof=1)), 12, region=prediction)
    assert (judged.estimate.p_refuted < ALPHA) == (judged.verdict is REFUTED)


@pytest.mark.parametrize("prediction", [">= 0.5", "> 0.5", "< 0.5", "<= 0.5", "within [0.25, 0.75]"])
@pytest.mark.parametrize("statistic", ["share_of_prompts", "layers_passing"])
@given(seed=st.integers(0, 1000), shift=st.floats(-1, 1))
def test_of_counts_too_each_p_value_is_within_alpha_exactly_where_that_verdict_falls(
    statistic, prediction, seed, shift
):
    shape = (30, 8) if statistic == "layers_passing" else 30
    x = np.random.default_rng(seed).normal(shift, 1, shape)
    fit = STATISTICS[statistic].fit(Data((Sample("layer_gain", x, "prompt"),), parse_region("> 0")))
    judged = judge(fit, parse_region(prediction), ALPHA, STATISTICS[statistic], ("layer_gain",))
    assert (judged.estimate.p <= ALPHA) == (judged.verdict is SUPPORTED)
    assert (judged.estimate.p_refuted <= ALPHA) == (judged.verdict is REFUTED)


# How often it errs: every member on its boundary, or as far inside as it can be, prompts shared by the models or not


def error_rates(quantifier, true, shared, alternative, runs=4000, n=10, seed=0):
    """Return how often p-values of the whole are at most alpha: of the prediction, and of its opposite.

    Args:
        quantifier: of the whole.
        true: how many standard deviations each member's mean lies above the threshold.
        shared: whether the models' values on a prompt go together (r = 0.9) or are independent.
        alternative: the prediction: the mean is ``less`` than the threshold.
    """
    rng = np.random.default_rng(seed)
    common, own = rng.normal(size=(runs, 1, n)), rng.normal(size=(runs, len(true), n))
    x = np.array(true)[None, :, None] + (math.sqrt(0.9) * common + math.sqrt(0.1) * own if shared else own)
    p = stats.ttest_1samp(x, 0, axis=2, alternative=alternative).pvalue  # (runs, members)
    k = needed(quantifier, len(true))
    supported = [partial_conjunction(row, k) <= ALPHA for row in p]
    refuted = [partial_conjunction(1 - row, len(true) - k + 1) <= ALPHA for row in p]
    return {SUPPORTED: np.mean(supported), REFUTED: np.mean(refuted)}


ALLOWED = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / 4000)  # three Monte-Carlo standard errors: 0.0603
FAR = 5.0


@pytest.mark.parametrize("shared", [False, True], ids=["own prompts", "shared prompts"])
@pytest.mark.parametrize(
    ("quantifier", "true", "wrong"),
    [
        ("all", (0, -FAR, -FAR, -FAR), SUPPORTED),  # false by one member alone, as hard to see as can be
        ("all", (0, 0, 0, 0), REFUTED),  # true everywhere, on the boundary everywhere
        ("any", (0, 0, 0, 0), SUPPORTED),
        ("any", (0, FAR, FAR, FAR), REFUTED),
        ("majority", (-FAR, -FAR, 0, 0, 0), SUPPORTED),  # two of five; three are needed
        ("majority", (0, 0, 0, FAR, FAR), REFUTED),
    ],
)
def test_a_quantified_claim_errs_no_more_often_than_alpha(quantifier, true, wrong, shared):
    assert error_rates(quantifier, true, shared, "less")[wrong] <= ALLOWED


def test_the_rates_are_used_up_where_one_member_decides():
    """Neither side is wasteful: at their worst the errors come near alpha."""
    assert error_rates("all", (0, -FAR, -FAR, -FAR), False, "less")[SUPPORTED] >= 0.04
    assert error_rates("all", (0, 0, 0, 0), False, "less")[REFUTED] >= 0.04


def test_without_the_correction_all_would_be_refuted_in_four_runs_of_ten():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(4000, 10, 10))
    p = stats.ttest_1samp(x, 0, axis=2, alternative="greater").pvalue  # (runs, members), each true on its boundary
    exact = 1 - (1 - ALPHA) ** 10  # 0.401
    allowed = 4 * math.sqrt(exact * (1 - exact) / 4000)  # four Monte-Carlo standard errors, either way: 0.031
    assert np.mean(p.min(axis=1) <= ALPHA) == pytest.approx(exact, abs=allowed)
    assert np.mean([partial_conjunction(row, 1) <= ALPHA for row in p]) <= ALLOWED


def test_members_judged_by_an_older_version_are_taken_by_their_verdicts():
    old = measured(2.0)
    old = replace(old, estimate=replace(old.estimate, p_refuted=None))
    assert combine({"a": old}, "all", "< 1", ALPHA).verdict is REFUTED


def test_a_whole_of_one_member_is_as_the_member_is_where_p_is_alpha_itself():
    x = np.arange(4.0)
    fit = STATISTICS["trend"].fit(Data((Sample("last_gain", x, "model"), Sample("layers", x, "model"))))
    alpha = 1 / 24  # one order of four in 4!
    for prediction, verdict in (("> 0", SUPPORTED), ("<= 0", REFUTED)):
        member = judge(fit, parse_region(prediction), alpha, STATISTICS["trend"], ("last_gain", "layers"))
        assert alpha == (member.estimate.p if verdict is SUPPORTED else member.estimate.p_refuted)
        assert member.verdict is verdict
        for quantifier in QUANTIFIERS:
            assert combine({"one": member}, quantifier, prediction, alpha).verdict is verdict


def unverified(verdict):
    return Judgement(verdict, "< 1", "told by one", labels=(UNVERIFIED_FACT,))


@pytest.mark.parametrize("quantifier", ["all", "any", "majority"])
@given(found=st.lists(st.tuples(st.sampled_from([SUPPORTED, REFUTED]), st.booleans()), min_size=1, max_size=5))
def test_a_verdict_is_labelled_exactly_where_it_would_not_stand_without_the_unverified(quantifier, found):
    members = {
        f"m{i}": Judgement(verdict, "< 1", "told by two") if known else unverified(verdict)
        for i, (verdict, known) in enumerate(found)
    }
    judged = combine(members, quantifier, "< 1", 0.05)
    needed_ = needed(quantifier, len(found))
    enough = {SUPPORTED: needed_, REFUTED: len(found) - needed_ + 1}[judged.verdict]
    stands = sum(verdict is judged.verdict and known for verdict, known in found) >= enough
    assert (UNVERIFIED_FACT in judged.labels) == (not stands)


def test_labels_of_members_are_the_wholes_too_with_who_carries_them():
    of = parts(SUPPORTED, SUPPORTED, NOT_MEASURED)
    of["model-0"] = of["model-0"].labelled("fragile", "layers-disagree")
    of["model-1"] = of["model-1"].labelled("fragile")
    for quantifier in QUANTIFIERS:
        assert combine(of, quantifier, "< 1", ALPHA).labels == ("2 models: fragile", "model-0: layers-disagree")


def test_a_variation_of_some_members_is_one_of_the_whole_and_the_others_stand_as_they_are():
    of = parts(SUPPORTED, SUPPORTED, SUPPORTED)
    changes = {"position": "all"}
    of["model-1"] = replace(of["model-1"], variations={"position all": Variation(REFUTED, "shown", None, changes)})
    found = {q: combine_variations(of, q, "< 1", ALPHA)["position all"] for q in QUANTIFIERS}
    assert {q: varied.verdict for q, varied in found.items()} == {
        "all": REFUTED,
        "any": SUPPORTED,
        "majority": SUPPORTED,
    }
    assert all(varied.changes == changes and "REFUTED model-1" in varied.why for varied in found.values())
