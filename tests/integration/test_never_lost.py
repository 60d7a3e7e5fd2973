"""Whatever ends a run, a verdict that was printed is kept, and a case that left none is named."""

from __future__ import annotations

import json
import shutil
import signal
import time
from functools import partial
from pathlib import Path

import pytest
from bounds import heed_permissions, limit_files

from refutable.reports.journal import read_journal
from refutable.reports.runs import kept_in

from .conftest import Suite

QUICK = ("-k", "triangle or rotary or parallel")
NAMES = {"triangle", "gptj-rotary-quarter-gptj", "opt-is-parallel-opt-6.7b"}
KILL_ALL = """\
import os, signal
def pytest_runtest_setup(item):
    if hasattr(item.config, "workerinput"):
        os.kill(os.getpid(), signal.SIGKILL)
"""
KILL_WHEN_PRINTED = """\
import os, signal, pytest
@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_report_teststatus(report):
    result = yield
    if "rotary" in report.nodeid and report.when == "call" or report.failed:
        os.kill(os.getpid(), signal.SIGKILL)
    return result
"""


@pytest.mark.parametrize("restarts", ["0", "1", "9"])
def test_every_selected_case_is_named_though_all_workers_die(restarts: str, suite: Suite) -> None:
    suite.write("killer.py", KILL_ALL)
    suite.environment["PYTHONPATH"] = str(suite.folder)
    run = suite.pytest(*QUICK, "-n", "2", "-p", "killer", "--max-worker-restart", restarts)
    assert run.status != 0
    assert run.verdicts == dict.fromkeys(NAMES, "ERROR"), run.text
    assert run.json["complete"] is False
    before = run.json
    suite.refutable("report")
    after = json.loads((suite.folder / "reports" / "verdicts.json").read_text())
    assert (after["complete"], after["verdicts"]) == (before["complete"], before["verdicts"])
    assert suite.refutable("publish", "--yes").status != 0


@pytest.mark.parametrize("outcome", ["passed", "failed"])
def test_a_verdict_that_is_printed_is_in_the_journal(outcome: str, suite: Suite) -> None:
    suite.write("killer.py", KILL_WHEN_PRINTED)
    suite.environment["PYTHONPATH"] = str(suite.folder)
    name = {"passed": "rotary", "failed": "parallel"}[outcome]
    run = suite.pytest("-k", name, "-p", "killer")
    assert run.status == -signal.SIGKILL
    (row,) = read_journal(suite.folder / "reports" / "journal.jsonl").rows
    assert name in row.id
    assert row.verdict.decided


@pytest.mark.parametrize("odd", ["\u2028", "\u0085", "\u2029"])
def test_a_statement_with_any_separator_is_one_line_of_the_journal(odd: str, suite: Suite) -> None:
    claims = (suite.folder / "claims.yaml").read_text()
    escaped = json.dumps(f"GPT-J turns{odd}a quarter.")
    suite.write("claims.yaml", claims.replace("GPT-J turns a quarter of each head.", escaped))
    assert suite.pytest("-k", "rotary").status == 0
    before = (suite.folder / "reports" / "verdicts.json").read_text()
    assert suite.refutable("report").status == 0
    assert (suite.folder / "reports" / "verdicts.json").read_text() == before


def test_a_line_that_cannot_be_read_is_named_and_the_others_are_kept(suite: Suite) -> None:
    suite.pytest(*QUICK)
    journal = suite.folder / "reports" / "journal.jsonl"
    lines = journal.read_bytes().split(b"\n")
    for bad in (b"\0\0\0", b"{", b'{"kind": "verdict"}', b"[1]", b"[" * 100_000, b"\xff\xfe", lines[2][:-9]):
        journal.write_bytes(b"\n".join([*lines[:2], bad, *lines[3:]]))
        run = read_journal(journal)
        assert len(run.rows) == len(NAMES) - 1
        assert [(check.name, check.outcome) for check in run.checks] == [("journal.jsonl:3", "error")]
        assert not run.complete, "a run that lacks a line is not whole"
    assert "cut short" in suite.refutable("report").text


def test_the_journal_of_the_run_before_is_kept(suite: Suite) -> None:
    suite.pytest(*QUICK)
    first = (suite.folder / "reports" / "journal.jsonl").read_bytes()
    suite.pytest("-k", "triangle")
    assert (suite.folder / "reports" / "journal.previous.jsonl").read_bytes() == first


def test_two_runs_do_not_write_into_one_folder(suite: Suite) -> None:
    suite.write("slow.py", "import time\ndef pytest_runtest_setup(item):\n    time.sleep(30)\n")
    suite.environment["PYTHONPATH"] = str(suite.folder)
    first = suite.start("-p", "slow", "-k", "triangle")
    journal = suite.folder / "reports" / "journal.jsonl"
    try:
        deadline = time.monotonic() + 60
        while not (journal.exists() and journal.read_bytes().count(b"\n") > 1) and time.monotonic() < deadline:
            time.sleep(0.1)
        before = journal.read_bytes()  # its provenance and what is selected
        second = suite.pytest("-k", "triangle")
        assert second.status == 4
        assert "another run is writing its reports there" in second.text
        assert journal.read_bytes() == before
        assert suite.pytest("-k", "triangle", "--reports", "elsewhere").status == 0
    finally:
        first.kill()
        first.wait()
    assert suite.pytest("-k", "triangle").status == 0, "the lock of a run that was killed is free"


def shown(reports: Path) -> dict[str, bytes]:
    """Return the files that a folder of reports shows."""
    files = (file for file in reports.iterdir() if file.is_file() and not file.name.startswith("."))
    return {file.name: file.read_bytes() for file in files}


@pytest.mark.parametrize("size", [0, 300, 2500, 6000])
def test_a_disk_that_is_full_loses_nothing_of_an_earlier_run(size: int, suite: Suite, tmp_path: Path) -> None:
    suite.pytest(*QUICK)
    reports = suite.folder / "reports"
    before = shown(reports)
    done = suite.pytest(*QUICK, "-s", "-p", "no:cacheprovider", before=partial(limit_files, size))
    after = shown(reports)
    text = done.text
    assert "Traceback" not in text, text
    assert "INTERNALERROR" not in text, text
    assert done.status not in (0, 3), text
    told = [line for line in text.splitlines() if "File too large" in line]
    assert 1 <= len(told) <= 3, text
    for name, content in before.items():
        if name != "journal.jsonl" and len(content) > size:
            assert after[name] == content, "what could not be written anew stays"
    if size < 3000:
        assert after["verdicts.json"] == before["verdicts.json"]
    assert read_journal(reports / "journal.jsonl") is not None
    assert not list(reports.rglob("*.aside")), "nothing half-written is left"
    assert all(list(run.iterdir()) for run in kept_in(reports)), "no run that never began is kept"


# A model that was named is tried.


def test_a_model_that_is_named_and_not_tried_is_an_error(suite: Suite) -> None:
    for workers in ((), ("-n", "1")):
        run = suite.pytest("--model", "pythia-70m", *workers)
        assert run.status == 4, run.text
        assert "--model pythia-70m: no selected claim is about pythia-70m" in run.text
        assert "passed" not in run.text
    assert suite.pytest("-k", "rotary", "--model", "gptj").status == 0
    assert suite.pytest("-k", "triangle", "--model", "gptj").status == 4
    assert suite.pytest("-k", "rotary", "--model", "gpt*").status == 0, "one that a glob means is enough"


# A cache that others keep.


def test_a_warm_cache_that_cannot_be_written_is_enough_to_judge(suite: Suite, tmp_path: Path) -> None:
    asked = ("-k", "tiny or parallel")
    suite.environment["REFUTABLE_CACHE"] = str(tmp_path / "cache")
    before = suite.pytest(*asked)
    shutil.rmtree(suite.folder / "reports")
    for path in (tmp_path / "cache", *(tmp_path / "cache").rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    done = suite.pytest("-p", "no:cacheprovider", *asked, before=heed_permissions)
    after = json.loads((suite.folder / "reports" / "verdicts.json").read_text())
    assert {row["id"]: row["verdict"] for row in after["verdicts"]} == before.verdicts, done.text
    assert "ERROR" not in before.verdicts.values()
    for path in (tmp_path / "cache", *(tmp_path / "cache").rglob("*")):
        path.chmod(0o755)
