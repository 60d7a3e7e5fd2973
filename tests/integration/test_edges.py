"""What a sceptical first user found: each of these once gave a wrong verdict, a lost one, or green by absence."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from .conftest import CLAIMS, Suite

PROMPTS = """\
name: my-own
source: made here
tokens_by: nobody
prompts:
  - {category: a, tokens: 4, text: one}
  - {category: a, tokens: 6, text: two}
  - {category: b, tokens: 5, text: three}
  - {category: b, tokens: 7, text: four}
"""


def test_a_claim_on_prompts_of_its_own_is_reported_like_any_other(suite: Suite) -> None:
    suite.write(
        "deep/claims.yaml", CLAIMS.replace("models: [tiny-gpt2]\n", "models: [tiny-gpt2]\n    prompts: mine.yaml\n")
    )
    suite.write("deep/mine.yaml", PROMPTS)
    run = suite.pytest("--claims", "deep/claims.yaml", "-k", "shrinks")
    (row,) = run.json["verdicts"]
    assert (row["estimate"]["n"], row["estimate"]["unit"]) == (2, "category")
    assert (suite.folder / "reports" / "measurements.csv").read_text().count("my-own") == 4


def test_a_prompt_that_stands_twice_is_no_replicate(suite: Suite) -> None:
    suite.write("claims.yaml", CLAIMS.replace("models: [tiny-gpt2]\n", "models: [tiny-gpt2]\n    prompts: mine.yaml\n"))
    suite.write("mine.yaml", PROMPTS.replace("two", "one"))
    run = suite.pytest()
    assert run.status == 4
    assert "the prompt 'one' stands twice" in run.text


def test_a_run_that_was_stopped_is_never_complete_green_or_published(suite: Suite) -> None:
    suite.pytest()
    suite.refutable("publish", "--to", "published.json", "--yes")
    before = (suite.folder / "published.json").read_text()
    run = suite.pytest("-x", "--baseline", "published.json")
    assert run.status == 1, run.text
    assert run.json["complete"] is False
    assert "the run was stopped" in run.text
    published = suite.refutable("publish", "--to", "published.json", "--yes")
    assert published.status == 4
    assert (suite.folder / "published.json").read_text() == before


def test_a_part_of_the_claims_never_replaces_what_is_published(suite: Suite) -> None:
    suite.pytest()
    suite.refutable("publish", "--to", "published.json", "--yes")
    before = (suite.folder / "published.json").read_text()
    suite.pytest("-k", "triangle")
    published = suite.refutable("publish", "--to", "published.json", "--yes")
    assert published.status == 4
    assert "published verdicts were not measured again" in published.text
    assert (suite.folder / "published.json").read_text() == before
    assert suite.refutable("publish", "--to", "published.json", "--yes", "--fewer").status == 0


def test_a_table_without_rows_has_its_header(suite: Suite) -> None:
    suite.pytest("-k", "triangle")
    for name in ("measurements", "layers", "categories"):
        assert (suite.folder / "reports" / f"{name}.csv").read_text().startswith("Model,"), name


def _table(suite: Suite, rows: list[dict[str, str]]) -> Path:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return suite.write("table.csv", text.getvalue())


def test_rows_of_other_weights_are_no_replicates(suite: Suite) -> None:
    kinds = ("pretrained", "dequantised")
    rows = [
        {"Model": "GPT-J-6B", "Prompt": f"{i}", "Last_Gain": "1.1", "Weights_Kind": kind}
        for i in range(3)
        for kind in kinds
    ]
    _table(suite, rows)
    run = suite.pytest("--measurements", "table.csv")
    assert run.status == 4
    assert "differ in Weights_Kind (dequantised, pretrained)" in run.text


def test_pasted_rows_are_no_replicates(suite: Suite) -> None:
    _table(suite, [{"Model": "GPT-J-6B", "Prompt": "the same", "Last_Gain": f"{1 + i / 10}"} for i in range(3)])
    run = suite.pytest("--measurements", "table.csv")
    assert run.status == 4
    assert "the prompt 'the same' more than once" in run.text


def test_its_own_measurements_are_judged_without_their_controls(suite: Suite) -> None:
    own = {"Model": "GPT-J-6B", "Role": "Subject", "Weights_Kind": "pretrained", "Trace": "a"}
    rows = [{**own, "Prompt": f"{i}", "Last_Gain": f"{1.1 + i / 100}"} for i in range(5)]
    rows += [{**row, "Role": "Control", "Last_Gain": "0.1", "Trace": "b"} for row in rows]
    _table(suite, rows)
    (row,) = suite.pytest("-k", "gptj-dampens", "--measurements", "table.csv").json["verdicts"]
    assert (row["verdict"], row["estimate"]["n"]) == ("REFUTED", 5)


def test_its_own_layers_are_judged_as_the_traces_were(suite: Suite) -> None:
    claims = CLAIMS.replace("statistic: mean, of: last_gain", "statistic: mean, of: layer_gain, layer: last")
    suite.write("claims.yaml", claims)
    (live,) = suite.pytest("-k", "shrinks").json["verdicts"]
    (suite.folder / "reports" / "layers.csv").rename(suite.folder / "layers.csv")
    (told,) = suite.pytest("-k", "shrinks", "--measurements", "layers.csv").json["verdicts"]
    assert told["weights"]["weights_kind"] == "published table"
    assert (told["verdict"], told["estimate"]["n"]) == (live["verdict"], live["estimate"]["n"])
    assert told["estimate"]["value"] == live["estimate"]["value"]
    assert told["estimate"]["low"] == live["estimate"]["low"]


def test_a_table_on_other_prompts_is_not_the_claims(suite: Suite) -> None:
    _table(
        suite,
        [{"Model": "GPT-J-6B", "Prompt": f"{i}", "Prompt_Set": "others", "Last_Gain": f"1.{i}"} for i in range(5)],
    )
    (row,) = suite.pytest("-k", "gptj-dampens", "--measurements", "table.csv").json["verdicts"]
    assert row["verdict"] == "NOT_MEASURED"
    assert "'others'" in row["why"]


def test_a_damaged_trace_is_measured_again(suite: Suite, tmp_path_factory) -> None:
    suite.environment["REFUTABLE_CACHE"] = str(tmp_path_factory.mktemp("own"))
    first = suite.pytest("-k", "shrinks").json["verdicts"]
    for path in Path(suite.environment["REFUTABLE_CACHE"]).glob("traces/*/*/blocks.parquet"):
        path.write_bytes(path.read_bytes()[:100])
    for path in Path(suite.environment["REFUTABLE_CACHE"]).glob("traces/*/*/meta.json"):
        path.write_text("")
    again = suite.pytest("-k", "shrinks").json["verdicts"]
    assert [row["estimate"] for row in again] == [row["estimate"] for row in first]


def test_a_cache_that_is_a_file_leaves_errors_and_no_lost_verdict(suite: Suite) -> None:
    suite.environment["REFUTABLE_CACHE"] = str(suite.write("cache", "a file"))
    run = suite.pytest()
    assert run.status == 1
    assert "left no verdict" not in run.text
    assert "can the cache folder ($REFUTABLE_CACHE) be written?" in run.text


def test_reports_that_cannot_be_written_are_said_at_once(suite: Suite) -> None:
    suite.write("reports", "a file")
    run = suite.pytest()
    assert run.status == 4, run.text
    assert "reports cannot be written there" in run.text


def test_one_report_that_cannot_be_written_spares_the_others(suite: Suite) -> None:
    (suite.folder / "reports" / "junit.xml").mkdir(parents=True)
    run = suite.pytest("-k", "triangle")
    assert run.status == 1
    assert run.verdicts == {"triangle": "SUPPORTED"}
    assert "could not be written: junit.xml" in run.text


def test_reports_and_baseline_outside_the_project_are_found_again(suite: Suite, tmp_path_factory) -> None:
    outside = tmp_path_factory.mktemp("out side")
    for _ in range(2):
        run = suite.pytest("-k", "triangle", "--reports", str(outside))
        assert run.status == 0, run.text
    run = suite.pytest(
        "-k", "triangle", "--baseline", str(outside / "verdicts.json"), "--refutable-reports", str(outside)
    )
    assert run.status == 0, run.text
    assert json.loads((outside / "verdicts.json").read_text())["verdicts"][0]["id"] == "triangle"


def test_a_conftest_that_takes_a_name_leaves_the_full_one(suite: Suite) -> None:
    suite.write("conftest.py", "def pytest_addoption(parser):\n    parser.addoption('--model', default='theirs')\n")
    suite.write(
        "test_theirs.py", "def test_theirs(pytestconfig):\n    assert pytestconfig.getoption('--model') == 'x'\n"
    )
    run = suite.pytest("--model", "x", "--refutable-model", "gptj", "test_theirs.py", "-W", "ignore")
    assert "1 passed" in run.text, run.text


def test_a_prediction_that_any_data_satisfies_is_vacuous(suite: Suite) -> None:
    old = 'test: {statistic: mean, of: last_gain, predicts: "< 1"}\n    record'
    assert old in CLAIMS
    new = 'test: {statistic: mean, of: cancellation_ratio, layer: last, predicts: "< 1"}\n    record'
    suite.write("claims.yaml", CLAIMS.replace(old, new))
    (row,) = suite.pytest("-k", "shrinks").json["verdicts"]
    assert "vacuous" in row["labels"]
    suite.write("claims.yaml", CLAIMS.replace(old, new.replace("< 1", "< 0.99")))
    (row,) = suite.pytest("-k", "shrinks").json["verdicts"]
    assert "vacuous" not in row["labels"]


def test_given_prompts_that_lack_a_claims_categories_leave_it_not_measured(suite: Suite) -> None:
    suite.write(
        "claims.yaml",
        "schema: 1\nclaims:\n  - id: strange\n    statement: s\n    evidence: measured\n    models: [tiny-gpt2]\n"
        "    test: {statistic: difference_of_categories, of: last_gain, predicts: '> 0',"
        " categories: {a: Novel, b: Factual}}\n",
    )
    suite.write("mine.txt", "one\ntwo\nthree\n")
    run = suite.pytest("--prompts", "mine.txt")
    assert run.status == 0, run.text
    assert run.verdicts == {"strange-tiny-gpt2": "NOT_MEASURED"}
    assert "no prompt is of category 'Novel'; these are of none" in run.text


CATEGORIES = """\
schema: 1
claims:
  - id: by-category
    statement: The last gain goes by category.
    evidence: measured
    models: [tiny-gpt2]
    test: {statistic: share_between_categories, of: last_gain, predicts: "> 0.01"}
  - id: everywhere
    statement: The last block lengthens the stream at every token.
    evidence: measured
    models: [tiny-gpt2]
    test: {statistic: mean, of: last_gain, position: all, predicts: "> 1"}
"""


def test_prompts_without_categories_are_none_and_what_is_of_categories_is_not_measured_on_them(suite: Suite) -> None:
    suite.write("claims.yaml", CATEGORIES)
    suite.write("mine.txt", "one two three\nfour five six seven\neight nine ten\nalone\n")
    checked = suite.refutable("check", "--prompts", "mine.txt")
    assert "by-category: not measured with these 4 prompts: they have no categories" in checked.text
    run = suite.pytest("--prompts", "mine.txt")
    rows = {row["id"]: row for row in run.json["verdicts"]}
    assert rows["by-category-tiny-gpt2"]["verdict"] == "NOT_MEASURED"
    assert "these prompts have no categories" in rows["by-category-tiny-gpt2"]["why"]
    everywhere = rows["everywhere-tiny-gpt2"]
    assert everywhere["details"]["left out"] == "1 of 4 prompts, which have one token"
    assert everywhere["estimate"]["n"] == 3


def test_a_session_that_breaks_down_before_a_verdict_is_not_complete(suite: Suite) -> None:
    suite.write("boom.py", "def pytest_report_collectionfinish(config):\n    raise ValueError('boom')\n")
    run = suite.pytest("-p", "boom", "-p", "no:cacheprovider")
    assert run.status == 3
    assert run.json["complete"] is False
    assert suite.refutable("publish", "reports", "--yes", "--to", "other.json").status == 4
    assert not (suite.folder / "other.json").exists()
