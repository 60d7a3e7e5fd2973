"""Controls and variations as a user gets them: in verdicts.json, junit.xml, the tables, and through a baseline."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import TypeAdapter

from refutable.reports.formats.verdicts_json import read_verdicts
from refutable.reports.formats.verdicts_schema import verdicts_schema
from refutable.verdicts.robustness import Control, Variation
from refutable.verdicts.verdict import Verdict

from .conftest import Result, Suite

CLAIMS = """\
schema: 1
claims:
  - id: gain
    statement: A tiny model's last block shrinks the stream.
    evidence: measured
    models: [tiny-gpt2]
    test: {statistic: mean, of: last_gain, predicts: "< 1.0"}
    multiverse:
      norm: [raw, centred]
      statistic: [mean, ratio_of_means]
      bos: [with]
      prompts: [others.yaml]
  - id: triangle-gap
    statement: The sum is shorter than the lengths together.
    evidence: measured
    models: [tiny-gpt2]
    test: {statistic: mean, of: cancellation_ratio, layer: last, predicts: "< 1"}
  - id: pairs
    statement: Gain rises with entropy.
    evidence: measured
    models: [tiny-gpt2]
    test: {statistic: pearson, of: [last_gain, output_entropy], predicts: "> -0.9"}
    controls: [permuted, any-data]
"""
PROMPTS = """\
name: others
source: made up
tokens_by: nobody
prompts:
""" + "".join(f"  - {{text: prompt {i}, category: c{i % 2}, tokens: {3 + i}}}\n" for i in range(6))


@pytest.fixture
def run(suite: Suite) -> Result:
    suite.write("claims.yaml", CLAIMS)
    suite.write("others.yaml", PROMPTS)
    return suite.pytest()


def test_what_is_kept_beside_a_verdict_is_structured_everywhere(suite: Suite, run: Result) -> None:
    jsonschema.Draft202012Validator(verdicts_schema()).validate(run.json)
    rows = {row["claim"]: row for row in run.json["verdicts"]}
    _check_variations(rows["gain"])
    triangle = rows["triangle-gap"]
    assert "vacuous" in triangle["labels"]
    assert triangle["controls"]["any-data"]["verdict"] == "SUPPORTED"  # looked into though nobody asked
    _check_controls(rows["pairs"])
    _check_tables(run.folder / "reports", rows)
    case = run.junit.find(".//testcase[@classname='claims.pairs']")
    assert case is not None
    told = {one.get("name"): one.get("value") for one in case.iter("property")}
    assert told["control.permuted"] == "SUPPORTED"
    assert told["control.permuted.share"] == "1.0"
    assert told["control.permuted.estimate"].startswith("1 [0.99")
    read = read_verdicts(run.folder / "reports" / "verdicts.json")
    assert [row.as_dict() for row in read.rows] == run.json["verdicts"]


def _check_variations(row: dict[str, Any]) -> None:
    found = row["variations"]
    assert len(found) == 2 * 2 * 2 * 2 - 1 + 1  # the other estimand
    ratio = found["statistic ratio_of_means"]
    assert ratio["changes"] == {"statistic": "ratio_of_means"}
    assert ratio["estimate"]["method"].startswith("Fieller t")
    assert ratio["estimate"]["low"] < ratio["estimate"]["value"] < ratio["estimate"]["high"]
    assert ratio["estimate"]["value"] == pytest.approx(row["estimate"]["value"], rel=0.02)
    assert found["prompts others.yaml"]["estimate"]["n"] == 2
    assert row["estimate"]["n"] == 5
    unseen = found["bos with"]  # a stand-in model has no tokenizer
    assert (unseen["verdict"], unseen["estimate"]) == ("NOT_MEASURED", None)
    assert "stand-ins" in unseen["why"]
    other = [one["verdict"] for one in found.values() if one["verdict"] not in (row["verdict"], "NOT_MEASURED")]
    assert ("fragile" in row["labels"]) == bool(other)
    assert row["weights"]["prompt_set_hash"].count(",") == 0  # of the claim's own pass, not of its variations'


def _check_controls(row: dict[str, Any]) -> None:
    permuted, anything = row["controls"]["permuted"], row["controls"]["any-data"]
    assert list(row["controls"]) == ["permuted", "any-data"]
    assert permuted["verdict"] == "SUPPORTED"
    assert (permuted["estimate"]["unit"], permuted["estimate"]["n"]) == ("shuffle", 1000)
    assert set(permuted["parts"]) == {"all pairs", "within category"}
    assert anything["verdict"] == "REFUTED"
    assert anything["estimate"]["value"] < -0.9
    assert "holds-when-permuted" in row["labels"]
    assert "vacuous" not in row["labels"]


def _check_tables(folder: Path, rows: dict[str, Any]) -> None:
    with (folder / "variations.csv").open() as file:
        curve = list(csv.DictReader(file))
    gauge = [one for one in curve if one["Claim"] != "gain"]  # declared by nobody
    assert [(one["Claim"], one["Variation"]) for one in gauge] == [
        (claim, form) for claim in ("pairs", "triangle-gap") for form in ("", "norm centred", "over these categories")
    ]
    assert len(curve) - len(gauge) == 17
    assert float(curve[0]["Estimate"]) == rows["gain"]["estimate"]["value"]
    assert (curve[0]["Variation"], curve[0]["Verdict"]) == ("", rows["gain"]["verdict"])
    assert {one["Estimate"] for one in curve if one["Verdict"] == "NOT_MEASURED"} == {""}
    with (folder / "controls.csv").open() as file:
        table = list(csv.DictReader(file))
    assert {(one["Claim"], one["Control"], one["Part"]) for one in table} == {
        ("triangle-gap", "any-data", ""),
        ("pairs", "any-data", ""),
        *(("pairs", "permuted", part) for part in ("", "all pairs", "within category")),
    }


def test_a_baseline_of_the_first_version_is_still_read(suite: Suite, run: Result) -> None:
    old = run.json | {"version": 1}
    for row in old["verdicts"]:
        del row["controls"]
        row["variations"] = {name: one["verdict"] for name, one in row["variations"].items()}
    path = suite.write("old.json", json.dumps(old))
    again = suite.pytest("--baseline", str(path))
    assert again.status == 0, again.text
    assert "no verdict changed" in again.text
    rows = {row.claim: row for row in read_verdicts(path).rows}
    assert rows["gain"].variations["bos with"] == Variation(Verdict.NOT_MEASURED, "")


def test_a_control_of_several_seeds_shows_each(suite: Suite) -> None:
    from refutable.evidence.controls import _over_seeds, _share
    from refutable.verdicts.judge import Judgement
    from refutable.verdicts.verdict import Estimate

    def one(verdict: Verdict, value: float) -> Judgement:
        numbers = {"value": value, "low": 0.0, "high": 1.0, "level": 0.9, "n": 25, "p": 0.5, "effect_size": 1.0}
        found = Estimate(**numbers, unit="prompt", method="t", statistic="mean", of=("x",))
        return Judgement(verdict, "< 1", "", found)

    judged = {"seed 0": one(Verdict.SUPPORTED, 1.0), "seed 1": one(Verdict.SUPPORTED, 3.0)}
    third = {"seed 2": one(Verdict.REFUTED, 8.0)}
    assert _share(judged | third) == pytest.approx(2 / 3)
    seeds = _over_seeds(judged | third)
    assert seeds is not None
    assert (seeds.value, seeds.low, seeds.high, seeds.n, seeds.unit, seeds.level) == (4.0, 1.0, 8.0, 3, "seed", None)
    control = Control(Verdict.SUPPORTED, "w", seeds, 0.5, {"seed 0": Control(Verdict.REFUTED, "v")})
    written = TypeAdapter(Control)
    assert written.validate_json(written.dump_json(control)) == control


def test_a_comparison_of_groups_has_controls_and_variations_too(suite: Suite) -> None:
    suite.write(
        "claims.yaml",
        "schema: 1\nclaims:\n"
        "  - id: groups\n    statement: s\n    evidence: measured\n"
        "    test:\n      {statistic: difference_of_groups, of: last_gain, predicts: '< 5',\n"
        "       groups: {one: [tiny-gpt2, tiny-opt, tiny-bloom], other: [tiny-llama, tiny-gptj, tiny-gpt-neox]}}\n"
        "    controls: [permuted, initialization]\n    multiverse: {norm: [centred], bos: [with]}\n",
    )
    (row,) = suite.pytest().json["verdicts"]
    assert row["verdict"] == "SUPPORTED"
    assert row["controls"]["permuted"]["estimate"]["n"] == 1000
    assert row["controls"]["permuted"]["share"] == 1
    assert row["controls"]["initialization"]["estimate"]["n"] == 6
    controls = {"holds-when-permuted", "holds-at-initialisation"}
    assert set(row["labels"]) == {*controls, "uncalibrated below n = 10", "gauge: stream-mean"}
    assert row["variations"]["norm centred"]["estimate"]["unit"] == "model"
    assert row["variations"]["bos with"]["verdict"] == "NOT_MEASURED"
