"""Families as a user declares them: adjusted over all members whatever was selected, in series and under xdist."""

from __future__ import annotations

import json

import jsonschema
import pytest

from refutable.reports.formats.verdicts_schema import verdicts_schema

from .conftest import Suite

CLAIMS = """\
schema: 1
claims:
  - id: tiny-gain
    statement: A tiny model's last block shrinks the stream.
    evidence: measured
    family: gains
    models: [tiny-gpt2, tiny-llama]
    test: {statistic: mean, of: last_gain, predicts: "< 1"}
  - id: large-gain
    statement: A large model's does.
    evidence: measured
    family: gains
    models: [gptj, gpt2, opt-125m]
    test: {statistic: mean, of: last_gain, predicts: "< 1"}
  - id: tiny-entropy
    statement: Output entropy is high.
    evidence: measured
    models: tiny-gpt2
    test: {statistic: mean, of: output_entropy, predicts: "> 0.1"}
"""
MEMBERS = ["large-gain-gpt2", "large-gain-gptj", "large-gain-opt-125m", "tiny-gain-tiny-gpt2", "tiny-gain-tiny-llama"]


@pytest.fixture
def families(suite: Suite) -> Suite:
    suite.write("claims.yaml", CLAIMS)
    return suite


def adjusted(result):
    return {row["id"]: row["adjusted"] for row in result.json["verdicts"]}


def test_what_was_selected_changes_no_family_and_the_journal_alone_tells_it(families: Suite) -> None:
    whole = families.pytest("-q")
    jsonschema.validate(whole.json, verdicts_schema())
    found = adjusted(whole)
    assert sorted(whole.json["provenance"]["families"]["gains"]) == MEMBERS
    assert whole.json["provenance"]["tested_cases"] == 6
    assert (whole.json["multiplicity"]["measured"]["members"], whole.json["multiplicity"]["declared"]["members"]) == (
        3,
        6,
    )
    assert "multiplicity: 0 of 3 decided verdicts with a known error rate" in whole.text  # of five categories
    assert found["tiny-entropy-tiny-gpt2"] is None
    assert found["large-gain-gptj"] is None  # not measured: it has no p-value, and counts as 1
    mine = found["tiny-gain-tiny-gpt2"]
    assert (mine["family"], mine["members"], mine["measured"]) == ("gains", 5, 2)
    rows = {row["id"]: row for row in whole.json["verdicts"]}
    row, other = rows["tiny-gain-tiny-gpt2"], rows["tiny-gain-tiny-llama"]
    for end in ("", "_refuted"):
        p, beside = (one["estimate"][f"p{end}"] for one in (row, other))
        by_hand = 5 * p if p < beside else max(5 * beside, 4 * p)
        assert mine[f"holm{end}"] == pytest.approx(min(1.0, by_hand))
    assert "family gains: 5 members, 2 measured" in whole.text
    properties = {p.get("name"): p.get("value") for p in whole.junit.iter("property")}
    assert (properties["family"], properties["members"]) == ("gains", "5")

    part = families.pytest("-q", "-k", "tiny-gain-tiny-gpt2")
    assert list(adjusted(part)) == ["tiny-gain-tiny-gpt2"]
    one = adjusted(part)["tiny-gain-tiny-gpt2"]
    assert (one["members"], one["measured"]) == (5, 1)
    assert one["holm_refuted"] == pytest.approx(min(1.0, 5 * row["estimate"]["p_refuted"]))

    before = (families.folder / "reports" / "verdicts.json").read_text()
    (families.folder / "reports" / "verdicts.json").unlink()
    assert families.refutable("report").status == 0
    assert json.loads((families.folder / "reports" / "verdicts.json").read_text()) == json.loads(before)


def test_under_xdist_the_family_comes_together(families: Suite) -> None:
    serial = adjusted(families.pytest("-q"))
    spread = adjusted(families.pytest("-q", "-n", "2"))
    assert spread == serial


def test_check_says_how_large_each_family_is(families: Suite) -> None:
    checked = families.refutable("check", "claims.yaml")
    assert "family gains: 5 members; the first that Holm lets stand needs p <= 0.01" in checked.text
