"""The verdict calculus: what a fit and a prediction become, how often it errs, the documents' numbers."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import RECORDED

from refutable._util.text import counted, few
from refutable.statistics import STATISTICS, Data
from refutable.statistics.region import parse_region
from refutable.statistics.sample import Sample
from refutable.verdicts.falsifiability.reachable import feasibility
from refutable.verdicts.judge import Judgement, decide, judge
from refutable.verdicts.verdict import Verdict

settings.load_profile("ci")  # no deadline on a busy machine, the same inputs every time

SUPPORTED, REFUTED, INCONCLUSIVE = Verdict.SUPPORTED, Verdict.REFUTED, Verdict.INCONCLUSIVE
NOT_MEASURED, ERROR = Verdict.NOT_MEASURED, Verdict.ERROR


@dataclass(frozen=True)
class FakeFit:
    """Bounds as given: `wide` at error probabilities below `alpha`, the others from there on."""

    low: float
    high: float
    wide: tuple[float, float] = (-math.inf, math.inf)
    alpha: float = 0.05
    value: float = 1.0
    n: int = 25
    unit: str = "prompt"
    method: str = "made up"

    def lower(self, tail):
        return self.low if tail >= self.alpha else self.wide[0]

    def upper(self, tail):
        return self.high if tail >= self.alpha else self.wide[1]

    def p_value(self, threshold, side):
        return 0.03 if side == "above" else 0.04

    def effect_size(self, threshold):
        return self.value - threshold


def verdict_of(prediction, low, high, wide=(-math.inf, math.inf)):
    return decide(FakeFit(low, high, wide), parse_region(prediction), 0.05)


# One-sided predictions: one bound each way, at alpha


@pytest.mark.parametrize(
    ("prediction", "low", "high", "verdict"),
    [
        ("< 1", 0.5, 0.9, SUPPORTED),
        ("< 1", 0.5, 1.1, INCONCLUSIVE),
        ("< 1", 1.1, 1.5, REFUTED),
        ("< 1", 0.5, 1.0, INCONCLUSIVE),  # the bound itself is not below 1
        ("<= 1", 0.5, 1.0, SUPPORTED),
        ("< 1", 1.0, 1.5, REFUTED),  # nothing from 1 on is below 1
        ("<= 1", 1.0, 1.5, INCONCLUSIVE),  # 1 itself is allowed
        ("<= 1", np.nextafter(1.0, 2.0), 1.5, REFUTED),
        ("> 1", 1.1, 1.5, SUPPORTED),
        ("> 1", 0.9, 1.5, INCONCLUSIVE),
        ("> 1", 0.5, 0.9, REFUTED),
        ("> 1", 1.0, 1.5, INCONCLUSIVE),
        (">= 1", 1.0, 1.5, SUPPORTED),
        ("> 1", 0.5, 1.0, REFUTED),
        (">= 1", 0.5, 1.0, INCONCLUSIVE),
        (">= 1", 0.5, np.nextafter(1.0, 0.0), REFUTED),
        ("< 1", -math.inf, math.inf, INCONCLUSIVE),
    ],
)
def test_a_one_sided_prediction_is_held_against_one_bound_each_way(prediction, low, high, verdict):
    assert verdict_of(prediction, low, high) is verdict


# Two-sided predictions: two one-sided tests to support, the wider interval to refute


@pytest.mark.parametrize(
    ("low", "high", "wide", "verdict"),
    [
        (
            0.31,
            0.35,
            (0.2, 0.5),
            SUPPORTED,
        ),  # TOST: the 1 - 2 alpha interval lies inside, the wider one may not
        (0.30, 0.36, (0.2, 0.5), SUPPORTED),  # on both ends, which belong to it
        (0.29, 0.35, (0.2, 0.5), INCONCLUSIVE),
        (0.31, 0.37, (0.2, 0.5), INCONCLUSIVE),
        (
            0.37,
            0.45,
            (0.35, 0.5),
            INCONCLUSIVE,
        ),  # the 1 - 2 alpha interval misses, the 1 - alpha interval does not
        (0.40, 0.45, (0.37, 0.5), REFUTED),
        (0.20, 0.25, (0.1, 0.29), REFUTED),
        (0.37, 0.45, (0.36, 0.5), INCONCLUSIVE),  # it touches an end that belongs to the region
    ],
)
def test_equivalence_is_supported_by_the_narrower_interval_and_refuted_by_the_wider(low, high, wide, verdict):
    assert verdict_of("within [0.30, 0.36]", low, high, wide) is verdict


@given(st.floats(0, 2), st.floats(0, 1), st.floats(0, 1), st.floats(0, 2))
def test_a_region_and_its_complement_never_both_win(low, width, more, threshold):
    fit = FakeFit(low, low + width, (low - more, low + width + more))
    opposite = {SUPPORTED: REFUTED, REFUTED: SUPPORTED, INCONCLUSIVE: INCONCLUSIVE}
    below = decide(fit, parse_region(f"< {threshold:f}"), 0.05)
    assert decide(fit, parse_region(f">= {threshold:f}"), 0.05) is opposite[below]


@pytest.mark.parametrize("prediction", ["< 1", "<= 1", "> 1", ">= 1", "within [1, 2]"])
@pytest.mark.parametrize("bounds", [(math.nan, math.nan), (math.nan, 0.5), (2.5, math.nan)])
def test_a_bound_that_is_not_a_number_never_decides_a_two_sided_prediction(prediction, bounds):
    low, high = bounds
    verdict = decide(FakeFit(low, high, (low, high)), parse_region(prediction), 0.05)
    needed = high if prediction.startswith("<") else low
    if "within" in prediction or (math.isnan(low) and math.isnan(high)):
        assert verdict is INCONCLUSIVE
    elif math.isnan(needed):
        assert verdict is not SUPPORTED


# What a judgement says


def test_a_judgement_echoes_its_evidence():
    judged = judge(FakeFit(0.7, 0.9, value=0.8), parse_region("< 1"), 0.05, STATISTICS["mean"], ("last_gain",))
    assert judged.verdict is SUPPORTED
    assert judged.predicts == "< 1"
    assert judged.why == "mean of last_gain = 0.8 [0.7, 0.9] at 90 %, n = 25 prompts: lies inside < 1"
    found = judged.estimate
    assert (found.value, found.low, found.high, found.n, found.unit) == (0.8, 0.7, 0.9, 25, "prompt")
    assert (found.p, found.statistic, found.of) == (0.04, "mean", ("last_gain",))
    assert found.level == pytest.approx(0.9)  # each end errs with 5 %
    assert found.effect_size == pytest.approx(-0.2)


@pytest.mark.parametrize(
    ("low", "high", "wide", "level"),
    [
        (0.31, 0.35, (0.2, 0.5), 0.90),  # supported at 1 - 2 alpha
        (0.40, 0.45, (0.37, 0.5), 0.95),  # refuted at 1 - alpha
        (0.29, 0.35, (0.2, 0.5), 0.95),
    ],
)
def test_the_interval_shown_is_the_one_that_decided(low, high, wide, level):
    judged = judge(
        FakeFit(low, high, wide),
        parse_region("within [0.30, 0.36]"),
        0.05,
        STATISTICS["mean"],
        ("last_gain",),
    )
    assert judged.estimate.level == pytest.approx(level)
    assert (judged.estimate.low, judged.estimate.high) == ((low, high) if level == 0.90 else wide)
    assert judged.estimate.p == 0.04  # TOST: the larger of the two


@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.2])
@pytest.mark.parametrize("prediction", ["< 0.1", "<= 0.1", "> 0.1", ">= 0.1", "within [-0.3, 0.3]"])
@given(seed=st.integers(0, 1000))
def test_the_p_value_is_below_alpha_exactly_where_the_claim_is_supported(prediction, alpha, seed):
    x = np.random.default_rng(seed).normal(0.1, 0.5, 12)
    judged = judge(fitted("mean", x), parse_region(prediction), alpha, STATISTICS["mean"], ("last_gain",))
    assert (judged.estimate.p < alpha) == (judged.verdict is SUPPORTED)


@given(st.integers(0, 1000), st.sampled_from(["< 0.1", "> 0.1", "within [0, 0.2]"]))
def test_a_smaller_alpha_never_turns_a_verdict_round_and_never_decides_more(seed, prediction):
    x = np.random.default_rng(seed).normal(0.1, 0.2, 8)
    strict, loose = (decide(fitted("mean", x), parse_region(prediction), alpha) for alpha in (0.01, 0.2))
    assert strict in (loose, INCONCLUSIVE)


def test_labels_are_added_once():
    judged = Judgement(SUPPORTED, "< 1", "because").labelled("fragile").labelled("vacuous", "fragile")
    assert judged.labels == ("fragile", "vacuous")


def test_verdicts_are_plain_words_outside():
    assert [f"{v}" for v in Verdict] == ["SUPPORTED", "REFUTED", "INCONCLUSIVE", "NOT_MEASURED", "ERROR"]
    assert [v for v in Verdict if v.decided] == [SUPPORTED, REFUTED]
    assert [v for v in Verdict if v.looked] == [SUPPORTED, REFUTED, INCONCLUSIVE]


# Feasibility


SHARE = STATISTICS["share_of_prompts"]


@pytest.mark.parametrize(
    ("prediction", "n", "labels"),
    [
        (">= 0.97", 25, ("unsupportable: needs 99",)),  # 0.05 ** (1 / 99) = 0.9702 > 0.97 > 0.05 ** (1 / 98)
        (">= 0.97", 99, ()),
        (">= 0.5", 1, ("hopeless", "unsupportable: needs 5", "unrefutable: needs 5")),  # 0.5 ** 5 = 0.031
        ("<= 0.03", 25, ("unsupportable: needs 99",)),
        (">= 0", 25, ("unrefutable: no n would do",)),  # any data would satisfy it
        ("> 1", 25, ("unsupportable: no n would do",)),
        (
            "within [0.9, 1]",
            25,
            ("unsupportable: needs 29",),
        ),  # 0.05 ** (1 / 29) = 0.9019 > 0.9 > 0.05 ** (1 / 28)
    ],
)
def test_what_n_prompts_can_never_bring_is_said_before_anything_is_measured(prediction, n, labels):
    assert feasibility(SHARE, parse_region(prediction), 0.05, n) == labels


def test_a_share_within_bounds_in_the_middle_is_not_called_unsupportable():
    region = parse_region("within [0.4, 0.6]")
    (label,) = feasibility(SHARE, region, 0.05, 25)
    needed = int(label.removeprefix("unsupportable: needs "))
    half = Sample("last_gain", np.array([0.5, 1.5] * (needed // 2 + 1)), "prompt")
    assert decide(SHARE.fit(Data((half,), parse_region("< 1"))), region, 0.05) is SUPPORTED
    assert feasibility(SHARE, region, 0.05, 100) == ()


@given(st.integers(1, 200), st.sampled_from([">= 0.97", "< 0.1", "> 0.5"]), st.sampled_from([0.01, 0.05]))
def test_no_data_bring_what_is_called_out_of_reach(n, prediction, alpha):
    labels = " ".join(feasibility(SHARE, parse_region(prediction), alpha, n))
    for k in {0, n // 2, n}:
        sample = Sample("last_gain", np.repeat([0.5, 1.5], [k, n - k]), "prompt")
        verdict = decide(SHARE.fit(Data((sample,), parse_region("< 1"))), parse_region(prediction), alpha)
        assert not ("unsupportable" in labels and verdict is SUPPORTED)
        assert not ("unrefutable" in labels and verdict is REFUTED)


def test_a_mean_of_five_units_can_show_anything_at_5_percent():
    assert feasibility(STATISTICS["mean"], parse_region("< 1"), 0.05, 5) == ()


# How often it errs, at the boundary of the region: P(SUPPORTED when false) and P(REFUTED when true)


RUNS, ALPHA = 1000, 0.05
ALLOWED = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / RUNS)  # three Monte-Carlo standard errors: 0.0707


def fitted(statistic, *values, holds=None, unit="prompt"):
    samples = tuple(Sample("last_gain", np.asarray(v, dtype=float), unit) for v in values)
    return STATISTICS[statistic].fit(Data(samples, parse_region(holds) if holds else None))


def error_rates(statistic, draw, true, holds=None):
    """Return the largest rate of SUPPORTED on what is just false and of REFUTED on what is just true."""
    rng = np.random.default_rng(0)
    false, right = (f"< {true!r}", f"> {true!r}"), (f"<= {true!r}", f">= {true!r}")
    wrong = dict.fromkeys((*false, *right), 0)
    for _ in range(RUNS):
        fit = fitted(statistic, *draw(rng), holds=holds)
        bounds = FakeFit(fit.lower(ALPHA), fit.upper(ALPHA), alpha=ALPHA)  # computed once, decided four times
        for prediction in wrong:
            verdict = decide(bounds, parse_region(prediction), ALPHA)
            wrong[prediction] += verdict is (SUPPORTED if prediction in false else REFUTED)
    return {prediction: count / RUNS for prediction, count in wrong.items()}


def correlated(n, rho):
    def draw(rng):
        x = rng.normal(size=n)
        return x, rho * x + math.sqrt(1 - rho**2) * rng.normal(size=n)

    return draw


@pytest.mark.parametrize(
    ("statistic", "draw", "true", "holds"),
    [
        pytest.param("mean", lambda rng: (rng.normal(1, 0.3, 5),), 1.0, None, id="mean, normal, n = 5"),
        pytest.param("mean", lambda rng: (rng.normal(1, 0.3, 25),), 1.0, None, id="mean, normal, n = 25"),
        pytest.param(
            *("geometric_mean", lambda rng: (rng.lognormal(0, 0.3, 5),), 1.0, None),
            id="geometric mean, lognormal, n = 5",
        ),
        pytest.param("share_of_prompts", lambda rng: (rng.random(25),), 0.5, "< 0.5", id="share 0.5, n = 25"),
        pytest.param("share_of_prompts", lambda rng: (rng.random(25),), 0.9, "< 0.9", id="share 0.9, n = 25"),
        pytest.param("pearson", correlated(25, 0.0), 0.0, None, id="pearson 0, n = 25"),
        pytest.param("pearson", correlated(10, 0.8), 0.8, None, id="pearson 0.8, n = 10"),  # 0.062 without the bias
        pytest.param(
            *(
                "spearman",
                correlated(25, 0.5),
                6 / math.pi * math.asin(0.25),
                None,
            ),  # rho_s = 6 / pi asin(rho / 2)
            id="spearman 0.48, n = 25",
        ),
        pytest.param(
            *("spearman", correlated(4, 0.5), 6 / math.pi * math.asin(0.25), None),
            id="spearman 0.48, n = 4",  # 0.13 where a perfect order counts as proof
        ),
        pytest.param(
            *("difference_of_groups", lambda rng: (rng.normal(1, 1, 5), rng.normal(0, 3, 5)), 1.0, None),
            id="difference of 5 and 5 models of unequal spread",
        ),
        pytest.param(
            *("difference_of_groups", lambda rng: (rng.normal(1, 1, 3), rng.normal(0, 1, 3)), 1.0, None),
            id="difference of 3 and 3 models",
        ),
    ],
)
def test_a_verdict_errs_no_more_often_than_alpha(statistic, draw, true, holds):
    for prediction, rate in error_rates(statistic, draw, true, holds).items():
        assert rate <= ALLOWED, prediction


def test_the_t_bound_uses_all_of_its_alpha_where_its_assumptions_hold():
    rates = error_rates("mean", lambda rng: (rng.normal(1, 0.3, 5),), 1.0)
    assert min(rates.values()) >= 2 * ALPHA - ALLOWED


@pytest.mark.parametrize("n", [5, 25])
@pytest.mark.parametrize(("passing", "holds"), [(0, "< 1"), (6, "<= 1")])
def test_layers_on_the_boundary_are_proved_no_more_often_than_alpha(n, passing, holds):
    # six layers whose true mean is 1: none is below 1, all are at most 1; Holm keeps false proofs to alpha
    rng, wrong = np.random.default_rng(7), 0
    for _ in range(RUNS):
        fit = fitted("layers_passing", rng.normal(1, 0.1, (n, 6)), holds=holds)
        wrong += fit.lower(ALPHA) > 0 if passing == 0 else fit.upper(ALPHA) < 1
    assert wrong / RUNS <= ALLOWED


@pytest.mark.parametrize("end", [0.9, 1.1])
def test_equivalence_errs_no_more_often_than_alpha_at_either_end(end):
    rng, region = np.random.default_rng(3), parse_region("within [0.9, 1.1]")
    outside, inside = (end + sign * math.copysign(1e-9, end - 1) for sign in (1, -1))  # just false, just true
    rates = {SUPPORTED: 0, REFUTED: 0}
    for _ in range(RUNS):
        noise = rng.normal(0, 0.1, 25)
        rates[SUPPORTED] += decide(fitted("mean", noise + outside), region, ALPHA) is SUPPORTED
        rates[REFUTED] += decide(fitted("mean", noise + inside), region, ALPHA) is REFUTED
    assert max(rates.values()) / RUNS <= ALLOWED


# The documents' own measurements


def recorded(file, model):
    path = RECORDED / file
    with path.open(encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["Model"] == model]
    return {of: np.array([float(row[of]) for row in rows]) for of in ("Last_Gain", "Entropy")}


@pytest.mark.documents
def test_gpt_j_amplifies_at_its_last_layer():
    gain = recorded("gptj_parallel_test.csv", "GPT-J-6B")["Last_Gain"]
    judged = judge(fitted("mean", gain), parse_region("> 1"), 0.05, STATISTICS["mean"], ("last_gain",))
    assert judged.verdict is SUPPORTED
    assert (judged.estimate.n, round(judged.estimate.value, 4)) == (25, 1.0652)
    t = (gain.mean() - 1) / (gain.std(ddof=1) / 5)
    assert t == pytest.approx(3.633, abs=5e-4)  # the README of the recorded tables' own reading
    assert judged.estimate.p == pytest.approx(0.00066, abs=1e-5)  # t = 3.633 with 24 degrees of freedom
    assert decide(fitted("mean", gain), parse_region("< 1"), 0.05) is REFUTED


@pytest.mark.documents
def test_pythia_dampens_at_its_last_layer():
    gain = recorded("thermodynamic_benchmark.csv", "Pythia-6.9B")["Last_Gain"]
    judged = judge(fitted("mean", gain), parse_region("< 1"), 0.05, STATISTICS["mean"], ("last_gain",))
    assert judged.verdict is SUPPORTED
    assert (judged.estimate.n, round(judged.estimate.value, 4)) == (25, 0.8047)


@pytest.mark.documents
def test_entropy_and_gain_are_not_shown_to_fall_together_on_pythia():
    of = recorded("thermodynamic_benchmark.csv", "Pythia-6.9B")
    fit = fitted("pearson", of["Entropy"], of["Last_Gain"])
    assert fit.value == pytest.approx(0.199, abs=5e-4)  # numpy.corrcoef of the two columns
    assert decide(fit, parse_region("< 0"), 0.05) is INCONCLUSIVE


def test_a_long_list_of_names_is_cut_and_the_rest_counted():
    assert few(list("abcd")) == "a, b, c, d"
    assert few(list("abcdef")) == "a, b, c, d and 2 more"


def test_one_of_a_thing_is_not_several():
    assert [counted(n, "claim") for n in (0, 1, 2)] == ["0 claims", "1 claim", "2 claims"]
