"""Verdicts that turn on a fact which too few public sources state, as a user writes and runs them."""

from __future__ import annotations

import json

import pytest

from refutable.models.registry import load_registry
from refutable.options import Options
from refutable.session import Session
from refutable.verdicts.verdict import UNVERIFIED_FACT

REGISTRY = load_registry()
CLAIM = """\
schema: 1
claims:
  - {{id: tried, statement: What is tried here., evidence: {evidence}, {models}, test: {test}}}
"""
DEEP = "{fact: layers, predicts: '> 30'}"
SOURCES = "[{by: ann, at: here, states: {n_layer: 3}}, {by: bob, at: there, states: {n_layer: 3}}]"
ROW = """\
models:
  mine:
    {{title: Mine, family: gpt2, parameters: 199232, organisation: me, licence: MIT, sources: {sources}, config:
      {{model_type: gpt2, vocab_size: 256, n_embd: 64, n_layer: 3, n_head: 4, n_positions: 512}}}}
"""


@pytest.fixture
def try_claim(tmp_path, monkeypatch):
    """Return a function that tries one claim, on the packaged models and the row `mine` with these sources."""
    monkeypatch.setenv("REFUTABLE_CACHE", str(tmp_path / "cache"))

    def run(subject, test, evidence="architecture", sources="[]", **options):
        (tmp_path / "claims.yaml").write_text(CLAIM.format(evidence=evidence, models=subject, test=test))
        (tmp_path / "models.yaml").write_text(ROW.format(sources=sources))
        given = Options(claims=tmp_path / "claims.yaml", models_file=tmp_path / "models.yaml", offline=True, **options)
        session = Session.prepare(given)
        return [session.try_case(case) for case in session.cases]

    return run


@pytest.mark.parametrize(
    ("model", "verified"), [("pythia-6.9b", True), ("pythia-6.9b-v0", False), ("mine", False), ("tiny-gpt2", True)]
)
def test_a_fact_that_too_few_sources_state_labels_its_verdict(try_claim, model, verified):
    (row,) = try_claim(f"models: {model}", DEEP)
    assert row.verdict.decided
    assert (UNVERIFIED_FACT in row.labels) != verified
    assert row.decided == verified
    assert ("fewer than two independent sources" in row.why) != verified


def test_sources_in_a_suites_own_row_count(try_claim):
    (row,) = try_claim("models: mine", DEEP, sources=SOURCES)
    assert row.decided
    assert "layers of mine is 3 (ann: here; bob: there)" in row.why


def test_a_models_own_config_json_needs_no_source(try_claim, tmp_path):
    from refutable.measurement.loading.load import draw
    from refutable.models.subject import Subject

    row = REGISTRY["tiny-gpt2"]
    draw(row.config, Subject(row.name, weights="init"), rule=row.init).save_pretrained(tmp_path / "weights")
    assert json.loads((tmp_path / "weights" / "config.json").read_text())["n_layer"] == 3
    given = {"models": ("mine",), "weights": str(tmp_path / "weights")}
    (row,) = try_claim("models: mine", DEEP, **given)
    assert row.decided
    assert "its own configuration" in row.why
    (row,) = try_claim("models: mine", "{fact: organisation, equals: OpenAI}", **given)
    assert not row.decided  # what only the registry says is as unverified as before


@pytest.mark.parametrize(
    ("quantifier", "verdict", "decided"),
    [("any", "SUPPORTED", True), ("all", "SUPPORTED", False), ("majority", "SUPPORTED", True)],
)
def test_a_verdict_on_several_models_is_labelled_where_it_turns_on_the_unverified(
    try_claim, quantifier, verdict, decided
):
    models = f"models: [pythia-6.9b, pythia-2.8b, pythia-6.9b-v0], for: {quantifier}"
    (row,) = try_claim(models, DEEP)
    assert (row.verdict.value, row.decided) == (verdict, decided)
    assert f"[{UNVERIFIED_FACT}]" in row.details["pythia-6.9b-v0"]


def test_a_metric_against_a_fact_is_labelled_where_the_fact_of_a_model_is_unverified(try_claim, tmp_path):
    def tried(*models):
        lines = [f"{model},Novel,{k},{1 - 0.1 * i + 0.01 * k}" for i, model in enumerate(models) for k in range(5)]
        (tmp_path / "gains.csv").write_text("Model,Category,Prompt,Last_Gain\n" + "\n".join(lines) + "\n")
        test = "{statistic: trend, of: last_gain, fact: layers, predicts: '< 0'}"
        named = f"models: [{', '.join(models)}]"
        (row,) = try_claim(named, test, evidence="measured", measurements=tmp_path / "gains.csv")
        return row.labels

    four = ("pythia-70m", "pythia-160m", "pythia-410m", "gpt2-xl")
    assert UNVERIFIED_FACT not in tried(*four)
    assert UNVERIFIED_FACT in tried(*four, "pythia-6.9b-v0")


def test_a_probe_is_labelled_where_the_class_that_it_builds_is_unverified(try_claim):
    test = "{probe: mlp_reads_attention, equals: parallel}"
    verified, unverified = try_claim("models: [pythia-70m, pythia-6.9b-v0]", test, evidence="wiring")
    assert (verified.decided, unverified.decided) == (True, False)
