"""Two claims that cannot both hold: a run in which both do is in error, and shows the two."""

from __future__ import annotations

import itertools
import json

import pytest

from refutable.verdicts.contradictions import contradictions
from refutable.verdicts.judge import Judgement
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Verdict

from .conftest import Suite

PAIR = """\
schema: 1
claims:
  - id: gptj-is-deep
    statement: GPT-J has more than 20 blocks.
    evidence: architecture
    models: [gptj, gpt2]
    for: each
    contradicts: gptj-is-shallow
    test: {fact: layers, predicts: "> 10"}
  - id: gptj-is-shallow
    statement: GPT-J has fewer than 30 blocks.
    evidence: architecture
    models: [gptj, gpt2-xl]
    test: {fact: layers, predicts: "< 30"}
    for: each
"""


def row(claim: str, verdict: Verdict, subject: str, *contradicts: str, weights: str = "-", over: str = "each"):
    about = {"statement": f"{claim} holds", "evidence": "measured", "alpha": 0.05, "contradicts": contradicts}
    judged = Judgement(verdict, "< 1", f"why {claim}")
    kind = {} if weights == "-" else {"weights_kind": weights}
    about = {**about, "for": over}
    return VerdictRow.of(judged, case=f"{claim}-x", claim=claim, subject=subject, about=about, weights=kind)


@pytest.mark.parametrize(("first", "second"), [*itertools.product(Verdict, Verdict)])
def test_only_two_supported_verdicts_contradict_each_other(first, second):
    found = contradictions([row("a", first, "m", "b"), row("b", second, "m")])
    assert bool(found) == (first is second is Verdict.SUPPORTED)


def test_either_of_the_two_may_say_so_and_they_are_told_once():
    one, other = row("a", Verdict.SUPPORTED, "m", "b"), row("b", Verdict.SUPPORTED, "m", "a")
    assert len(contradictions([one, other])) == 1
    assert len(contradictions([other, one])) == 1
    assert contradictions([row("a", Verdict.SUPPORTED, "m"), row("b", Verdict.SUPPORTED, "m")]) == ()


@pytest.mark.parametrize(
    ("first", "second", "common"),
    [
        (("m", "each"), ("m", "each"), ("m",)),
        (("m", "each"), ("n", "each"), None),
        (("m", "each"), ("l, m, n", "all"), ("m",)),  # what is true of all is true of each
        (("m", "each"), ("l, m", "any"), None),  # the other may be the one
        (("l, m", "any"), ("l, m", "any"), ("l, m",)),
        (("l, m", "any"), ("l, m", "all"), ("l, m",)),  # some expand, all dampen
        (("m", "each"), ("l, m", "groups"), None),
        (("-", None), ("-", None), ("-",)),
    ],
)
def test_they_contradict_each_other_on_what_both_are_true_of(first, second, common):
    rows = [
        row("a", Verdict.SUPPORTED, first[0], "b", over=first[1]),
        row("b", Verdict.SUPPORTED, second[0], over=second[1]),
    ]
    assert [pair.subjects for pair in contradictions(rows)] == ([common] if common else [])


def test_trained_and_drawn_weights_of_one_model_are_two_subjects():
    trained, drawn = (row(n, Verdict.SUPPORTED, "m", "b", weights=w) for n, w in (("a", "pretrained"), ("b", "init")))
    assert contradictions([trained, drawn]) == ()


def test_a_planted_contradiction_ends_the_suite_with_an_error_that_shows_both(suite: Suite) -> None:
    suite.write("claims.yaml", PAIR)
    run = suite.pytest()
    assert run.status == 1
    assert {*run.verdicts.values()} == {"SUPPORTED", "REFUTED"}  # gpt2-xl has 48
    said = run.text[run.text.index("ERROR: gptj-is-deep and gptj-is-shallow cannot both hold") :]
    assert "both came out SUPPORTED on gptj:" in said
    assert "gptj-is-deep: GPT-J has more than 20 blocks." in said
    assert said.count("SUPPORTED: layers of gptj is 28") == 2
    (check,) = run.json["checks"]
    assert (check["outcome"], check["name"]) == (
        "error",
        "contradiction: gptj-is-deep-gptj and gptj-is-shallow-gptj",
    )
    assert run.junit.find("testsuite").get("errors") == "1"


def test_without_the_contradiction_the_same_verdicts_pass_and_a_baseline_does_not_hide_it(suite: Suite) -> None:
    suite.write("claims.yaml", PAIR.replace("    contradicts: gptj-is-shallow\n", "").replace(", gpt2-xl", ""))
    calm = suite.pytest()
    assert calm.status == 0, calm.text
    suite.write("published.json", json.dumps(calm.json))
    suite.write("claims.yaml", PAIR.replace(", gpt2-xl", ""))
    assert suite.pytest("--baseline", "published.json").status == 1
    refused = suite.refutable("publish", "reports/verdicts.json", "--to", "new.json", "--yes")
    assert refused.status == 4
    assert not (suite.folder / "new.json").exists()
    assert "1 errors" in refused.text


def test_it_is_told_under_several_processes_too(suite: Suite) -> None:
    suite.write("claims.yaml", PAIR)
    run = suite.pytest("-n", "2")
    assert run.status == 1
    assert len(run.json["checks"]) == 1
