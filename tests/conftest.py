"""The engine's tests: is the engine right? Run with ``pytest tests``; warnings are errors here."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
from places import ROOT, SHARED

os.environ["HF_HUB_OFFLINE"] = "1"  # before huggingface_hub is imported; no test here talks to a network
os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy and torch: threads of several workers wait for each other
# What Hypothesis reads in the engine's files it keeps here, for every run that a test starts in a folder of its own.
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(ROOT / ".hypothesis"))

from fixtures import theorems
from refutable.extensions import HOOK, extend
from refutable.models.device import Device
from refutable.models.file_hashes import FileHashes
from refutable.models.weights import Finder

extend(HOOK, theorems.pytest_refutable_extend)  # for tests that read this repository's claims


@pytest.fixture
def finder(tmp_path: Path) -> Finder:
    """Return a finder with a memo of its own, on a CPU with room for anything."""
    return Finder(FileHashes(tmp_path / "memo"), Device("cpu", "a CPU", 1 << 50))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests of the documents where the documents are not beside the repository."""
    if SHARED.is_dir():
        return
    left_out = [item for item in items if item.get_closest_marker("documents")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


def pytest_collection_finish() -> None:
    """Keep torch, transformers and every test out of garbage collection, which would walk them after each model."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once that they were left out."""
    if not SHARED.is_dir():
        terminalreporter.write_line(
            "left out: the tests marked `documents`, which read the three documents, their catalogue and their recorded"
            " tables from a folder `shared/` beside the repository"
        )
