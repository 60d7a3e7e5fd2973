"""Sweeps on Ray whose hosts and drivers are killed: ``python tests/torture/sweeps.py --trials 5 --seed 0``.

A cluster of three raylets measures 8 drawn models x 20 revisions x 25 prompts. In each trial a raylet and then the
driver get SIGKILL at random moments, and the same command is given again. Then no unit may be missing, none may have
been stored twice but what was in flight, and pytest must come to the bytes of a serial run's verdicts and measure
nothing. Exits 1 where one of these does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

TINY = ("gpt2", "gpt-neox", "gpt-neox-sequential", "gptj", "opt", "bloom", "llama", "falcon")
COUNTING = '''\
"""Counts what is stored: imported as an extension by every process that measures."""
import os
from refutable.traces.store import Store

LOG, put = os.environ["SWEEP_LOG"], Store.put

def counted(self, trace):
    put(self, trace)
    with open(LOG, "a") as log:
        log.write(f"{trace.key} {os.getpid()}\\n")

Store.put = counted

def pytest_refutable_extend(extensions):
    pass
'''
INI = "[pytest]\nrefutable_claims = claims.yaml\nrefutable_models = models.yaml\nrefutable_extensions = counting\n"
INI += "addopts = --pyargs\ntestpaths = refutable.suite\nrefutable_figures = none\n"
RAYLETS = 3


@dataclass(frozen=True)
class Suite:
    """Claims on drawn models, each revision of which is a row of its own."""

    folder: Path

    @classmethod
    def write(cls, folder: Path, revisions: int) -> Suite:
        """Write it: a revision differs from the one before by how widely its weights are drawn."""
        from refutable.models.registry import load_registry

        known, rows = load_registry(), {}
        for name in TINY:
            row = known[f"tiny-{name}"]
            key = "init_std" if "init_std" in row.config else "initializer_range"
            for step in range(revisions):
                told = row.model_dump(include={"family", "parameters", "organisation", "licence"})
                config = {**row.config, key: round(0.01 + 0.002 * step, 4)}
                title = {"title": f"{row.title}, step {step}", "stand_in": True, "config": config}
                rows[f"tiny-{name}-step{step}"] = {**told, **title, "config_source": "a trial"}
        claim = {
            "id": "lengthens",
            "statement": "The last block lengthens the stream.",
            "evidence": "measured",
            "models": list(rows),
            "for": "each",
            "test": {"statistic": "mean", "of": "last_gain", "predicts": "> 1"},
        }
        folder.mkdir(parents=True)
        (folder / "models.yaml").write_text(yaml.safe_dump({"models": rows}))
        (folder / "claims.yaml").write_text(yaml.safe_dump({"schema": 1, "claims": [claim]}))
        (folder / "counting.py").write_text(COUNTING)
        (folder / "pytest.ini").write_text(INI)
        return cls(folder)

    def environment(self, cache: Path) -> dict[str, str]:
        """Return the variables of a process that measures into a cache."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith(("PYTEST", "RAY_ADDRESS"))}
        own = {"REFUTABLE_CACHE": str(cache), "SWEEP_LOG": str(cache) + ".log", "OMP_NUM_THREADS": "1"}
        return {**kept, **own, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}

    def measure(self, cache: Path, *words: str) -> subprocess.Popen[str]:
        """Begin a sweep."""
        code = "from refutable.cli import app; app()"
        return subprocess.Popen(
            [sys.executable, "-c", code, "measure", *words],
            cwd=self.folder,
            env=self.environment(cache),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def verdicts(self, cache: Path, reports: Path) -> bytes:
        """Judge what is stored, and return the rows of the verdicts, without how long they took."""
        command = [sys.executable, "-m", "pytest", "-q", "-q", f"--reports={reports}"]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment(cache), capture_output=True, text=True, check=False
        )
        if done.returncode not in (0, 1):
            raise SystemExit(done.stdout + done.stderr)
        rows: list[dict[str, Any]] = json.loads((reports / "verdicts.json").read_text())["verdicts"]
        return json.dumps([{k: v for k, v in row.items() if k != "seconds"} for row in rows], indent=1).encode()


def stored(cache: Path) -> int:
    """Return how many traces are stored."""
    return sum(1 for _ in cache.glob("traces/*/*/seal"))


def wait_for(what: Callable[[], bool], driver: subprocess.Popen[str], seconds: float) -> bool:
    """Wait until something holds; False where the driver ended or time ran out before it did."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and driver.poll() is None:
        if what():
            return True
        time.sleep(0.05)
    return False


def trial(suite: Suite, cache: Path, units: int, serial: bytes, rng: random.Random) -> Mapping[str, Any]:
    """Make one trial, and return what was seen."""
    from ray.cluster_utils import Cluster

    first_served = {"RAY_worker_niceness": "0"}  # as whatever else runs here is
    os.environ.update({"SWEEP_LOG": str(cache) + ".log", "OMP_NUM_THREADS": "1", **first_served})
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    small = {"num_cpus": 1, "object_store_memory": 80_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
    hosts = [cluster.add_node(**small) for _ in range(RAYLETS - 1)]
    first, second = sorted(rng.sample(range(1, units - 1), 2))
    started = time.monotonic()
    try:
        words = ("--on", f"ray://{cluster.address}", "--json", str(cache) + ".json")
        driver = suite.measure(cache, *words)
        killed = []
        for name, at in (("raylet", first), ("driver", second)):
            if wait_for(lambda at=at: stored(cache) >= at, driver, 600):  # type: ignore[misc]
                time.sleep(rng.uniform(0, 0.5))
                process = rng.choice(hosts).all_processes["raylet"][0].process.pid if name == "raylet" else driver.pid
                os.kill(process, signal.SIGKILL)
                killed.append(f"{name} at {stored(cache)} stored")
        driver.communicate(timeout=600)
        between = stored(cache)
        again = suite.measure(cache, *words)
        told, _ = again.communicate(timeout=900)
    finally:
        cluster.shutdown()
    keys = Counter(line.split()[0] for line in Path(str(cache) + ".log").read_text().splitlines())
    before = stored(cache)
    same = suite.verdicts(cache, Path(str(cache) + "-reports")) == serial
    return {
        "killed": killed,
        "stored when the driver died": between,
        "exit": again.returncode,
        "stored": before,
        "twice": sum(count - 1 for count in keys.values()),
        "same verdicts": same,
        "seconds": round(time.monotonic() - started, 1),
        "end": told.strip().splitlines()[-1] if told.strip() else "",
        "ok": same and again.returncode == 0 and before == units and stored(cache) == before and len(killed) == 2,
    }


def main() -> int:
    """Run the trials and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--revisions", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="sweeps-"))
    suite, units = Suite.write(folder / "suite", asked.revisions), len(TINY) * asked.revisions
    started = time.monotonic()
    told, _ = suite.measure(folder / "serial").communicate()
    print(f"serial: {told.strip().splitlines()[-1]} ({time.monotonic() - started:.0f} s)", flush=True)
    serial = suite.verdicts(folder / "serial", folder / "serial-reports")
    good = 0
    for number in range(asked.trials):
        found = trial(suite, folder / f"trial{number}", units, serial, random.Random(f"{asked.seed} {number}"))
        good += bool(found["ok"]) and found["twice"] <= RAYLETS + 1
        print(json.dumps(found), flush=True)
    print(f"{good} of {asked.trials} trials: nothing lost, nothing stored twice but what was in flight, same verdicts")
    shutil.rmtree(folder)
    return 0 if good == asked.trials else 1


if __name__ == "__main__":
    sys.exit(main())
