"""The catalogue's sentences: each is on trial or named as awaited, and decided only by claims that decide all of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml
from places import ROOT, SHARED
from typer.testing import CliRunner

from refutable._util.strict_yaml import parse_yaml
from refutable.claims.file import claims_from, load_claims
from refutable.cli import app
from refutable.errors import BadInput
from refutable.reports.catalogue import (
    PENDING,
    UNDECIDED,
    UNMEASURED,
    UNTESTABLE,
    CatalogueSentence,
    Trial,
    catalogue_lines,
    read_catalogue,
    sentences_of,
    states,
)
from refutable.verdicts.judge import Judgement
from refutable.verdicts.row import VerdictRow, tally
from refutable.verdicts.verdict import UNVERIFIED_FACT, Verdict

CATALOGUE = SHARED / "claims-catalogue.yaml"
IDS = ROOT / "fixtures" / "catalogue.txt"
ENTRIES = read_catalogue(IDS)
CLAIMS = load_claims(ROOT / "claims.yaml")
NAMED = {name for claim in CLAIMS for name in sentences_of(claim)}

# Sentences that have no claim yet, and what each needs; one that only an experiment decides has a claim that names it.
AWAITED: dict[str, str] = {}

SOME = """\
schema: 1
claims:
  - {id: a, catalogue: x, decides: part, statement: sa, evidence: none, reason: r,
      also: [{document: d, quote: q, catalogue: y, decides: sentence}]}
  - {id: b, catalogue: x, decides: sentence, statement: sb, evidence: causal, needs: twins}
  - {id: c, catalogue: z, decides: sentence, statement: sc, evidence: architecture, models: gptj,
      test: {fact: layers, predicts: "> 1"}}
  - {id: d, catalogue: z, decides: neighbour, statement: sd, evidence: architecture, models: gptj,
      test: {fact: layers, predicts: "> 2"}}
  - {id: e, catalogue: w, decides: part, statement: se, evidence: architecture, models: gptj,
      test: {fact: layers, predicts: "> 3"}}
"""
SENTENCES = (
    CatalogueSentence("x", "k", None),
    CatalogueSentence("w", "k", None),
    CatalogueSentence("y", "k", "w"),
    CatalogueSentence("z", "k", None),
)


def some() -> tuple[Any, ...]:
    return claims_from(parse_yaml(SOME, "c.yaml"))


def row(claim: str, verdict: Verdict, subject: str = "m") -> VerdictRow:
    about = {"statement": "s", "evidence": "measured", "alpha": 0.05}
    judged = Judgement(verdict, "< 1", "w")
    return VerdictRow.of(judged, case=f"{claim}-{subject}", claim=claim, subject=subject, about=about)


@pytest.mark.documents
def test_the_list_has_the_catalogues_ids_and_kinds_and_nothing_else():
    catalogue = yaml.safe_load(CATALOGUE.read_text(encoding="utf-8"))["claims"]
    assert [*ENTRIES] == [CatalogueSentence(one["id"], one["kind"], one["same_as"]) for one in catalogue]


def test_the_list_has_213_sentences_of_which_176_are_distinct():
    assert len(ENTRIES) == 213
    assert sum(entry.same_as is None for entry in ENTRIES) == 176


def test_every_sentence_is_found_in_some_claim_or_is_awaited_by_name():
    missing = {entry.id for entry in ENTRIES} - NAMED
    assert missing == set(AWAITED)


def test_no_claim_names_a_sentence_that_the_catalogue_does_not_have():
    assert {entry.id for entry in ENTRIES} >= NAMED


def test_a_sentence_that_cannot_be_tested_says_why_and_what_can_be_is_not_called_so():
    untestable = {entry.id for entry in ENTRIES if entry.kind == "not-testable"}
    assert {claim.catalogue for claim in CLAIMS if claim.evidence == "none" and claim.catalogue} == untestable
    assert len(untestable) == 4


def test_a_line_shows_the_claims_of_a_sentence_how_far_each_decides_it_and_how_it_stands():
    verdicts = [row("c", Verdict.SUPPORTED), row("c", Verdict.REFUTED, "n"), row("c", Verdict.REFUTED, "o")]
    lines = catalogue_lines(SENTENCES, some(), verdicts)
    assert [(line.id, line.same_as, [*line.trials]) for line in lines] == [
        ("x", None, [Trial("a", "part", UNTESTABLE), Trial("b", "sentence", PENDING)]),
        ("w", None, [Trial("e", "part", UNMEASURED)]),
        ("y", "w", [Trial("a", "sentence", UNTESTABLE)]),
        ("z", None, [Trial("c", "sentence", "SUPPORTED 1, REFUTED 2"), Trial("d", "neighbour", UNMEASURED)]),
    ]
    unmeasured = catalogue_lines(SENTENCES, some(), [row("c", Verdict.NOT_MEASURED)])
    assert unmeasured[-1].trials[0].state == UNMEASURED


def test_a_sentences_verdict_is_that_of_the_claims_that_decide_it_and_of_no_part_or_neighbour():
    verdicts = [row("c", Verdict.REFUTED), row("d", Verdict.SUPPORTED), row("e", Verdict.SUPPORTED)]
    stand = {line.id: line.verdict for line in catalogue_lines(SENTENCES, some(), verdicts)}
    assert stand == {"x": PENDING, "w": UNDECIDED, "y": UNTESTABLE, "z": "REFUTED 1"}
    assert catalogue_lines((*SENTENCES, CatalogueSentence("v", "k", None)), some(), [])[-1].verdict == ""


def test_a_claim_of_less_than_its_sentence_does_not_decide_it():
    """Some that were shown as deciding a sentence that says more than they do."""
    decides = {(claim.id, name): far for claim in CLAIMS for name, far in sentences_of(claim).items()}
    assert decides["layernorm-does-not-suffice-to-dampen", "s0-ln-not-cause"] == "part"
    assert decides["norms-in-bfloat16-are-adequate", "s4-bf16-adequate"] == "part"
    assert decides["dampening-is-not-pythias-alone-however-wired", "s4-not-pythia-artifact"] == "neighbour"
    assert decides["consistent-rule-implies-dampening", "s4-consistent-rule"] == "part"


def test_a_claim_about_a_sentence_that_is_not_there_is_refused():
    with pytest.raises(BadInput, match=r"not in the catalogue: a: 'y', c: 'z', d: 'z', e: 'w'; fix"):
        catalogue_lines((CatalogueSentence("x", "k", None),), some(), [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x\n", "ids:1 must be `id kind` or `id kind same-as`"),
        ("x k\n\n# remark\nx k\n", "ids:4 must be"),
        ("x k y z\n", "ids:1 must be"),
        ("xxx k\ny k xxz\n", "y is the same as 'xxz', which is no distinct id. Did you mean 'xxx'?"),
        ("x k y\ny k x\n", "x is the same as 'y', which is no distinct id"),
    ],
)
def test_a_list_of_another_form_is_refused(tmp_path, text, expected):
    (tmp_path / "ids").write_text(text)
    with pytest.raises(BadInput) as caught:
        read_catalogue(tmp_path / "ids")
    assert expected in str(caught.value)


def test_the_command_prints_one_row_for_each_sentence(monkeypatch):
    monkeypatch.chdir(ROOT)
    told = CliRunner().invoke(app, ["catalogue"])
    assert told.exit_code == 0, told.output
    lines = told.output.splitlines()
    shown = {line.split()[0]: line.split()[1] for line in lines if line and not line.startswith(" ")}
    for entry in ENTRIES:
        assert shown.get(entry.id) == (entry.kind if entry.same_as is None else "repeats")
    distinct = {entry.id for entry in ENTRIES if entry.same_as is None}
    whole = {name for claim in CLAIMS for name, far in sentences_of(claim).items() if far == "sentence"} & distinct
    assert lines[-1] == (
        f"176 distinct sentences, {176 - len(AWAITED)} of them on trial, {len(whole)} by a claim that decides all"
        " that it says"
    )


def test_the_command_refuses_a_list_that_is_not_there_in_words(tmp_path):
    told = CliRunner().invoke(app, ["catalogue", str(ROOT / "claims.yaml"), "--ids", str(tmp_path / "none")])
    assert told.exit_code == 4
    assert f"{tmp_path / 'none'}: no such file; name the catalogue with --ids FILE: one `id kind`" in told.output
    assert "Errno" not in told.output


def test_the_command_refuses_claims_that_are_not_there_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(app, ["catalogue", "nope"])
    assert told.exit_code == 4
    assert told.output.startswith("ERROR: nope: no such file; check the path")


def test_a_verdict_that_turns_on_an_unverified_fact_is_counted_apart():
    doubtful = replace(row("c", Verdict.SUPPORTED, "n"), labels=(UNVERIFIED_FACT,))
    open_ = replace(row("c", Verdict.INCONCLUSIVE, "o"), labels=(UNVERIFIED_FACT,))
    rows = [row("c", Verdict.SUPPORTED), doubtful, open_]
    assert states(some(), rows)["c"] == "SUPPORTED 1, INCONCLUSIVE 1, unverified-fact 1"
    assert tally(rows) == {"SUPPORTED": 1, "INCONCLUSIVE": 1, "unverified-fact": 1}
