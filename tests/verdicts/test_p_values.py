"""Which p-value a verdict stands on, end by end; what an open question is told; how few units are too few."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy import stats

from refutable.statistics import STATISTICS, Data
from refutable.statistics.region import parse_region
from refutable.statistics.sample import Sample
from refutable.statistics.student import TFit
from refutable.verdicts.falsifiability.reachable import feasibility
from refutable.verdicts.judge import judge
from refutable.verdicts.verdict import Verdict

LAYERS = STATISTICS["layers_passing"]
LOW, HIGH = 0.25, 0.75


@dataclass(frozen=True)
class Counted:
    """A count's p-values: they step at `LOW` and at `HIGH`; there is none of an infinite threshold."""

    value: float = 0.5
    n: int = 25
    unit: str = "prompt"
    method: str = "made up"

    def lower(self, tail):
        return -math.inf

    def upper(self, tail):
        return math.inf

    def p_value(self, threshold, side):
        assert math.isfinite(threshold), "infinity is no threshold: nothing lies beyond it"
        on = min((LOW, HIGH), key=lambda end: abs(threshold - end))
        assert abs(threshold - on) < 1e-15, "only the ends are asked about"
        place = (threshold > on) - (threshold < on)  # just above, on or just below that end
        return {
            ("above", LOW): {-1: 0.01, 0: 0.02, 1: 0.03},
            ("above", HIGH): {-1: 0.11, 0: 0.12, 1: 0.13},
            ("below", LOW): {1: 0.04, 0: 0.05, -1: 0.06},
            ("below", HIGH): {1: 0.14, 0: 0.15, -1: 0.16},
        }[side, on][place]

    def effect_size(self, threshold):
        return None


def judged(prediction, fit=None):
    return judge(fit or Counted(), parse_region(prediction), 0.05, STATISTICS["mean"], ("last_gain",)).estimate


@pytest.mark.parametrize(
    ("prediction", "p", "p_refuted"),
    [  # an open end is no part of the region: tested just inside it, the opposite on it; a closed one on it and beyond
        (f"< {HIGH}", 0.16, 0.12),
        (f"<= {HIGH}", 0.15, 0.13),
        (f"> {LOW}", 0.03, 0.05),
        (f">= {LOW}", 0.02, 0.06),
        (f"within [{LOW}, {HIGH}]", 0.15, 2 * 0.06),  # the larger of both ends; twice the smaller, just outside
    ],
)
def test_a_p_value_is_of_the_end_itself_where_it_is_closed_and_of_what_lies_beside_it_where_not(
    prediction, p, p_refuted
):
    found = judged(prediction)
    assert (found.p, found.p_refuted) == (p, pytest.approx(p_refuted))


@pytest.mark.parametrize("open_ends", ["low", "high"])
def test_a_region_open_at_one_end_is_asked_beyond_that_end_alone(open_ends):
    region = replace(parse_region(f"within [{LOW}, {HIGH}]"), **{f"{open_ends}_closed": False})
    found = judge(Counted(), region, 0.05, STATISTICS["mean"], ("last_gain",)).estimate
    assert (found.p, found.p_refuted) == ((0.15, 2 * 0.05) if open_ends == "low" else (0.16, 2 * 0.06))


def counted(passing, of=4, prompts=25):
    """Return the fit to `of` layers, so many of which are far below 1 and the others far above."""
    noise = np.random.default_rng(0).normal(0, 0.01, (prompts, of))
    means = np.where(np.arange(of) < passing, 0.5, 1.5)
    return LAYERS.fit(Data((Sample("attention_gain", means + noise, "prompt"),), parse_region("< 1")))


@pytest.mark.parametrize(
    ("prediction", "proved", "against"),
    [
        ("<= 0.5", True, False),
        ("< 0.5", False, True),
        (">= 0.5", True, False),
        ("> 0.5", False, True),
        ("within [0.5, 0.5]", True, False),
        ("within [0.5, 0.7]", True, False),
        ("within [0.3, 0.5]", True, False),
        ("within [0.6, 0.7]", False, True),
    ],
)
def test_half_of_the_layers_surely_is_at_most_and_at_least_a_half_and_neither_below_nor_above(
    prediction, proved, against
):
    found = judged(prediction, counted(2))
    assert (found.p < 0.002, found.p_refuted < 0.002) == (proved, against)


@pytest.mark.parametrize("name", ["ratio_of_means", "trend", "permutation_difference"])
@pytest.mark.parametrize(("prediction", "side"), [("< 0.9", "below"), ("> 0.9", "above")])
def test_a_one_sided_p_value_is_of_its_one_end(name, prediction, side):
    rng = np.random.default_rng(0)
    samples = tuple(Sample("last_gain", rng.uniform(0.5, 1.5, 8), "prompt") for _ in range(2))
    fit = STATISTICS[name].fit(Data(samples))
    assert judged(prediction, fit).p == pytest.approx(fit.p_value(0.9, side))
    assert 0 < judged(prediction, fit).p < 1


# What an open question is told


def mean(value, sd=0.4, n=25):
    return TFit(value, sd / math.sqrt(n), n - 1, sd, n, "prompt")


@pytest.mark.parametrize(("prediction", "n"), [("< 1", 25), ("within [0.8, 1]", 25), ("within [0.95, 2]", 40)])
def test_an_open_question_is_told_the_n_that_decides_at_its_own_alpha(prediction, n):
    region = parse_region(prediction)
    found = judge(mean(0.9, n=n), region, 0.05, STATISTICS["mean"], ("last_gain",))
    assert found.verdict is Verdict.INCONCLUSIVE
    needed = int(found.details["n that would decide"].split("; ")[1].split()[0])
    away = {"< 1": (-0.1,), "within [0.8, 1]": (-0.1, -0.1), "within [0.95, 2]": (-0.05,)}[prediction]
    tail = 0.025 if prediction == "within [0.95, 2]" else 0.05  # outside: the 1 - alpha interval must miss it

    def power(m):
        each = [stats.nct.cdf(stats.t.ppf(tail, m - 1), m - 1, d / (0.4 / math.sqrt(m))) for d in away]
        return sum(each) - len(each) + 1

    assert power(needed - 1) < 0.8 <= power(needed)


@pytest.mark.parametrize(("value", "verdict"), [(0.5, Verdict.SUPPORTED), (1.5, Verdict.REFUTED)])
def test_what_is_decided_is_told_of_no_other_n(value, verdict):
    found = judge(mean(value), parse_region("< 1"), 0.05, STATISTICS["mean"], ("last_gain",))
    assert (found.verdict, dict(found.details)) == (verdict, {})


# Too few


@pytest.mark.parametrize(("name", "least"), [("mean", 5), ("slope", 4), ("pearson", 4), ("partial_correlation", 5)])
def test_fewer_units_than_can_prove_anything_are_hopeless(name, least):
    region = parse_region("< 0.5")
    needs = ("hopeless", f"unsupportable: needs {least}", f"unrefutable: needs {least}")
    assert feasibility(STATISTICS[name], region, 0.05, least - 1) == needs
    assert feasibility(STATISTICS[name], region, 0.05, least) == ()
