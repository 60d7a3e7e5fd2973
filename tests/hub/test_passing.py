"""Weights that pass through: the next ones come while some are measured, and go afterwards if asked, under a budget."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from stand_in import Fault, Hub
from test_hub import hub, repository, row  # noqa: F401

from refutable.errors import BadInput
from refutable.models.hub_cache import snapshot_folder
from refutable.models.passing import Terms
from refutable.models.subject import Subject
from refutable.prompts.in_memory import prompts_from
from refutable.sweep import work
from refutable.sweep.ahead import Ahead
from refutable.sweep.asked import read_kept, read_size
from refutable.sweep.engines import here
from refutable.sweep.jobs import Job
from refutable.sweep.record import JobRecord, Outcome
from refutable.sweep.work import Order, do, do_and_drop, finder_for
from refutable.traces.passes import Pass

PROMPTS = prompts_from(["ab", "abc a", "had a bed"]).prompts
STEPS = ("step0", "step1", "step2", "step3")  # step0 has the weights of main
FORWARD = Pass("forward", PROMPTS.name)


@pytest.fixture
def steps(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Order, ...]:  # noqa: F811
    """Serve a model at four revisions, and return a job for each."""
    monkeypatch.setattr(os, "environ", {**os.environ, "REFUTABLE_CACHE": str(tmp_path / "cache")})
    monkeypatch.setattr(work, "PAUSE", 0.0)
    whole = hub.root / "owner" / "tiny"
    weights = load_file(whole / "model.safetensors")
    for number, branch in enumerate(STEPS):
        folder = whole / "branches" / branch
        shutil.copytree(whole, folder, ignore=shutil.ignore_patterns("branches"))
        if number:
            told = {name: part * (1 + number / 8) for name, part in weights.items()}
            save_file(told, folder / "model.safetensors", {"format": "pt"})
    return tuple(order(branch) for branch in STEPS)


def order(revision: str | None, passes: tuple[Pass, ...] = (FORWARD,), **changes: object) -> Order:
    at = row() if revision is None else row().at_revision(revision)
    job = Job(at.name, revision, ((Subject(at.name, revision=revision, named=True), passes),))
    return Order(**{"job": job, "row": at, "prompts": (PROMPTS,), "passing": True, **changes})  # type: ignore[arg-type]


def swept(orders: Sequence[Order], **how: object) -> list[JobRecord]:
    return [*here.run(orders, Ahead(orders, **{"drop": True, **how}))]  # type: ignore[arg-type]


def outcomes(records: Sequence[JobRecord]) -> list[Outcome]:
    return [unit.outcome for record in records for unit in record.units]


def bodies(hub: Hub) -> Counter[str]:  # noqa: F811
    sent = (one.line for one in hub.requests if one.line.startswith("GET") and one.status in (200, 206))
    return Counter(line for line in sent if "/cdn/" in line or "/resolve-cache/" in line)


def weights_of(hub: Hub, revision: str) -> Path:  # noqa: F811
    return snapshot_folder("owner/tiny", hub.commit("owner/tiny", revision)) / "model.safetensors"


def blobs(tmp_path: Path) -> list[Path]:
    return [path for path in tmp_path.glob("hf/*/blobs/*") if len(path.name) == 64]


def until(seen: Callable[[], bool]) -> bool:
    started = time.monotonic()
    while not seen() and time.monotonic() - started < 20:
        time.sleep(0.01)
    return seen()


def test_the_next_weights_come_while_some_are_measured_and_no_others(
    hub: Hub,  # noqa: F811
    steps: tuple[Order, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked_for: list[list[str]] = []

    def slowly(one: Order) -> JobRecord:
        number = STEPS.index(str(one.job.revision))
        before = len(hub.requests)
        record = do(one)
        own = [request.line for request in hub.requests[before:] if f"/{STEPS[number]}" in request.line]
        assert own == []  # its weights were there
        following = STEPS[number + 1 : number + 2]
        assert all(
            until(lambda name=name: f"GET /cdn/owner/tiny/branches/{name}/model.safetensors" in bodies(hub))
            for name in following
        )
        asked_for.append(sorted({line.split("/")[5] for line in bodies(hub) if "/cdn/" in line}))
        return record

    monkeypatch.setattr(here, "do", slowly)
    assert outcomes(swept(steps, drop=False)) == [Outcome.MEASURED] * 4
    assert asked_for == [["step0", "step1"], ["step0", "step1", "step2"], [*STEPS], [*STEPS]]
    assert set(bodies(hub).values()) == {1}


def test_what_was_brought_goes_and_its_numbers_are_found_without_it(
    hub: Hub,  # noqa: F811
    steps: tuple[Order, ...],
    tmp_path: Path,
) -> None:
    records = swept(steps)
    assert outcomes(records) == [Outcome.MEASURED] * 4
    assert blobs(tmp_path) == []
    size = (hub.root / "owner" / "tiny" / "model.safetensors").stat().st_size
    assert [record.dropped for record in records] == [size] * 4
    assert set(bodies(hub).values()) == {1}
    hub.requests.clear()
    again = [do(replace(one, offline=offline)) for one in steps for offline in (True, False)]
    assert outcomes(again) == [Outcome.STORED] * 8
    assert hub.requests == []
    os.environ["REFUTABLE_CACHE"] = str(tmp_path / "other")
    kept = swept(steps, drop=False)
    assert [record.units[0].key for record in kept] == [record.units[0].key for record in records]
    assert len(blobs(tmp_path)) == 4


def test_another_pass_over_what_was_dropped_fetches_it_again(
    hub: Hub,  # noqa: F811
    steps: tuple[Order, ...],
    tmp_path: Path,
) -> None:
    swept(steps[:1])
    heads = order("step0", (FORWARD, Pass("heads", PROMPTS.name)))
    offline = do(replace(heads, offline=True))
    assert outcomes([offline]) == [Outcome.STORED, Outcome.NOT_MEASURED]
    assert "its weights were dropped after they were measured" in offline.units[1].reason
    assert outcomes([do_and_drop(heads)]) == [Outcome.STORED, Outcome.MEASURED]
    assert max(bodies(hub).values()) == 2
    assert blobs(tmp_path) == []


def test_what_was_there_before_stays(hub: Hub, steps: tuple[Order, ...], tmp_path: Path) -> None:  # noqa: F811
    for mine in (order(None), order("step1")):
        assert finder_for(mine, Terms()).find(mine.row, next(mine.job.units)[0]).location
    (before,) = {path.name for path in blobs(tmp_path)} - {weights_of(hub, "step1").resolve().name}
    records = swept(steps)
    assert outcomes(records) == [Outcome.MEASURED] * 4
    assert weights_of(hub, "step1").is_file()
    assert weights_of(hub, "main").is_file()  # whose blob was step0's as well
    assert {path.name for path in blobs(tmp_path)} == {before, weights_of(hub, "step1").resolve().name}
    assert [record.dropped > 0 for record in records] == [False, False, True, True]
    assert set(bodies(hub).values()) == {1}


def test_what_a_sweep_that_was_killed_had_brought_goes_with_the_next(
    hub: Hub,  # noqa: F811
    steps: tuple[Order, ...],
    tmp_path: Path,
) -> None:
    finder_for(steps[2], Terms(passing=True)).find(steps[2].row, next(steps[2].job.units)[0])
    assert len(blobs(tmp_path)) == 1
    assert outcomes(swept(steps)) == [Outcome.MEASURED] * 4
    assert blobs(tmp_path) == []


def test_a_budget_for_one_lets_all_pass_and_one_for_none_says_so(
    hub: Hub,  # noqa: F811
    steps: tuple[Order, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    size = (hub.root / "owner" / "tiny" / "model.safetensors").stat().st_size
    most: list[int] = []

    def counted(one: Order) -> JobRecord:
        time.sleep(0.1)  # in which more would come
        most.append(len(blobs(tmp_path)))
        return do(one)

    monkeypatch.setattr(here, "do", counted)
    assert outcomes(swept(steps, most=None, budget=size + 10_000)) == [Outcome.MEASURED] * 4
    assert most == [1, 1, 1, 1]
    os.environ["REFUTABLE_CACHE"] = str(tmp_path / "other")
    (one, *others) = swept(steps, most=None, budget=size + 10_000, drop=False)
    assert outcomes([one]) == [Outcome.MEASURED]
    assert outcomes(others) == [Outcome.NOT_MEASURED] * 3
    assert "more than --disk-budget" in others[0].units[0].reason
    assert "that this sweep fetched are kept; raise it, or add --keep-weights none" in others[0].units[0].reason


def test_a_fault_ahead_is_not_the_jobs(hub: Hub, steps: tuple[Order, ...]) -> None:  # noqa: F811
    hub.faults.append(Fault("step1", status=503, times=3))  # as often as the one ahead asks
    hub.faults.append(Fault("branches/step2/.*safetensors", status=404))
    records = swept(steps)
    assert outcomes(records) == [Outcome.MEASURED, Outcome.MEASURED, Outcome.NOT_MEASURED, Outcome.MEASURED]
    assert [record.tries for record in records] == [1, 1, 1, 1]
    assert "404" in records[2].units[0].reason


def test_nothing_is_asked_for_offline_or_of_files_at_hand(hub: Hub, steps: tuple[Order, ...]) -> None:  # noqa: F811
    assert outcomes(swept([replace(one, offline=True) for one in steps])) == [Outcome.NOT_MEASURED] * 4
    assert hub.requests == []


@pytest.mark.parametrize(("text", "size"), [("200GB", 200e9), ("1.5 tb", 1.5e12), ("7 B", 7), ("10 kB", 10e3)])
def test_sizes(text: str, size: float) -> None:
    assert read_size(text) == size


@pytest.mark.parametrize("text", ["", "much", "-1GB", "0", "1e9", "GB", "200 GiB", "200"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=r"--disk-budget .*: write how many bytes and of which unit, as 200GB"):
        read_size(text)


def test_words_of_keeping() -> None:
    assert (read_kept("cache"), read_kept("none")) == (True, False)
    with pytest.raises(BadInput, match="--keep-weights all: write cache"):
        read_kept("all")
