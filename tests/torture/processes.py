"""Runs that are killed, whose workers die, or whose disk is full: nothing printed is lost, and a rerun is right."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import forked
from bounds import limit_files
from cache import Bench
from tally import Tally

from refutable.errors import RefutableError
from refutable.reports.journal import read_journal

PRINTED = re.compile(r"test_claim\[([^\]]+)\] (SUPPORTED|REFUTED|INCONCLUSIVE|NOT MEASURED)")
KILLER = """\
import os, random, signal
where = os.environ["KILL_AT"].split(",")
def _now(item, phase):
    if hasattr(item.config, "workerinput") and f"{phase}:{item.callspec.params['claim_case'].id}" in where:
        if random.random() < float(os.environ["KILL_HOW_OFTEN"]):
            os.kill(os.getpid(), signal.SIGKILL)
def pytest_runtest_setup(item): _now(item, "setup")
def pytest_runtest_call(item): _now(item, "call")
def pytest_runtest_teardown(item): _now(item, "teardown")
"""
INI = """\
[pytest]
refutable_claims = claims.yaml
refutable_figures = none
refutable_models = models.yaml
addopts = --pyargs
testpaths = refutable.suite
"""


@dataclass
class Runs:
    """A suite in a folder, run as users run it: in new interpreters or, unless `fresh`, in forks (see `forked`)."""

    bench: Bench
    rng: random.Random
    fresh: bool = True
    reference: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.bench.folder
        (self.folder / "pytest.ini").write_text(INI)
        (self.folder / "killer.py").write_text(KILLER)
        self.cache = self.folder / "used"
        shutil.copytree(self.folder / "pristine", self.cache, dirs_exist_ok=True)
        self.environment = {
            **{name: text for name, text in os.environ.items() if not name.startswith("PYTEST")},
            "REFUTABLE_CACHE": str(self.cache),
            "PYTHONPATH": str(self.folder),
            "CUDA_VISIBLE_DEVICES": "",
            "HF_HUB_OFFLINE": "1",
        }
        self.reference = {name: row["verdict"] for name, row in self.bench.reference.items()}

    def command(self, *arguments: str) -> list[str]:
        options = ("--model", "tiny-l", f"--weights={self.bench.options.weights}", "--device", "cpu", "--offline")
        return [sys.executable, "-m", "pytest", "-v", *options, "-p", "no:cacheprovider", *arguments]

    def start(
        self, *arguments: str, limit: int | None = None, **environment: str
    ) -> forked.Forked | subprocess.Popen[str]:
        return forked.start(
            self.command(*arguments),
            cwd=self.folder,
            env={**self.environment, "PYTHONUNBUFFERED": "1", **environment},
            before=None if limit is None else partial(limit_files, limit),
            fresh=self.fresh,
        )

    def forget(self) -> None:
        """Forget some of the cache, so that a run has something to measure, and the reports."""
        shutil.rmtree(self.folder / "reports", ignore_errors=True)
        for trace in sorted(self.cache.glob("traces/*/*")):
            if self.rng.random() < 0.08:
                shutil.rmtree(trace, ignore_errors=True)

    def journalled(self) -> dict[str, str]:
        """Return the verdicts that the journal holds."""
        journal = self.folder / "reports" / "journal.jsonl"
        with suppress(RefutableError):
            return {row.id: row.verdict.value for row in read_journal(journal).rows}
        return {}

    def reported(self) -> tuple[dict[str, str], bool]:
        """Return the verdicts of verdicts.json, and whether it calls itself complete."""
        data = json.loads((self.folder / "reports" / "verdicts.json").read_text())
        return {row["id"]: row["verdict"] for row in data["verdicts"]}, data["complete"]

    def rerun_is_right(self) -> bool:
        """Whether a run with whatever is left comes to the verdicts of an untouched one, and says it is complete."""
        process = self.start()
        process.communicate(timeout=300)
        return self.reported() == (self.reference, True)


def kills(runs: Runs, *, seconds: float, most: int) -> Tally:
    """Kill a run at a random moment, or the moment a verdict is printed."""
    tally, end = Tally("kill -9"), time.monotonic() + seconds
    while time.monotonic() < end and tally.trials < most:
        runs.forget()
        process = runs.start()
        assert process.stdout is not None
        printed: dict[str, str] = {}
        stop_after, moment = runs.rng.randrange(8), time.monotonic() + runs.rng.uniform(0.3, 6)
        for line in process.stdout:
            if match := PRINTED.search(line):
                printed[match[1]] = match[2]
            if len(printed) > stop_after or time.monotonic() > moment:
                break
        process.send_signal(signal.SIGKILL)
        rest = process.communicate()[0] or ""
        printed |= {match[1]: match[2] for match in PRINTED.finditer(rest)}
        found = runs.journalled()
        what = f"after {len(printed)} lines"
        if lost := printed.keys() - found.keys():
            tally.add("lost", f"{what}: {lost} printed and not in the journal")
        elif wrong := {name for name in found if found[name] != runs.reference[name]}:
            tally.add("wrong", f"{what}: {wrong}")
        elif not runs.rerun_is_right():
            tally.add("stuck", what)
        else:
            tally.add("kept")
    return tally


def workers(runs: Runs, *, seconds: float, most: int) -> Tally:
    """Kill xdist's workers at some cases, sometimes all of them."""
    tally, end = Tally("xdist workers killed"), time.monotonic() + seconds
    phases = [f"{phase}:{case}" for phase in ("setup", "call", "teardown") for case in runs.reference]
    while time.monotonic() < end and tally.trials < most:
        runs.forget()
        where = ",".join(runs.rng.sample(phases, runs.rng.choice((1, 2, 4, len(phases)))))
        often = runs.rng.choice(("1", "0.5"))
        restarts, mode = runs.rng.choice("0139"), runs.rng.choice(("load", "loadscope", "worksteal", "loadgroup"))
        arguments = ("-n", runs.rng.choice("123"), "--max-worker-restart", restarts, "--dist", mode, "-p", "killer")
        process = runs.start(*arguments, KILL_AT=where, KILL_HOW_OFTEN=often)
        text, _ = process.communicate(timeout=300)
        what = f"{' '.join(arguments)} at {where} ({often})"
        found, complete = runs.reported()
        errors = {name for name, verdict in found.items() if verdict == "ERROR"}
        if found.keys() != runs.reference.keys():
            tally.add("lost", f"{what}: {runs.reference.keys() - found.keys()}")
        elif any(found[name] != runs.reference[name] for name in found.keys() - errors):
            tally.add("wrong", f"{what}: {found}")
        elif (errors and process.returncode == 0) or _is_traced(text):
            tally.add("unclear", f"{what}: status {process.returncode}, complete {complete}")
        elif not runs.rerun_is_right():
            tally.add("stuck", what)
        else:
            tally.add("all right" if not errors else "some ERROR by name")
    return tally


def disks(runs: Runs, *, seconds: float, most: int) -> Tally:
    """Run where no file may grow beyond some size."""
    tally, end = Tally("disk full"), time.monotonic() + seconds
    assert runs.rerun_is_right()
    while time.monotonic() < end and tally.trials < most:
        before = {file.name: file.read_bytes() for file in (runs.folder / "reports").glob("[!.]*") if file.is_file()}
        keep = runs.rng.random() < 0.7
        if not keep:
            for trace in runs.cache.glob("traces/*/*"):
                shutil.rmtree(trace, ignore_errors=True)
        limit = runs.rng.choice((0, runs.rng.randrange(1, 3000), runs.rng.randrange(1, 60_000)))
        process = runs.start("-s", limit=limit)
        text, _ = process.communicate(timeout=300)
        after = {file.name: file.read_bytes() for file in (runs.folder / "reports").glob("[!.]*") if file.is_file()}
        printed = {match[1] for match in PRINTED.finditer(text)}
        what = f"{limit} bytes, {'warm' if keep else 'empty'} cache"
        wrong = {name for name, verdict in runs.journalled().items() if verdict not in (runs.reference[name], "ERROR")}
        if gone := before.keys() - after.keys():
            tally.add("lost", f"{what}: {gone}")
        elif "Traceback" in text or "INTERNALERROR" in text or "fault of refutable" in text:
            tally.add("unclear", f"{what}: {text[-600:]}")
        elif process.returncode == 0 and after["verdicts.json"] == before["verdicts.json"] and printed:
            tally.add("lost", f"{what}: nothing was written, and the status is 0")
        elif wrong:
            tally.add("wrong", f"{what}: {wrong}")
        elif not runs.rerun_is_right():
            tally.add("stuck", what)
        else:
            tally.add("said" if process.returncode else "room enough")
    return tally


def _is_traced(text: str) -> bool:
    """Whether a traceback is shown; not pytest-xdist's own, of a worker that it replaced and gave no work to.

    Its schedulers `loadscope` and `loadgroup` end with a KeyError there (version 3.8).
    """
    lines = text.splitlines()
    internal = [line for line in lines if line.startswith("INTERNALERROR>")]
    if internal and "KeyError: <WorkerController" in internal[-1] and not any("refutable" in one for one in internal):
        lines = [line for line in lines if line not in internal]
    return any("INTERNALERROR" in line or "Traceback" in line for line in lines)
