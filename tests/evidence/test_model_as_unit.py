"""Claims whose unit is the model, or whose prompts are compared by category, as a user writes and runs them."""

from __future__ import annotations

import csv
import io
import re

import numpy as np
import pytest

from refutable.claims.file import load_claims
from refutable.errors import BadInput
from refutable.options import Options
from refutable.session import Session
from refutable.verdicts.falsifiability.check_claims import check_feasible

MODELS = ("pythia-70m", "pythia-160m", "pythia-410m", "pythia-1b", "pythia-1.4b", "gpt2-medium", "gpt2-xl", "gptj")
CLAIM = """\
schema: 1
claims:
  - id: tried
    statement: What is tried here.
    evidence: measured
    {models}
    test: {test}
"""


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Return a folder with published gains of eight models on five categories of prompts; later models gain less."""
    monkeypatch.setenv("REFUTABLE_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["Model", "Category", "Prompt", "Last_Gain"])
    for i, model in enumerate(MODELS):
        for c, category in enumerate(("Factual", "Syntactic", "Cliche", "Novel", "Nonsense")):
            for k in range(5):
                gain = 1.2 - 0.08 * i + 0.05 * c + rng.normal(0, 0.01)
                rows.writerow([model, category, f"{category} {k}", f"{gain:.6f}"])
    (tmp_path / "gains.csv").write_text(text.getvalue())
    return tmp_path


ALL = f"models: [{', '.join(MODELS)}]"


def tried(folder, test, models=ALL):
    claims = folder / "claims.yaml"
    claims.write_text(CLAIM.replace("{models}", models).replace("{test}", test))
    refutable_session = Session.prepare(Options(claims=claims, measurements=folder / "gains.csv", offline=True))
    (case,) = refutable_session.cases
    return refutable_session.try_case(case).as_dict()


def test_a_metric_is_correlated_with_a_fact_of_the_models(table):
    row = tried(table, '{statistic: trend, of: last_gain, fact: parameters, predicts: "< 0"}')
    assert row["verdict"] == "SUPPORTED"
    assert (row["estimate"]["n"], row["estimate"]["unit"]) == (8, "model")
    assert row["estimate"]["of"] == ["last_gain", "parameters"]
    assert "not measured: none" in row["why"]
    assert row["details"]["gptj"].startswith("last_gain 0.7")


def test_a_model_that_the_table_lacks_is_named_and_left_out(table):
    models = f"models: [{', '.join(MODELS)}, opt-6.7b]"
    row = tried(table, '{statistic: trend, of: last_gain, fact: parameters, predicts: "< 0"}', models)
    assert row["verdict"] == "SUPPORTED"
    assert row["details"]["lacking"] == "opt-6.7b"


def test_a_fact_that_separates_outcomes_is_cross_validated(table):
    row = tried(table, '{statistic: boundary, of: last_gain, fact: d_head, holds: "< 1", predicts: "> 0"}')
    assert "leave one out: accuracy" in row["estimate"]["method"]
    assert row["verdict"] in ("SUPPORTED", "INCONCLUSIVE", "REFUTED")
    assert "against the majority's" in row["estimate"]["method"]


def test_a_boundary_is_asked_for_on_one_side_or_on_either(table):
    test = '{{statistic: boundary, of: last_gain, fact: parameters, holds: "< 1", {}predicts: "> 0"}}'
    either = tried(table, test.format(""))
    told = {side: tried(table, test.format(f"holds_above: {side}, ")) for side in ("true", "false")}
    assert "holding below it" in told["false"]["estimate"]["method"]
    assert "holding above it" in told["true"]["estimate"]["method"]
    assert told["false"]["estimate"]["value"] < 0 < told["true"]["estimate"]["value"]  # larger models gain less here
    assert either["estimate"]["value"] == told["true"]["estimate"]["value"]


def test_at_least_k_of_m_models_pass(table):
    models = f"models: [{', '.join(MODELS)}, opt-6.7b]"
    row = tried(table, '{statistic: models_passing, of: last_gain, holds: "< 1", predicts: ">= 3"}', models)
    assert row["verdict"] == "SUPPORTED"
    assert row["estimate"]["n"] == 9
    assert row["estimate"]["low"] <= row["estimate"]["value"] < row["estimate"]["high"]  # one is not measured


def test_groups_of_prompts_are_compared_by_category(table):
    test = '{statistic: difference_of_categories, of: last_gain, predicts: "> 0.05", categories: GROUPS}'
    test = test.replace("GROUPS", "{new: NAME, known: [Factual]}")
    row = tried(table, test.replace("NAME", "[Novel, Nonsense]"), "models: gptj")
    assert row["verdict"] == "SUPPORTED"
    assert row["estimate"]["n"] == 15
    row = tried(table, test.replace("NAME", "Nvel"), "models: gptj")
    assert row["verdict"] == "NOT_MEASURED"
    assert row["why"] == "no prompt is of category 'Nvel'; these are of Cliche, Factual, Nonsense, Novel and 1 more"


def test_prompts_alike_in_their_category_and_what_would_settle_an_open_claim_are_said(table):
    row = tried(table, '{statistic: mean, of: last_gain, predicts: "< 0.75"}', "models: gptj")
    assert row["verdict"] == "INCONCLUSIVE"
    assert "uncalibrated below n = 12" in row["labels"]
    assert "80 % power with n = 5" in row["details"]["smallest effect"]
    assert "categories; " in row["details"]["n that would decide"]
    row = tried(table, '{statistic: mean_anytime, of: last_gain, predicts: "< 0.75"}', "models: gptj")
    assert any(label.startswith("clustered by category (ICC 0.9") for label in row["labels"])
    assert row["details"]["clustering of last_gain"].startswith("ICC 0.9")
    assert "units are independent" in row["details"]["assumes"]


def test_no_model_measured_is_not_measured(table):
    row = tried(table, '{statistic: trend, of: last_gain, fact: parameters, predicts: "< 0"}', "models: [opt-6.7b]")
    assert row["verdict"] == "NOT_MEASURED"


def test_check_counts_models_where_they_are_the_unit(table):
    test = '{statistic: trend, of: last_gain, fact: layers, predicts: "< 0"}'
    claims = table / "claims.yaml"
    claims.write_text(CLAIM.replace("{models}", "models: [gptj, gpt2-xl]").replace("{test}", test))
    assert "with these 2 models: hopeless, unsupportable: needs 4" in next(check_feasible(claims))


@pytest.mark.parametrize(
    ("test", "extra", "expected"),
    [
        ('{statistic: trend, of: last_gain, fact: wiring, predicts: "< 0"}', "", "is a word, not a number"),
        ('{statistic: trend, of: last_gain, predicts: "< 0"}', "", "is of two variables; `of:` names 1"),
        ('{statistic: mean, of: last_gain, fact: d_head, predicts: "< 0"}', "", "one metric and takes no `fact:`"),
        ('{statistic: trend, of: last_gain, fact: d_haed, predicts: "< 0"}', "", "fact"),
        ('{statistic: trend, of: last_gain, fact: d_head, predicts: "< 0"}', "for: all", "takes no `for:`"),
        ('{statistic: difference_of_categories, of: last_gain, predicts: "< 0"}', "", "add `categories:`"),
        ('{statistic: mean, of: last_gain, predicts: "< 0", categories: {a: x, b: y}}', "", "takes no `categories:`"),
        (
            '{statistic: difference_of_categories, of: last_gain, predicts: "< 0", categories: {a: x, b: [x, y]}}',
            *("", "x is in both groups"),
        ),
        (
            '{statistic: difference_of_categories, of: last_gain, predicts: "< 0", categories: {a: x}}',
            *("", "`categories:` names 1 group(s); write two"),
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_what_to_do(tmp_path, test, extra, expected):
    claims = tmp_path / "claims.yaml"
    claims.write_text(CLAIM.replace("{models}", extra or "models: gptj").replace("{test}", test))
    with pytest.raises(BadInput, match=re.escape(expected)):
        load_claims(claims)
