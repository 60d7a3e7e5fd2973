"""Multiplicity of a whole report: adjusted by hand, with the unmeasured counted and not, and how often it errs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refutable._util.strict_yaml import parse_yaml
from refutable.claims.cases import cases_of
from refutable.claims.file import claims_from
from refutable.models.registry import load_registry
from refutable.verdicts.judge import Judgement
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import UNVERIFIED_FACT, Estimate, Verdict
from refutable.verdicts.whole_report import Surviving, WholeReport, cases_with_a_test, over_report, report_lines

settings.load_profile("ci")  # no deadline on a busy machine, the same inputs every time

SUPPORTED, REFUTED, INCONCLUSIVE = Verdict.SUPPORTED, Verdict.REFUTED, Verdict.INCONCLUSIVE
CLAIMS = """\
schema: 1
claims:
  - {id: a, statement: s, evidence: measured, models: [gptj, gpt2],
      test: {statistic: mean, of: last_gain, predicts: "< 1"}}
  - {id: b, statement: s, evidence: architecture, models: gptj, test: {fact: layers, predicts: "> 1"}}
  - {id: c, statement: s, evidence: causal, needs: twins}
"""


def row(name, p, p_refuted=None, alpha=0.05):
    """Return a row with these p-values, and the verdict that they make at raw alpha; without p, a supported look-up."""
    about = {"statement": "s", "evidence": "measured", "alpha": alpha}
    if p is None:
        return VerdictRow.of(Judgement(SUPPORTED, "28", "w"), case=name, claim=name, subject="m", about=about)
    p_refuted = 1 - p if p_refuted is None else p_refuted
    verdict = SUPPORTED if p <= alpha else REFUTED if p_refuted <= alpha else INCONCLUSIVE
    found = Estimate(value=0.9, n=25, unit="prompt", p=p, p_refuted=p_refuted, method="t", statistic="mean", of=("g",))
    return VerdictRow.of(Judgement(verdict, "< 1", "w", found), case=name, claim=name, subject="m", about=about)


def test_a_report_is_adjusted_as_by_hand_with_the_unmeasured_counted_and_not():
    rows = [row("a", 0.01), row("b", 0.03), row("c", 0.2), row("d", 0.99), row("look-up", None)]
    found = over_report(rows, 8)
    # For: 4 x .01 = .04 stands, 3 x .03 = .09 falls; BH 4 x .01, 2 x .03 = .06 falls. Against: 4 x .01 = .04 stands.
    assert found == WholeReport(
        decided=4,
        with_error_rate=3,
        measured=Surviving(members=4, holm=2, benjamini_hochberg=2),
        declared=Surviving(members=8, holm=0, benjamini_hochberg=0),  # 8 x .01 = .08
    )
    assert over_report(rows, None).declared is None
    assert over_report(rows, 3).declared == found.measured  # a report of other claims has at least what was measured


def test_a_report_says_it_in_words():
    rows = [row("a", 0.001), row("b", 0.03), row("look-up", None)]
    assert report_lines(rows, 10) == [
        "2 of 3 decided verdicts with a known error rate; look-ups, probes, proofs, counter-examples and too few units"
        " have none",
        "of the 2, over 2 p-values of this report: 2 stand after Holm, 2 after Benjamini-Hochberg",
        "over all 10 cases that a test would decide, the unmeasured as p = 1: 1 stand after Holm, 1 after"
        " Benjamini-Hochberg",
    ]
    assert len(report_lines([row("look-up", None), row("probe", None)], 10)) == 1
    assert report_lines([row("a", 0.001)], 10) == []
    assert report_lines([row("open", 0.5)], 10) == report_lines([], 10) == []


def test_a_verdict_that_turns_on_an_unverified_fact_is_none_that_survives():
    doubtful = replace(row("a", 1e-9), labels=(UNVERIFIED_FACT,))
    found = over_report([doubtful, row("b", 1e-9)], None)
    assert (found.decided, found.with_error_rate, found.measured.members, found.measured.holm) == (1, 1, 2, 1)


def test_each_verdict_is_held_against_its_own_alpha():
    assert over_report([row("a", 0.012, alpha=0.025), row("b", 0.02, alpha=0.025)], None).measured.holm == 2
    assert over_report([row("a", 0.02, alpha=0.025), row("b", 0.02, alpha=0.025)], None).measured.holm == 0


@given(st.lists(st.floats(1e-6, 1 - 1e-6), min_size=1, max_size=30), st.integers(0, 50), st.randoms())
def test_more_members_never_let_more_survive_and_the_order_does_not_matter(values, more, random):
    rows = [row(str(n), p) for n, p in enumerate(values)]
    found = over_report(rows, len(rows) + more)
    assert found.declared.holm <= found.measured.holm
    assert found.declared.benjamini_hochberg <= found.measured.benjamini_hochberg
    assert found.measured.holm <= found.measured.benjamini_hochberg <= found.with_error_rate
    shuffled = random.sample(rows, len(rows))
    assert over_report(shuffled, len(rows) + more) == found


def test_holm_over_a_report_of_which_nothing_is_true_errs_in_at_most_alpha_each_way():
    rng = np.random.default_rng(0)
    any_stands = [
        over_report([row(str(n), p) for n, p in enumerate(draw)], None).measured.holm > 0
        for draw in rng.random((400, 40))
    ]
    assert np.mean(any_stands) == pytest.approx(0.10, abs=0.045)  # 0.05 for and 0.05 against; 3 deviations of 400 draws


def test_the_cases_that_a_test_would_decide_are_those_of_claims_about_measurements():
    cases = cases_of(claims_from(parse_yaml(CLAIMS, "c.yaml")), load_registry(), Path())
    assert cases_with_a_test(cases) == 2
