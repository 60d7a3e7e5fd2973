"""What goes by beside passes and loading: recorded by sweeps, and used by the next one's plan."""

from __future__ import annotations

from pathlib import Path

import pytest
from orders import order

from refutable.models.subject import Subject
from refutable.sweep.engines import here
from refutable.sweep.rates import Rates, job_seconds
from refutable.sweep.record import JobRecord, Outcome, Unit
from refutable.sweep.times import JOB, MOST, PROBE, START, UNIT, Times, keep_times, read_times
from refutable.traces.passes import Pass


def unit(seconds: float, beside: float, prompts: str = "p", outcome: Outcome = Outcome.MEASURED) -> Unit:
    told = {"model": "m", "revision": None, "subject": "", "pass_title": "forward", "prompts": prompts}
    return Unit(**told, outcome=outcome, seconds=seconds, beside=beside)  # type: ignore[arg-type]


def job(*units: Unit, **changes: object) -> JobRecord:
    told = {"model": "m", "revision": None, "units": units, **changes}
    return JobRecord(**told)  # type: ignore[arg-type]


def test_means_are_of_whole_jobs_that_met_no_fault(tmp_path: Path) -> None:
    first = job(unit(2.0, 0.25), unit(1.0, 0.75), unit(0.5, 0.0, prompts=""), seconds=10.5, starting=6.0)
    again = job(unit(9.0, 9.0), seconds=99.0, tries=2)
    partly = job(unit(9.0, 9.0), unit(0.0, 0.0, outcome=Outcome.STORED), seconds=99.0, starting=8.0)
    keep_times(tmp_path, "a CPU", [first, again, partly])
    found = read_times(tmp_path, "a CPU")
    assert found.mean(START, 0.0) == 7.0
    assert found.mean(JOB, 0.0) == 1.0  # 10.5 less 6.0 and 3.5
    assert found.mean(UNIT, 0.0) == 0.5
    assert found.mean(PROBE, 0.0) == 0.5
    assert read_times(tmp_path, "a GPU").mean(START, 3.0) == 3.0
    keep_times(tmp_path, "a GPU", [first])
    assert read_times(tmp_path, "a CPU") == found


def test_later_times_outweigh_earlier_ones() -> None:
    slow = job(*(unit(1.0, 1.0) for _ in range(int(MOST))), seconds=MOST)
    quick = job(*(unit(0.1, 0.1) for _ in range(int(MOST) // 2)), seconds=MOST / 20)
    both = Times().added([slow]).added([quick])
    assert both.totals[UNIT][1] == MOST
    assert both.mean(UNIT, 0.0) == pytest.approx(0.55)


@pytest.mark.parametrize("text", ["", "[]", '{"a CPU": 3}', '{"a CPU": {"start": [1]}}', '{"a CPU": {"start": "x"}}'])
def test_a_file_that_is_no_such_file_counts_as_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "sweep-times.json").write_text(text)
    assert read_times(tmp_path, "a CPU") == Times()
    keep_times(tmp_path, "a CPU", [job(unit(1.0, 0.5), seconds=1.0)])
    assert read_times(tmp_path, "a CPU").mean(UNIT, 0.0) == 0.5


def test_a_jobs_time_is_its_own_its_units_and_their_passes() -> None:
    passes = {Subject("m"): [Pass("forward", "p"), Pass("loss", "p"), Pass("wiring")]}
    bare = job_seconds(passes, 10**6, Rates("cpu"), lambda name: 10)
    full = job_seconds(passes, 10**6, Rates("cpu", job=2.0, unit=0.25, probe=1.5), lambda name: 10)
    assert full == pytest.approx(bare + 2.0 + 2 * 0.25 + 1.0)
    assert job_seconds({}, 10**6, Rates("cpu", job=2.0), lambda name: 10) == 0.0


def test_a_record_says_what_went_by_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFUTABLE_CACHE", str(tmp_path))
    (record,) = here.run([order(tmp_path)])
    (one,) = record.units
    assert 0 < one.beside < one.seconds < record.seconds
