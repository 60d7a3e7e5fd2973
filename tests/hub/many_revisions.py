"""A suite on several models with several revisions each, at a stand-in hub, and what its sweeps come to."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from safetensors.torch import load_file, save_file
from stand_in import Fault, Hub
from test_hub import repository
from tiny import VARIANTS, row_of

from refutable.models.row import ModelRow
from refutable.models.subject import Subject
from refutable.prompts.find import load_prompts
from refutable.sweep.jobs import Job
from refutable.sweep.record import Outcome
from refutable.sweep.work import Order, do
from refutable.traces.passes import Pass
from refutable.traces.store import Store

FAMILIES = ("llama", "gpt_neox-parallel", "gpt2", "opt")
PROMPTS = "grand-unified-25"
TENTH = (  # of all requests fail, one way or another
    Fault("", status=503, share=0.05),
    Fault("", status=429, headers={"Retry-After": "1"}, share=0.03),
    Fault("GET /cdn/", end=3000, how="reset", share=0.05),
    Fault("GET /cdn/", spoil=2000, share=0.05),
)
INI = "[pytest]\nrefutable_claims = claims.yaml\nrefutable_models = models.yaml\naddopts = --pyargs\n"
INI += "testpaths = refutable.suite\nrefutable_figures = none\n"
HURRY = '''\
"""Lets every pause of the hub's client pass at once."""
import time

sleep = time.sleep
time.sleep = lambda seconds: sleep(min(seconds, 0.01))

def pytest_refutable_extend(extensions):
    pass
'''


@dataclass
class Models:
    """The suite, its models and the hub that serves them.

    Attributes:
        hub: which.
        folder: of the suite, its cache and the hub's.
        rows: of the models.
        steps: names of the revisions of each.
    """

    hub: Hub
    folder: Path
    rows: dict[str, ModelRow]
    steps: tuple[str, ...]
    hurried: bool = False
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def write(cls, hub: Hub, folder: Path, models: int, revisions: int, *, hurried: bool = False) -> Models:
        """Write repositories, each revision with other weights, and a suite with a claim on all of them."""
        steps, rows = tuple(f"step{number}" for number in range(revisions)), {}
        for number in range(models):
            name, variant = f"tiny{number}", FAMILIES[number % len(FAMILIES)]
            whole = repository(hub.root, name, variant)
            weights = load_file(whole / "model.safetensors")
            for step, branch in enumerate(steps):
                place = whole / "branches" / branch
                shutil.copytree(whole, place, ignore=shutil.ignore_patterns("branches"))
                told = {name: part * (1 + step / 32) for name, part in weights.items()}
                save_file(told, place / "model.safetensors", {"format": "pt"})
            rows[name] = row_of(VARIANTS[variant], name, hub=f"owner/{name}")
        claim = {"id": "lengthens", "statement": "The last block lengthens the stream.", "evidence": "measured"}
        claim |= {"test": {"statistic": "mean", "of": "last_gain", "predicts": "> 1"}}  # type: ignore[dict-item]
        folder.mkdir(parents=True)
        told = {
            name: row.model_dump(exclude_defaults=True, exclude={"name"}, mode="json") for name, row in rows.items()
        }
        (folder / "models.yaml").write_text(yaml.safe_dump({"models": told}))
        (folder / "claims.yaml").write_text(yaml.safe_dump({"schema": 1, "claims": [{**claim, "models": [*rows]}]}))
        (folder / "pytest.ini").write_text(INI + ("refutable_extensions = hurry\n" if hurried else ""))
        (folder / "hurry.py").write_text(HURRY)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "HF_", "COV", "REFUTABLE"))}
        own = {"HF_HOME": str(folder / "hf"), "HF_ENDPOINT": hub.endpoint, "HF_HUB_DISABLE_XET": "1"}
        own |= {"REFUTABLE_CACHE": str(folder / "cache"), "CUDA_VISIBLE_DEVICES": ""}
        return cls(hub, folder, rows, steps, hurried, {**kept, **own})

    def measure(self, *words: str) -> tuple[int, str, dict[str, Any]]:
        """Sweep over every model at every revision; return the exit status, what was printed, and the records."""
        command = [sys.executable, "-c", "from refutable.cli import app; app()", "measure", "--model", "tiny[0-9]*"]
        command += ["--revision", "step*", "--device", "cpu", "--json", "sweep.json", *words]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        kept, text = self.folder / "sweep.json", done.stdout + done.stderr
        assert kept.is_file(), text
        return done.returncode, text, json.loads(kept.read_text())

    def right(self) -> tuple[int, int]:
        """Return how many stored traces there are, and how many hold the numbers that the hub's own files give."""
        store, equal, found = Store(self.folder / "cache"), 0, 0
        for stored in store.stored():
            trace = store.get(stored.key)
            name, _, step = str(stored.meta["model"]).partition("@")
            assert trace is not None, stored
            found, equal = found + 1, equal + (trace.blocks.to_pylist() == self.truth(name, step))
        return found, equal

    def truth(self, name: str, step: str) -> list[Any]:
        """Return the numbers of a model at a revision, measured from the files that the hub serves."""
        subject = Subject(name, named=True, weights=str(self.hub.root / "owner" / name / "branches" / step))
        job = Job(name, None, ((subject, (Pass("forward", PROMPTS),)),))
        apart = self.folder / "truth"
        sets, place = (load_prompts(PROMPTS, Path()),), {"REFUTABLE_CACHE": str(apart)}
        (unit,) = do(Order(job=job, row=self.rows[name], prompts=sets, environment=place)).units
        assert unit.outcome in (Outcome.MEASURED, Outcome.STORED), unit
        trace = Store(apart).get(unit.key)
        assert trace is not None
        rows: list[Any] = trace.blocks.to_pylist()
        return rows

    def needless(self) -> dict[str, int]:
        """Return how often each file was sent that had arrived whole before: once, and as often as it was spoiled."""
        sent = Counter(
            one.line
            for one in self.hub.requests
            if one.status in (200, 206)
            and one.line.startswith("GET")
            and ("/cdn/" in one.line or "/resolve-c" in one.line)
        )
        spoiled = Counter(self.hub.spoiled)
        return {line: times - 1 - spoiled[line] for line, times in sent.items() if times > 1 + spoiled[line]}


def untold(text: str, records: dict[str, Any]) -> list[str]:
    """Return the units without a trace whose reason is not one line of what was printed."""
    units = [unit for job in records["jobs"] for unit in job["units"] if unit["reason"]]
    lines = [line for line in text.splitlines() if line.startswith(("LOST", "ERROR", "NOT_MEASURED"))]
    return [unit["model"] for unit in units if sum(line.split()[1] == f"{unit['model']}:" for line in lines) != 1]
