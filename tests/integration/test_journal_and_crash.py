"""Nothing is lost: the journal survives a kill -9, and a dead worker is an ERROR, never a refutation."""

from __future__ import annotations

import json
import os
import signal
import time

from .conftest import Suite

KILLER = """\
import os, signal
def pytest_runtest_setup(item):
    if "triangle" in item.name:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_reports_are_rebuilt_from_the_journal_after_a_kill(suite: Suite) -> None:
    whole = suite.pytest().json
    suite.write("killer.py", KILLER)
    killed = suite.pytest("-p", "killer")
    assert killed.status == -signal.SIGKILL
    rebuilt = suite.refutable("report", "reports/journal.jsonl")
    assert rebuilt.status == 0, rebuilt.text
    assert "cut short" in rebuilt.text
    data = json.loads((suite.folder / "reports" / "verdicts.json").read_text())
    assert data["complete"] is False
    expected = {row["id"]: row["verdict"] for row in whole["verdicts"] if row["id"] != "triangle"}
    assert {row["id"]: row["verdict"] for row in data["verdicts"]} == expected
    assert (suite.folder / "reports" / "junit.xml").is_file()


def test_a_journal_cut_in_the_middle_of_a_line_is_read_up_to_there(suite: Suite) -> None:
    suite.pytest()
    journal = suite.folder / "reports" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-40])
    assert suite.refutable("report", "reports/journal.jsonl").status == 0


def test_reports_rebuilt_from_a_whole_journal_are_the_same(suite: Suite) -> None:
    suite.pytest()
    names = ("verdicts.json", "junit.xml", "measurements.csv", "layers.csv", "categories.csv")
    before = {name: (suite.folder / "reports" / name).read_text() for name in names}
    assert suite.refutable("report").status == 0
    assert {name: (suite.folder / "reports" / name).read_text() for name in names} == before


def test_a_worker_that_dies_leaves_an_error_and_the_other_verdicts(suite: Suite) -> None:
    suite.write("killer.py", KILLER)
    suite.environment["PYTHONPATH"] = str(suite.folder)
    run = suite.pytest("-n", "2", "-p", "killer", "--max-worker-restart", "1")
    assert run.status == 1, run.text
    assert run.verdicts["triangle"] == "ERROR"
    assert run.verdicts["opt-is-parallel-opt-6.7b"] == "REFUTED"


def test_an_interrupted_run_leaves_reports_of_what_was_decided(suite: Suite) -> None:
    suite.pytest("-k", "tiny")  # so that traces are stored and the run below is quick up to the sleep
    suite.write(
        "sleeper.py", "import time\ndef pytest_runtest_setup(item):\n    'triangle' in item.name and time.sleep(60)\n"
    )
    process = suite.start("-p", "sleeper", fresh=True)
    journal = suite.folder / "reports" / "journal.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and "gptj-rotary" not in (journal.read_text() if journal.exists() else ""):
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) == 2
    data = json.loads((suite.folder / "reports" / "verdicts.json").read_text())
    assert "gptj-rotary-quarter-gptj" in {row["id"] for row in data["verdicts"]}
