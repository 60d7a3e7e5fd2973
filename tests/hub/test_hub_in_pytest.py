"""The hub as a user meets it: pytest in a process of its own, with an empty HF_HOME, and a stand-in for the hub.

Most processes are forks of a server with the same HF_HOME and HF_ENDPOINT (see `forked`); a first run and one that is
interrupted are new interpreters.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import bounds
import forked
import pytest
from stand_in import MEMBER, Fault, Hub, Origins, serving
from test_hub import FILES, repository

CLAIMS = """\
schema: 1
claims:
  - id: named
    statement: The last block lengthens the stream of this model.
    evidence: measured
    models: [tiny]
    test: {statistic: mean, of: last_gain, predicts: "> 1"}
  - id: any
    statement: The last block lengthens the stream of every model.
    evidence: measured
    test: {statistic: mean, of: last_gain, predicts: "> 1"}
  - id: sequential
    statement: The last block lengthens the stream of every sequential model.
    evidence: measured
    models: {wiring: sequential, pretrained: true}
    test: {statistic: mean, of: last_gain, predicts: "> 1"}
"""
ROWS = """\
models:
  tiny:
    title: Tiny
    hub: owner/tiny
    family: llama
    parameters: {parameters}
    organisation: me
    licence: mit
    config: {config}
"""


LOOKED = ("SUPPORTED", "REFUTED", "INCONCLUSIVE")
OF_TINY = ("--model", "tiny", "-k", "tiny]")  # its three claims, not those of the models at hand


class User:
    """Somebody with a suite, an empty cache of the hub and an empty one of traces."""

    def __init__(self, folder: Path, hub: Hub, home: Path) -> None:
        self.folder, self.hub = folder, hub
        folder.mkdir()
        shutil.rmtree(home, ignore_errors=True)
        config = json.loads((hub.root / "owner" / "tiny" / "config.json").read_text())
        kept = {key: value for key, value in config.items() if key not in ("architectures", "transformers_version")}
        rows = ROWS.format(parameters=self.parameters(), config=json.dumps(kept))
        (folder / "models.yaml").write_text(rows)
        (folder / "claims.yaml").write_text(CLAIMS)
        (folder / "pytest.ini").write_text(
            "[pytest]\nrefutable_claims = claims.yaml\nrefutable_models = models.yaml\naddopts = --pyargs\n"
            "testpaths = refutable.suite\nrefutable_figures = none\n"
        )
        self.environment = {
            **{name: text for name, text in os.environ.items() if not name.startswith(("PYTEST", "HF_", "COV"))},
            "HF_HOME": str(home),
            "HF_ENDPOINT": hub.endpoint,
            "HF_HUB_DISABLE_XET": "1",
            "REFUTABLE_CACHE": str(folder / "cache"),
            "CUDA_VISIBLE_DEVICES": "",
        }
        forked.serve_also(self.environment)

    def parameters(self) -> int:
        from safetensors import safe_open

        with safe_open(self.hub.root / "owner" / "tiny" / "model.safetensors", "pt") as file:
            return sum(file.get_tensor(name).numel() for name in file.keys())  # noqa: SIM118

    def begin(
        self, *arguments: str, limit: int | None = None, fresh: bool = False
    ) -> forked.Forked | subprocess.Popen[str]:
        """Start pytest, in a new interpreter if `fresh`; `limit` is the largest file it may write, in bytes."""
        bound = bounds.heed_interrupts if limit is None else partial(bounds.heed_interrupts_and_limit_files, limit)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        return forked.start(command, cwd=self.folder, env=self.environment, before=bound, fresh=fresh)

    def pytest(self, *arguments: str, limit: int | None = None, fresh: bool = False) -> str:
        """Run pytest to its end and return what it printed."""
        return self.begin(*arguments, limit=limit, fresh=fresh).communicate(timeout=200)[0]

    @property
    def rows(self) -> dict[str, dict[str, str]]:
        verdicts = json.loads((self.folder / "reports" / "verdicts.json").read_text())["verdicts"]
        return {row["id"]: row for row in verdicts}

    def outputs(self) -> str:
        """Return all that a run left, but for binary tables."""
        files = [path for path in (self.folder / "reports").rglob("*") if path.suffix != ".parquet" and path.is_file()]
        return "\n".join(path.read_text() for path in files)


@pytest.fixture
def user(tmp_path: Path, origins: Origins, hub_home: Path) -> Iterator[User]:
    repository(tmp_path / "repos", "tiny")
    with serving(tmp_path / "repos", origins) as hub:
        yield User(tmp_path / "user", hub, hub_home)


def test_what_was_measured_stands_in_every_output_and_a_rerun_asks_nothing_and_says_the_same(user: User) -> None:
    first = user.pytest(*OF_TINY, fresh=True)
    assert user.rows.keys() == {"named-tiny", "any-tiny", "sequential-tiny"}
    assert "tiny: fetching 4 files of owner/tiny" in first
    assert user.hub.fetched() == FILES
    before = user.rows
    assert before["named-tiny"]["verdict"] in LOOKED
    told = f"owner/tiny at {user.hub.commit('owner/tiny')[:12]}, not pinned, from {user.hub.endpoint}"
    assert before["named-tiny"]["weights"]["weights_kind"] == "hub, unverified"
    for name in ("verdicts.json", "junit.xml", "measurements.csv"):
        assert told in (user.folder / "reports" / name).read_text(), name
    assert "hub, unverified" in first
    user.hub.requests.clear()
    assert "fetching" not in user.pytest(*OF_TINY)
    assert user.hub.requests == []
    for name, row in user.rows.items():
        assert (row["verdict"], row["why"]) == (before[name]["verdict"], before[name]["why"])


def test_two_workers_fetch_once_and_no_output_has_the_token(user: User) -> None:
    user.hub.gated.add("owner/tiny")
    user.environment["HF_TOKEN"] = MEMBER
    text = user.pytest(*OF_TINY, "-n", "2", "-vv", "-rA")
    assert len(user.rows) == 3
    assert user.rows["named-tiny"]["verdict"] in LOOKED
    sent = [one.line for one in user.hub.requests if one.line.startswith("GET /cdn") and one.status in (200, 206)]
    assert len(sent) == 1
    assert not [one for one in user.hub.requests if one.elsewhere and one.token]
    assert MEMBER not in text + user.outputs()


def test_an_interrupted_download_ends_at_once_and_is_gone_on_with(user: User) -> None:
    user.hub.faults.append(Fault("GET .*model.safetensors", pause=20.0))
    run = user.begin("--model", "tiny", "-k", "named", fresh=True)
    waited = time.monotonic()
    while not any("/cdn/" in one.line and one.line.startswith("GET") for one in user.hub.requests):
        assert time.monotonic() - waited < 120
        assert run.poll() is None, run.stdout.read() if run.stdout else ""
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    started = time.monotonic()
    try:
        text, _ = run.communicate(timeout=60)
    finally:
        run.kill()
    assert time.monotonic() - started < 8
    assert run.returncode == 2
    assert "Traceback" not in text
    user.hub.faults.clear()
    user.pytest("--model", "tiny", "-k", "named")
    assert user.rows["named-tiny"]["verdict"] in LOOKED


def test_a_full_disk_is_told_with_its_place(user: User) -> None:
    text = user.pytest("--model", "tiny", "-k", "named", limit=60_000)
    row = user.rows["named-tiny"]
    assert row["verdict"] == "NOT_MEASURED"
    assert "tiny: model.safetensors cannot be written into the hub's cache (File too large)" in row["why"]
    assert "HF_HOME" in row["why"]
    assert "(None)" not in text + row["why"]


def test_a_repository_without_a_row_is_tried_by_every_claim_it_is_meant_by(user: User) -> None:
    (user.hub.root / "owner" / "tiny").rename(user.hub.root / "owner" / "Other_One")
    text = user.pytest("--model", "owner/Other_One", "-k", "other")
    assert user.rows["any-other_one"]["verdict"] in LOOKED, text
    assert user.rows["sequential-other_one"]["weights"]["weights_kind"] == "hub, unverified"
    assert "named-other_one" not in user.rows
    user.hub.requests.clear()
    user.pytest("--model", "owner/Other_One", "-k", "any-other", "--offline")
    assert user.rows["any-other_one"]["verdict"] in LOOKED
    assert user.hub.requests == []


def test_a_repository_that_is_not_there_is_told_and_stops_only_itself(user: User) -> None:
    text = user.pytest("--model", "owner/nobody", "--model", "tiny", "-k", "nobody or named")
    (line,) = [line for line in text.splitlines() if line.startswith("nobody is not tried")]
    why = "the hub has no owner/nobody, or shows it to nobody without a token"
    assert why in line
    found = user.rows
    assert found["named-tiny"]["verdict"] in LOOKED
    for name in ("any-nobody", "sequential-nobody"):
        expected = "NOT_MEASURED" if name.startswith("any") else None
        assert found.get(name, {}).get("verdict") == expected, "whether it is sequential is not known"
    assert why in found["any-nobody"]["why"]
    (user.hub.root / "owner" / "tiny").rename(user.hub.root / "owner" / "shut")
    user.hub.gated = {"owner/shut"}
    user.pytest("--model", "owner/shut", "-k", "any-shut")
    assert user.rows["any-shut"]["verdict"] == "NOT_MEASURED"
    assert "owner/shut is gated, and no token was given" in user.rows["any-shut"]["why"]
    user.hub.faults.append(Fault(".*", status=503))
    user.pytest("--model", "owner/nobody", "-k", "any-nobody")
    assert "owner/nobody: the hub answered 503 for owner/nobody" in user.rows["any-nobody"]["why"]
