"""Runs whose traces are on an S3 server: the verdicts of a local store, from one machine to the next."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from s3_server import AWS, DENIED, INTERNAL, Server

from .conftest import Result, Suite

CASES = "tiny-attention or opt-is"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def remote(suite: Suite, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Suite:
    """Return a suite whose store is a new bucket; `suite_cache` stays what it would have used."""
    import fsspec

    told = {**AWS, "AWS_ENDPOINT_URL": server.url, "AWS_MAX_ATTEMPTS": "2"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    bucket = f"lab-{uuid.uuid4().hex[:12]}"
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    fsspec.filesystem("s3").mkdir(bucket)
    suite.environment |= told | {"REFUTABLE_CACHE": f"s3://{bucket}/a", "REFUTABLE_LOCAL_CACHE": str(tmp_path / "own")}
    server.asked.clear()
    return suite


def rows(run: Result) -> str:
    """Return the verdicts of a run, without how long each took."""
    return json.dumps([{k: v for k, v in row.items() if k != "seconds"} for row in run.json["verdicts"]], indent=1)


def elsewhere(suite: Suite, place: str | Path) -> Suite:
    """Return the same suite with another store, as from another machine."""
    suite.environment |= {"REFUTABLE_CACHE": str(place), "REFUTABLE_LOCAL_CACHE": f"{suite.folder}/another"}
    return suite


@pytest.mark.slow
def test_verdicts_are_those_of_a_local_store_and_the_next_machine_loads_no_model(
    remote: Suite, server: Server, suite_cache: Path
) -> None:
    shared = remote.environment["REFUTABLE_CACHE"]
    first = remote.pytest("-k", CASES)
    assert first.status in (0, 1), first.text
    assert set(first.verdicts.values()) <= {"SUPPORTED", "REFUTED", "INCONCLUSIVE"}
    written = server.counts["PUT"]
    assert written >= 2
    assert not (Path(remote.environment["REFUTABLE_LOCAL_CACHE"]) / "traces").exists()
    wanted = rows(first)
    server.asked.clear()
    remote.write("conftest.py", "def pytest_unconfigure(config):\n    import sys\n    print('torch' in sys.modules)\n")
    remote.fresh = True
    again = elsewhere(remote, shared).pytest("-k", CASES)
    assert rows(again) == wanted
    assert "\nFalse\n" in again.printed, "torch was not imported"
    assert server.counts == {"GET": written}, "each trace is fetched once, though reports read it again"
    remote.fresh = False
    (remote.folder / "conftest.py").unlink()
    assert rows(elsewhere(remote, suite_cache).pytest("-k", CASES)) == wanted


@pytest.mark.slow
def test_traces_go_to_the_store_and_come_back(remote: Suite, server: Server, tmp_path: Path) -> None:
    shared, here = remote.environment["REFUTABLE_CACHE"], tmp_path / "mine"
    run = elsewhere(remote, here).pytest("-k", "tiny-attention")
    pushed = remote.refutable("cache", "push", shared)
    assert pushed.text.rstrip().endswith("0 skipped, 0 damaged"), pushed.text
    assert " copied to s3://" in pushed.text
    again = remote.refutable("cache", "push", shared, "tiny-gpt2")
    assert again.text.startswith(f"0 traces copied to {shared} (0 B), "), again.text
    pulled = elsewhere(remote, tmp_path / "theirs").refutable("cache", "pull", shared)
    assert pulled.status == 0, pulled.text
    assert rows(remote.pytest("-k", "tiny-attention")) == rows(run)
    for command in (("ls",), ("verify",), ("rm", "--all", "--yes"), ("ls",)):
        told = elsewhere(remote, shared).refutable("cache", *command)
        assert told.status == 0, told.text
    assert told.text.startswith(f"0 traces, 0 B in {shared}")
    assert f"measurements: {shared} (0 traces 0 B)" in remote.refutable("doctor").text


@pytest.mark.slow
def test_a_store_that_fails_or_refuses_is_one_line_and_never_measured_around(remote: Suite, server: Server) -> None:
    remote.write("quick.py", "from refutable._util import retry\nretry.PAUSES = (0.01,)\n")
    with server.faulty(INTERNAL):
        run = remote.pytest("-p", "quick", "-k", "tiny-attention")
    assert run.status == 4
    assert "ERROR: s3://" in run.text
    assert "cannot be listed: InternalError it is" in run.text
    assert "Traceback" not in run.text

    def only(method: str, fault: object) -> object:
        return lambda environ, start, app: (
            fault(environ, start, app)  # type: ignore[operator]
            if environ["REQUEST_METHOD"] == method
            and "/traces/" in environ["PATH_INFO"] + "/"
            and environ["PATH_INFO"].endswith((".trace", "writable"))
            else app(environ, start)
        )

    with server.faulty(only("GET", INTERNAL)):  # type: ignore[arg-type]
        run = remote.pytest("-p", "quick", "-k", "tiny-attention")
    (row,) = run.json["verdicts"]
    assert (row["verdict"], row["why"]) == (
        "ERROR",
        f"{remote.environment['REFUTABLE_CACHE']} cannot be read: InternalError it is",
    )
    assert not server.counts["PUT"]
    with server.faulty(only("PUT", INTERNAL)):  # type: ignore[arg-type]
        run = remote.pytest("-p", "quick", "-k", "tiny-attention")
    (row,) = run.json["verdicts"]
    assert row["verdict"] in ("SUPPORTED", "REFUTED")
    assert "could not be stored" in row["details"]["store"]


def test_a_store_of_a_colleague_says_how_to_measure_beside_it(remote: Suite, server: Server) -> None:
    def read_only(environ, start, app):  # type: ignore[no-untyped-def]
        return (DENIED if environ["REQUEST_METHOD"] == "PUT" else lambda *a: app(*a[:2]))(environ, start, app)

    with server.faulty(read_only):
        run = remote.pytest("-k", "tiny-attention")
    (row,) = run.json["verdicts"]
    assert row["verdict"] == "NOT_MEASURED"
    assert f"refutable cache pull {remote.environment['REFUTABLE_CACHE']}" in row["why"]
