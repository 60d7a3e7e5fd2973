"""A sweep through a hub that misbehaves: every number is right, nothing is fetched twice, and what failed is told."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

import pytest
from many_revisions import TENTH, Models, untold
from stand_in import Fault, Hub, serving
from test_hub import hub, repository, row  # noqa: F401
from tiny import VARIANTS, row_of

from refutable.errors import HubFailed
from refutable.models.hub_answers import PATIENCE, Asker
from refutable.models.row import ModelRow
from refutable.models.subject import Subject
from refutable.prompts.in_memory import prompts_from
from refutable.sweep import work
from refutable.sweep.jobs import Job
from refutable.sweep.record import JobRecord, Outcome
from refutable.sweep.work import Order, do
from refutable.traces.passes import Pass
from refutable.traces.store import Store

PROMPTS = prompts_from(["ab", "abc a", "had a bed"]).prompts
NAMES = tuple(f"tiny{i}" for i in range(8))
FAILING = (
    Fault("", status=503, share=0.04),
    Fault("", status=429, headers={"Retry-After": "1"}, share=0.03),
    Fault("GET .*", end=3000, how="reset", share=0.02),
    Fault("GET .*safetensors", spoil=2000, share=0.1),
)


@pytest.fixture
def models(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, ModelRow]:  # noqa: F811
    """Serve eight repositories of one shape and different weights."""
    monkeypatch.setattr(os, "environ", {**os.environ})
    monkeypatch.setattr(work, "PAUSE", 0.0)
    families = ("llama", "gpt_neox-parallel", "gpt2", "opt")
    chosen = [families[i % len(families)] for i in range(len(NAMES))]
    for name, variant in zip(NAMES, chosen, strict=True):
        repository(hub.root, name, variant)
    return {n: row_of(VARIANTS[v], n, hub=f"owner/{n}") for n, v in zip(NAMES, chosen, strict=True)}


def swept(models: dict[str, ModelRow], cache: Path, *, local: Path | None = None) -> list[JobRecord]:
    """Measure each model, from the hub or from the folders that it serves."""
    records = []
    for name, of in models.items():
        subject = Subject(name, named=True, weights="pretrained" if local is None else str(local / "owner" / name))
        told = {"job": Job(name, None, ((subject, (Pass("forward", PROMPTS.name),)),)), "row": of, "tries": 6}
        environment = {"REFUTABLE_CACHE": str(cache)}
        records.append(do(Order(**told, prompts=(PROMPTS,), environment=environment)))  # type: ignore[arg-type]
    return records


def numbers(records: list[JobRecord], cache: Path) -> dict[str, list[object]]:
    found = {}
    for record in records:
        trace = Store(cache).get(record.units[0].key)
        assert trace is not None, record
        found[record.model] = trace.blocks.to_pylist()
    return found


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_tenth_of_all_requests_fails_and_every_number_is_right(
    seed: int,
    hub: Hub,  # noqa: F811
    models: dict[str, ModelRow],
    tmp_path: Path,
) -> None:
    hub.chance.seed(seed)
    hub.page = 3  # listings come in pieces
    hub.faults.extend(FAILING)
    records = swept(models, tmp_path / "cache")
    failed = [one for one in hub.requests if one.status in (429, 503)]
    assert failed  # the hub did misbehave
    assert [record.units[0].outcome for record in records] == [Outcome.MEASURED] * len(NAMES)
    hub.faults.clear()
    hub.requests.clear()
    again = swept(models, tmp_path / "cache")
    assert hub.requests == []
    assert [record.units[0].outcome for record in again] == [Outcome.STORED] * len(NAMES)
    truth = swept(models, tmp_path / "local", local=hub.root)
    assert numbers(records, tmp_path / "cache") == numbers(truth, tmp_path / "local")


def test_no_file_is_sent_whole_twice_however_often_other_requests_fail(
    hub: Hub,  # noqa: F811
    models: dict[str, ModelRow],
    tmp_path: Path,
) -> None:
    hub.faults.extend(FAILING[:2])
    swept(models, tmp_path / "cache")
    sent = Counter(one.line for one in hub.requests if one.line.startswith("GET") and one.status in (200, 206))
    bodies = {line: times for line, times in sent.items() if "/cdn/" in line or "/resolve-cache/" in line}
    assert len([line for line in bodies if "/cdn/" in line]) == len(NAMES)
    assert set(bodies.values()) == {1}


def test_a_hub_that_never_answers_leaves_one_line_a_model_and_stops_no_other(
    hub: Hub,  # noqa: F811
    models: dict[str, ModelRow],
    tmp_path: Path,
) -> None:
    hub.faults.append(Fault("owner/tiny3", status=503))
    records = {record.model: record for record in swept(models, tmp_path / "cache")}
    lost = records.pop("tiny3")
    assert {record.units[0].outcome for record in records.values()} == {Outcome.MEASURED}
    assert (lost.units[0].outcome, lost.tries, len(lost.faults)) == (Outcome.LOST, 6, 6)
    assert lost.units[0].reason.startswith("tiny3: the hub answered 503 for owner/tiny3")


def asker() -> Asker:
    return Asker("tiny", "owner/tiny", "again", "by path")


class Limited(OSError):
    """An answer as the client raises it."""

    def __init__(self, wait: str) -> None:
        super().__init__("429")
        self.response = type("Response", (), {"status_code": 429, "headers": {"Retry-After": wait}})()


@pytest.mark.parametrize(("wait", "pause"), [("7", 7.0), ("0", 0.5), ("", 0.5), ("nonsense", 0.5)])
def test_the_hub_says_when_to_come_back(wait: str, pause: float, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    answers = iter([Limited(wait), "there"])

    def ask() -> object:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert asker()("a file", ask) == "there"
    assert slept == [pause]


def test_a_hub_that_wants_to_be_left_alone_for_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("waited"))

    def ask() -> object:
        raise Limited(str(PATIENCE + 1))

    with pytest.raises(HubFailed, match="the hub answered 429 for a file"):
        asker()("a file", ask)


@pytest.mark.parametrize(
    "words", [("--keep-weights", "none"), pytest.param(("--processes", "2"), marks=pytest.mark.slow)]
)
def test_checkpoints_by_the_command_through_a_tenth_of_failures(words: tuple[str, ...], tmp_path: Path) -> None:
    with serving(tmp_path / "repos") as served:
        models = Models.write(served, tmp_path / "user", 3, 5, hurried=True)
        served.chance.seed(1)
        served.page = 3
        served.faults.append(Fault("GET /cdn/", spoil=2000, times=1))
        served.faults.append(Fault("GET /cdn/", end=3000, how="reset", times=1))
        served.faults.extend(TENTH)
        status, text, records = models.measure(*words)
        failed = [one for one in served.requests if one.status in (429, 503)]
        assert failed
        assert served.spoiled
        counts = records["counts"]
        assert counts["measured"] + counts["lost"] == 15, text
        assert (status == 0) == (counts["lost"] == 0), text
        assert untold(text, records) == []
        assert models.needless() == {}
        served.faults.clear()
        before = len(served.requests)
        assert models.measure(*words)[0] == 0
        asked = [one.line for one in served.requests[before:] if one.line.startswith("GET /api/models")]
        assert counts["lost"] or asked == [f"GET /api/models/owner/tiny{number}/refs" for number in range(3)]
        assert models.right() == (15, 15)
        assert len([*(tmp_path / "user" / "hf").rglob("blobs/" + "?" * 64)]) == (0 if "none" in words else 15)
