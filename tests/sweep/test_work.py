"""One job, done in this process: what is stored, what is tried again, and what is final."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from orders import PROMPTS, order

from refutable.errors import ClosureError, HubFailed
from refutable.evidence.sample_source import SampleSource
from refutable.models.subject import Subject
from refutable.sweep import work
from refutable.sweep.jobs import Job, jobs_of
from refutable.sweep.record import Outcome
from refutable.sweep.work import do
from refutable.traces.passes import Pass
from refutable.traces.store import Store

FORWARD, HEADS = Pass("forward", PROMPTS), Pass("heads", PROMPTS)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {**os.environ})  # an order sets variables of the process that does it
    monkeypatch.setattr(work, "PAUSE", 0.0)


def test_a_job_leaves_traces_and_a_second_one_finds_them(tmp_path: Path) -> None:
    asked = pickle.loads(pickle.dumps(order(tmp_path, passes=(FORWARD, HEADS))))  # as another process gets it
    first, second = do(asked), do(asked)
    assert [unit.outcome for unit in first.units] == [Outcome.MEASURED] * 2
    assert [unit.outcome for unit in second.units] == [Outcome.STORED] * 2
    assert [unit.key for unit in first.units] == [unit.key for unit in second.units]
    assert all(Store(tmp_path).is_whole(unit.key) for unit in first.units)
    assert (first.loads, second.loads, first.tries, first.bytes) == (1, 0, 1, 0)  # drawn: nothing is read
    assert len(pickle.dumps(first)) < 5000  # keys and reasons, no numbers


def test_what_may_pass_is_tried_again_and_what_was_measured_before_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, asked = SampleSource.measure, []

    def failing(self: SampleSource, subject: Subject, passes: tuple[Pass, ...]) -> Iterator[Any]:
        asked.append(passes)
        for number, found in enumerate(plain(self, subject, passes)):
            if len(asked) == 1 and number == 1:
                raise OSError(5, "Input/output error")
            yield found

    monkeypatch.setattr(SampleSource, "measure", failing)
    record = do(order(tmp_path, passes=(FORWARD, HEADS)))
    assert [unit.outcome for unit in record.units] == [Outcome.MEASURED, Outcome.STORED]  # stored before it failed
    assert record.tries == 2
    assert record.faults == ("OSError: [Errno 5] Input/output error",)
    assert asked == [(FORWARD, HEADS)]


def test_a_hub_that_never_recovers_leaves_the_unit_lost_with_every_fault_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(self: SampleSource, *given: object, **named: object) -> str:
        raise HubFailed("the hub answered 503")

    monkeypatch.setattr(SampleSource, "address", unreachable)
    record = do(order(tmp_path, tries=4))
    assert [unit.outcome for unit in record.units] == [Outcome.LOST]
    assert (record.tries, record.faults) == (4, ("the hub answered 503",) * 4)
    assert record.units[0].failed


def test_a_fault_of_the_measurement_is_final(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: SampleSource, *given: object) -> Iterator[Any]:
        raise ClosureError("layer 2 does not close")
        yield

    monkeypatch.setattr(SampleSource, "measure", broken)
    record = do(order(tmp_path, passes=(FORWARD, HEADS)))
    assert [(unit.outcome, unit.reason) for unit in record.units] == [
        (Outcome.ERROR, "ClosureError: layer 2 does not close")
    ] * 2
    assert (record.tries, record.faults) == (1, ())


def test_what_the_store_does_not_keep_is_not_called_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "put", lambda self, trace: None)
    monkeypatch.setattr(Store, "keep", lambda self, trace: None, raising=False)
    (unit,) = do(order(tmp_path, tries=1)).units
    assert (unit.outcome, unit.reason) == (Outcome.LOST, "it was measured, and the store did not keep it")


def test_what_means_nothing_on_a_model_is_no_fault_of_a_model_that_was_not_named(tmp_path: Path) -> None:
    specs = (FORWARD, Pass("forward", PROMPTS, "rewire-sequential"))  # as it is wired already
    subject = Subject("tiny-gpt2")
    record = do(order(tmp_path, job=Job("tiny-gpt2", None, ((subject, specs),))))
    assert [unit.outcome for unit in record.units] == [Outcome.MEASURED, Outcome.NOT_MEASURED]
    assert "changes nothing" in record.units[1].reason
    assert not record.units[1].failed


def test_revisions_of_a_model_are_jobs_of_their_own_and_its_draws_are_not() -> None:
    plan = {
        Subject("a", revision="step0"): (FORWARD,),
        Subject("b"): (FORWARD, HEADS),
        Subject("a", revision="step1"): (FORWARD,),
        Subject("b", weights="init", seed=1): (FORWARD,),
    }
    jobs = jobs_of(plan)
    assert [(job.model, job.revision, len([*job.units])) for job in jobs] == [
        ("a", "step0", 1),
        ("b", None, 3),
        ("a", "step1", 1),
    ]
    assert [job.id for job in jobs] == ["a at step0", "b", "a at step1"]
