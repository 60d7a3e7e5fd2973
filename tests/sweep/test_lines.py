"""What a sweep says: plans by model, failures in one line each, an end in one line, and all of it as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from refutable.measurement.forecast import Forecast
from refutable.models.registry import load_registry
from refutable.models.subject import Subject
from refutable.sweep.jobs import Job
from refutable.sweep.lines import end_line, estimate, failure_lines, job_line, plan_lines
from refutable.sweep.rates import START, assumed
from refutable.sweep.record import JobRecord, Outcome, Unit, write_records
from refutable.sweep.shards import Shard
from refutable.sweep.survey import Planned
from refutable.sweep.work import unit_record
from refutable.traces.passes import Pass

SPEC = Pass("forward", "p")
ROW = load_registry()["pythia-70m"]


def planned(step: int, *, stored: bool, seconds: float = 60.0) -> Planned:
    subject = Subject("pythia-70m", revision=f"step{step}")
    known = {(subject, SPEC): unit_record(subject, SPEC, Outcome.STORED)} if stored else {}
    return Planned(
        job=Job("pythia-70m", f"step{step}", ((subject, (SPEC,)),)),
        row=ROW,
        known=known,
        to_fetch=False,
        bytes=0 if stored else 140_000_000,
        memory=Forecast(0 if stored else 300_000_000),
        seconds=0.0 if stored else seconds,
        cost=seconds,
    )


def unit(outcome: Outcome, reason: str = "", **changes: object) -> Unit:
    told = {"model": "m", "revision": "step1", "subject": "", "pass_title": "forward", "prompts": "p"}
    return Unit(**{**told, "outcome": outcome, "reason": reason, **changes})  # type: ignore[arg-type]


def record(*units: Unit, tries: int = 1, faults: tuple[str, ...] = ()) -> JobRecord:
    return JobRecord(
        model="m", revision="step1", units=units, seconds=3.0, loads=1, bytes=10**9, tries=tries, faults=faults
    )


def test_the_revisions_of_a_model_are_one_row_of_a_plan() -> None:
    lines = plan_lines([planned(i, stored=i < 2) for i in range(5)], assumed("cpu"), 1, Shard(1, 2), 10)
    assert lines[1].split() == [
        "pythia-70m",
        "5",
        "5",
        "2",
        "3",
        "0",
        "420.0",
        "MB",
        "300.0",
        "MB",
        "3",
        "min",
        "00",
        "s",
    ]
    assert lines[2] == (
        "plan (shard 1/2 of 10 jobs): 5 units in 5 jobs, 3 to measure; to read 420.0 MB; at most 300.0 MB of memory a"
        " process"
    )
    assert "assumed rates" in lines[3]


def test_processes_share_the_time_and_what_is_stored_takes_none() -> None:
    jobs = [planned(i, stored=False) for i in range(4)]
    assert estimate(jobs, 1) == pytest.approx(START + 240)
    assert estimate(jobs, 2) == pytest.approx(START + 120)
    assert estimate(jobs, 2, start=3.0) == pytest.approx(3.0 + 120)
    assert estimate([planned(0, stored=True)], 1) == 0.0


def test_a_reason_that_passes_of_one_subject_share_is_told_once() -> None:
    gone = [unit(Outcome.LOST, "no route", pass_title=name) for name in ("forward", "loss", "heads")]
    other = unit(Outcome.ERROR, "ClosureError: layer 2", subject="seed 1")
    assert [*failure_lines([record(*gone, unit(Outcome.MEASURED)), record(other)])] == [
        "LOST m at step1: forward over p and 2 more of its passes: no route",
        "ERROR m at step1 (seed 1): forward over p: ClosureError: layer 2",
    ]


def test_what_failed_is_what_was_asked_for_and_is_not_stored() -> None:
    assert unit(Outcome.NOT_MEASURED, "gated", needed=True).failed
    assert not unit(Outcome.NOT_MEASURED, "gated").failed
    assert unit(Outcome.ERROR, "NaN").failed
    assert not unit(Outcome.STORED, needed=True).failed


def test_ends_and_retries_are_counted() -> None:
    again = record(unit(Outcome.MEASURED), tries=2, faults=("its process was killed",))
    assert job_line(again) == "m at step1: 1 measured in 3 s, 2 tries (its process was killed)"
    named = replace(again, model="m@step1")  # a row of its own, which says the revision
    assert job_line(named).startswith("m@step1: 1 measured")
    assert end_line([again], 65.0, 1) == "1 measured; 1 load, 1.0 GB read in 1 min 05 s; 1 job begun again"
    assert end_line([], 5.0, 3) == "no unit; 0 loads, 0 B read in 5 s; cut short after 0 of 3 jobs"


def test_the_record_holds_every_unit_with_its_tries(tmp_path: Path) -> None:
    write_records(tmp_path / "out.json", [record(unit(Outcome.ERROR, "NaN"), tries=3)], {"shard": "1/2"})
    left = json.loads((tmp_path / "out.json").read_text())
    assert (left["schema"], left["shard"], left["counts"]["error"]) == (1, "1/2", 1)
    assert left["jobs"][0]["tries"] == 3
    assert left["jobs"][0]["units"][0]["reason"] == "NaN"
