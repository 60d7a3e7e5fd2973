"""Families of claims: adjusted by hand, over the members as declared, and how often a family errs."""

from __future__ import annotations

import json
import math

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from refutable._util.strict_yaml import parse_yaml
from refutable.claims.cases import cases_of
from refutable.claims.file import claims_from
from refutable.errors import BadInput
from refutable.models.registry import load_registry
from refutable.reports.formats.verdicts_schema import verdicts_schema
from refutable.verdicts.judge import Judgement
from refutable.verdicts.multiplicity import NOT_AFTER_HOLM, adjust, declared, describe, family_lines
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Estimate, Verdict

settings.load_profile("ci")  # no deadline on a busy machine, the same inputs every time

SUPPORTED, REFUTED, INCONCLUSIVE = Verdict.SUPPORTED, Verdict.REFUTED, Verdict.INCONCLUSIVE
ALPHA = 0.05


def row(name, p, p_refuted=None, verdict=None):
    """Return a verdict row with these p-values; its verdict is what they make of it at raw alpha."""
    p_refuted = 1 - p if p_refuted is None else p_refuted
    verdict = verdict or (SUPPORTED if p <= ALPHA else REFUTED if p_refuted <= ALPHA else INCONCLUSIVE)
    found = Estimate(
        value=0.9,
        low=0.8,
        high=1.0,
        level=0.9,
        n=25,
        unit="prompt",
        p=p,
        effect_size=-0.5,
        method="t",
        statistic="mean",
        of=("last_gain",),
        p_refuted=p_refuted,
    )
    about = {"statement": "s", "evidence": "measured", "alpha": ALPHA}
    judged = Judgement(verdict, "< 1", "because", found, ("fragile",))
    return VerdictRow.of(judged, case=name, claim=name, subject="smollm2", about=about)


def unmeasured(name):
    about = {"statement": "s", "evidence": "measured", "alpha": ALPHA}
    judged = Judgement(Verdict.NOT_MEASURED, "< 1", "absent")
    return VerdictRow.of(judged, case=name, claim=name, subject="-", about=about)


def test_a_family_is_adjusted_as_by_hand():
    rows = [row("a", 0.01), row("b", 0.02), row("c", 0.04), row("alone", 0.04)]
    a, b, c, alone = adjust(rows, {"f": ["a", "b", "c"]})
    assert [r.adjusted.holm for r in (a, b, c)] == pytest.approx([0.03, 0.04, 0.04])  # 3 x .01, 2 x .02, 1 x .04
    assert [r.adjusted.benjamini_hochberg for r in (a, b, c)] == pytest.approx([0.03, 0.03, 0.04])  # x 3, 3/2, 1
    assert (a.adjusted.family, a.adjusted.members, a.adjusted.measured) == ("f", 3, 3)
    assert alone.adjusted is None
    assert all(NOT_AFTER_HOLM not in r.labels for r in (a, b, c, alone))


def test_a_member_that_was_not_measured_counts_as_one_whatever_was_selected():
    few = adjust([row("a", 0.02), row("b", 0.9)], {"f": ["a", "b", "c", "d"]})
    many = adjust([row("a", 0.02), row("b", 0.9), unmeasured("c"), unmeasured("d")], {"f": ["a", "b", "c", "d"]})
    assert few[0] == many[0]
    assert few[0].adjusted.holm == pytest.approx(4 * 0.02)
    assert (few[0].adjusted.members, few[0].adjusted.measured) == (4, 2)
    assert few[0].verdict is SUPPORTED  # by the raw alpha
    assert few[0].labels == ("fragile", NOT_AFTER_HOLM)
    assert many[2].adjusted is None  # nothing is said of what has no p-value


def test_a_refutation_is_held_to_its_own_p_value():
    rows = adjust([row("a", 0.98, 0.02), row("b", 0.9999, 0.0001), row("c", 0.5)], {"f": ["a", "b", "c", "d"]})
    labelled = [NOT_AFTER_HOLM in r.labels for r in rows]
    assert labelled == [True, False, False]  # 3 x .02; 4 x .0001; what is not decided cannot fall
    assert [r.adjusted.holm_refuted for r in rows[:2]] == pytest.approx([0.06, 0.0004])


def test_adjusting_twice_is_adjusting_once_and_a_family_that_is_gone_leaves_nothing():
    rows = [row("a", 0.02), row("b", 0.9)]
    once = adjust(rows, {"f": ["a", "b", "c"]})
    assert adjust(once, {"f": ["a", "b", "c"]}) == once
    assert adjust(once, {}) == tuple(rows)


def test_each_member_is_held_to_the_alpha_of_its_own_claim():
    strict = row("a", 0.005)
    strict.about["alpha"] = 0.01
    a, b = adjust([strict, row("b", 0.012)], {"f": ["a", "b", "c"]})
    assert [NOT_AFTER_HOLM in r.labels for r in (a, b)] == [True, False]  # .015 > .01; .024 <= .05


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.integers(0, 5), st.randoms())
def test_holm_never_helps_and_order_is_of_no_account(p, more, random):
    rows = [row(f"r{i}", one) for i, one in enumerate(p)]
    family = {"f": [r.id for r in rows] + [f"absent{i}" for i in range(more)]}
    shuffled = list(rows)
    random.shuffle(shuffled)
    found = {r.id: r for r in adjust(shuffled, family)}
    assert found == {r.id: r for r in adjust(rows, family)}
    for r in rows:
        adjusted = found[r.id].adjusted
        assert r.estimate.p <= adjusted.benjamini_hochberg + 1e-12
        assert adjusted.benjamini_hochberg <= adjusted.holm + 1e-12 <= 1 + 1e-9


def test_an_adjusted_row_goes_into_json_and_back_and_agrees_with_the_schema():
    (a,) = adjust([row("a", 0.04)], {"f": ["a", "b"]})
    data = json.loads(json.dumps(a.as_dict()))
    assert VerdictRow.from_dict(data) == a
    schema = verdicts_schema()
    jsonschema.validate(data, {**schema["properties"]["verdicts"]["items"], "$defs": schema["$defs"]})
    old = {key: value for key, value in data.items() if key != "adjusted"}
    old["estimate"] = {key: value for key, value in data["estimate"].items() if key != "p_refuted"}
    assert VerdictRow.from_dict(old).adjusted is None  # what an earlier version published is still read
    assert a.properties()["holm"] == "0.08"
    assert "family     f, 2 members, 1 measured" in a.evidence()


def test_the_summary_counts_what_stands():
    families = {"f": ["a", "b", "c"], "g": ["x"]}
    rows = adjust([row("a", 0.001), row("b", 0.03), row("c", 0.999, 0.001)], families)
    (line,) = family_lines(rows, families)  # nothing of g was measured
    assert line.startswith("family f: 3 members, 3 measured, the others count as p = 1; ")
    assert line.endswith("; after Holm 1 of 2 SUPPORTED and 1 of 1 REFUTED stand")


def test_nothing_in_a_family_that_did_not_fall_by_chance():
    """The family-wise error: 8 true nulls, models sharing prompts; at most alpha, where raw verdicts err in a third."""
    rng, runs = np.random.default_rng(0), 400
    ids = [f"r{i}" for i in range(8)]
    raw = wrong = 0
    for _ in range(runs):
        x = math.sqrt(0.3) * rng.normal(size=(12, 1)) + math.sqrt(0.7) * rng.normal(size=(12, 8))
        p = stats.ttest_1samp(x, 0, alternative="less").pvalue
        rows = adjust([row(name, float(one)) for name, one in zip(ids, p, strict=True)], {"f": ids})
        supported = [r for r in rows if r.verdict is SUPPORTED]
        raw += bool(supported)
        wrong += any(NOT_AFTER_HOLM not in r.labels for r in supported)
    assert raw / runs > 0.2
    assert wrong / runs <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / runs)


# Declared


CLAIMS = """\
schema: 1
claims:
  - {id: a, statement: s, evidence: measured, family: gains, models: [gptj, gpt2],
     test: {statistic: mean, of: last_gain, predicts: "< 1"}}
  - {id: b, statement: s, evidence: measured, family: gains, models: [gptj, gpt2], for: all, alpha: 0.01,
     test: {statistic: mean, of: last_gain, predicts: "< 1"}}
  - {id: c, statement: s, evidence: measured, models: gptj,
     test: {statistic: mean, of: last_gain, predicts: "< 1"}}
"""


def test_each_subject_of_a_claim_for_each_is_a_member():
    cases = cases_of(claims_from(parse_yaml(CLAIMS, "c.yaml")), load_registry(), "c.yaml")
    assert {name: set(members) for name, members in declared(cases).items()} == {"gains": {"a-gptj", "a-gpt2", "b"}}
    assert describe(cases) == ["family gains: 3 members; the first that Holm lets stand needs p <= 0.0033"]


@pytest.mark.parametrize(
    "claim",
    [
        "evidence: architecture, models: gptj, test: {fact: layers, predicts: '> 1'}",
        "evidence: theorem, test: {property: triangle-inequality}",
    ],
)
def test_what_has_no_p_value_is_in_no_family(claim):
    with pytest.raises(BadInput, match="unknown key 'family'"):
        claims_from(parse_yaml(f"schema: 1\nclaims:\n  - {{id: a, statement: s, family: f, {claim}}}\n", "c.yaml"))
