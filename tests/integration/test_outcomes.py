"""How each verdict shows in pytest, in JUnit and in JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pyarrow.parquet as pq
import pytest

from refutable.reports.formats.verdicts_schema import verdicts_schema

from .conftest import Result, Suite

EXPECTED = {
    "tiny-blocks-grow-tiny-gpt2": "SUPPORTED",
    "tiny-blocks-grow-tiny-llama": "SUPPORTED",
    "tiny-attention-shrinks-the-stream-tiny-gpt2": "REFUTED",
    "gain-follows-entropy-tiny-gpt2": "INCONCLUSIVE",
    "gptj-dampens-gptj": "NOT_MEASURED",
    "opt-is-parallel-opt-6.7b": "REFUTED",
    "gptj-rotary-quarter-gptj": "SUPPORTED",
    "triangle": "SUPPORTED",
}


ANY = """\
schema: 1
claims:
  - id: one-of-them-expands
    statement: One of these models lengthens the stream.
    evidence: measured
    models: [tiny-gpt2, gptj]
    for: any
    test: {statistic: mean, over: these_categories, of: last_gain, predicts: "> 1"}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, suite_cache: Path) -> Result:
    return Suite(tmp_path_factory.mktemp("outcomes"), suite_cache).pytest()


def test_every_verdict_is_reported_with_pytests_own_exit_status(run: Result) -> None:
    assert run.verdicts == EXPECTED
    assert run.status == 1, run.text
    assert "2 refuted, 4 supported, 1 inconclusive, 1 not measured in " in run.text
    assert "test_claims.py SSRI-RSS" in run.text
    assert "FAILED" not in run.text


def test_what_was_selected_is_shown_in_full_and_what_r_asks_for_has_a_line(suite: Suite, run: Result) -> None:
    again = suite.pytest("-rfs", "-k", "shrinks or gain-follows or gptj-dampens", "--tb=short")
    short = again.text[again.text.index("short test summary info") :].splitlines()[1:]
    for line, word in zip(
        short, ("REFUTED test_", "INCONCLUSIVE test_", "NOT MEASURED [1] gptj was not"), strict=False
    ):
        assert line.startswith(word), line
    assert "REFUTED: A tiny model's last block" in again.text
    assert "INCONCLUSIVE: Gain and output entropy" in again.text
    assert "=== FAILURES" not in again.text
    assert "=== evidence ===" not in suite.pytest("--tb=no", "-k", "shrinks").text


def test_pytests_own_ways_of_choosing_see_a_refuted_claim_as_failed(suite: Suite, run: Result) -> None:
    first = suite.pytest("-x", "-v", "--tb=no")
    assert (first.status, sorted(first.verdicts.values())) == (1, ["REFUTED", "SUPPORTED", "SUPPORTED"])
    assert re.search(r"test_claim\[tiny-blocks-grow-tiny-gpt2\] SUPPORTED", first.text)
    last = suite.pytest("--lf", "-n", "2", "--tb=no")
    assert list(last.verdicts.values()) == ["REFUTED"], last.text
    assert "1 refuted in " in last.text


def test_a_test_that_is_no_claim_keeps_pytests_words(suite: Suite) -> None:
    suite.write("test_more.py", "def test_fine(): pass\ndef test_wrong(): assert 1 == 2\n")
    run = suite.pytest("test_more.py", "--pyargs", "refutable.suite", "-k", "fine or wrong or triangle")
    assert run.status == 1
    assert "=== FAILURES" in run.text
    assert "FAILED test_more.py::test_wrong - assert 1 == 2" in run.text
    assert "1 supported, 1 failed, 1 passed, 7 deselected in " in run.text


def test_the_last_lines_say_how_it_compares_and_where_the_page_is(suite: Suite) -> None:
    suite.pytest("-k", "triangle")
    suite.refutable("publish", "--to", "published.json", "--yes")
    suite.write("reports/index.html", "<html>")
    lines = suite.pytest("-k", "triangle", "--baseline", "published.json").printed.splitlines()
    assert lines[-3:-1] == ["baseline: no verdict changed; 1 is as in the baseline", "page: reports/index.html"]


def test_junit_follows_the_table_of_the_design(run: Result) -> None:
    shown = {
        case.get("name"): next((child.tag for child in case if child.tag != "properties"), "passed")
        for case in run.junit.iter("testcase")
    }
    tags = {"SUPPORTED": "passed", "REFUTED": "failure", "INCONCLUSIVE": "skipped", "NOT_MEASURED": "skipped"}
    assert shown == {name: tags[verdict] for name, verdict in EXPECTED.items()}
    suite = run.junit.find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped"), suite.get("errors")) == (
        "8",
        "2",
        "2",
        "0",
    )
    assert suite.get("hostname") is None


def test_every_testcase_carries_its_evidence_as_properties(run: Result) -> None:
    properties = {
        case.get("name"): {p.get("name"): p.get("value") for p in case.iter("property")}
        for case in run.junit.iter("testcase")
    }
    found = properties["tiny-attention-shrinks-the-stream-tiny-gpt2"]
    for name in (
        "verdict",
        "estimate",
        "low",
        "high",
        "level",
        "n",
        "unit",
        "p",
        "alpha",
        "effect_size",
        "weights_kind",
        "weights_detail",
        "dtype",
        "device",
        "tap",
        "claim_hash",
        "prompt_set_hash",
        "traces",
        "tokens",
        "recorded",
    ):
        assert found.get(name), name
    assert found["weights_kind"] == "initialisation"
    assert found["tokens"] == "stand-in tokens"


def test_verdicts_json_obeys_its_schema_and_is_strict_json(run: Result) -> None:
    text = (run.folder / "reports" / "verdicts.json").read_text()
    jsonschema.validate(json.loads(text, parse_constant=pytest.fail), verdicts_schema())


def test_a_refuted_claim_shows_its_evidence_and_no_traceback(run: Result) -> None:
    message = run.text[run.text.index("REFUTED: A tiny model's last block") :]
    for part in (
        "mean of last_gain = ",
        " at 90 %",
        "n = 5 categories",
        "predicted  < 1",
        "p = ",
        "0.8 (n 25, dtype float16)",
        "initialisation (freshly drawn",
    ):
        assert part in message, part
    assert "Traceback" not in run.text
    assert not re.search(r"^[\w./]+\.py:\d+: ", run.text, flags=re.MULTILINE)


def test_weights_that_were_drawn_are_never_shown_as_pretrained(run: Result) -> None:
    for row in run.json["verdicts"]:
        if row["weights"]:
            assert row["weights"]["weights_kind"] == "initialisation"
            assert "freshly drawn" in row["weights"]["weights_detail"]


def test_the_weights_of_a_group_are_told_of_the_models_that_were_measured(suite: Suite) -> None:
    suite.write("claims.yaml", ANY)
    run = suite.pytest()
    assert run.verdicts == {"one-of-them-expands": "SUPPORTED"}, run.text
    (row,) = run.json["verdicts"]
    assert row["weights"]["models"] == "tiny-gpt2"
    assert "weights: tiny-gpt2: initialisation" in run.text


def test_reports_name_no_host_and_no_path(run: Result) -> None:
    import re
    import socket

    for file in (run.folder / "reports").rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        text = str(pq.read_table(file).to_pylist()).encode() if file.suffix == ".parquet" else content
        assert str(run.folder).encode() not in text, file.name
        assert not re.search(rb"\b" + re.escape(socket.gethostname().encode()) + rb"\b", text), file.name


def test_measurements_have_the_notebooks_columns_and_what_it_lacked(run: Result) -> None:
    import csv

    with (run.folder / "reports" / "measurements.csv").open() as file:
        rows = list(csv.DictReader(file))
    notebook = [
        "Model",
        "Architecture",
        "Norm_Type",
        "Params",
        "Role",
        "Category",
        "Complexity",
        "Prompt",
        "Prompt_Short",
        "Entropy",
        "Last_Gain",
        "Total_Amp",
        "Top_Token",
        "Top_Prob",
        "N_Layers",
    ]
    assert list(rows[0])[: len(notebook)] == notebook
    assert {"Tokens", "Dtype", "Revision", "Weights_Kind"} <= set(rows[0])
    assert len(rows) % 25 == 0
    with (run.folder / "reports" / "layers.csv").open() as file:
        assert len(list(csv.DictReader(file))) == sum(int(row["N_Layers"]) for row in rows)


def test_a_second_run_judges_stored_traces_without_torch(suite: Suite, run: Result) -> None:
    spy = suite.write("spy.py", "import atexit, sys\natexit.register(lambda: print('TORCH', 'torch' in sys.modules))\n")
    suite.fresh = True
    again = suite.pytest("-p", spy.stem, "-s")
    assert again.verdicts == EXPECTED
    assert "TORCH False" in again.text


def test_xdist_brings_the_same_verdicts_as_a_serial_run(
    suite: Suite, run: Result, tmp_path_factory: pytest.TempPathFactory
) -> None:
    serial = run.json["verdicts"]
    suite.environment["REFUTABLE_CACHE"] = str(tmp_path_factory.mktemp("fresh"))
    parallel = suite.pytest("-n", "2")
    assert parallel.status == 1, parallel.text
    strip = ["seconds"]
    assert [{k: v for k, v in row.items() if k not in strip} for row in parallel.json["verdicts"]] == [
        {k: v for k, v in row.items() if k not in strip} for row in serial
    ]
