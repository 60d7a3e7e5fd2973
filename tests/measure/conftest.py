"""One thread, no hub, and a cache of its own: what these tests need of the process they run in."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # before huggingface_hub is imported; no test here talks to a network

import torch
from tiny import VARIANTS, row_of, tiny_model

from refutable.measure.loading.loaded import LoadedModel
from refutable.models.device import Device
from refutable.models.file_hashes import FileHashes
from refutable.models.weights import Finder


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def model_of() -> Callable[[str], LoadedModel]:
    """Return the tiny model of a variant, drawn once; a test that changes a network draws its own."""

    @cache
    def draw(name: str) -> LoadedModel:
        with torch.inference_mode(False):  # whoever asks first: another test may take gradients through it
            return tiny_model(VARIANTS[name], row=row_of(VARIANTS[name], name))

    return draw


@pytest.fixture
def finder(tmp_path: Path) -> Finder:
    """Return a finder with a memo of its own, on a CPU with room for anything."""
    return Finder(FileHashes(tmp_path / "memo"), Device("cpu", "a CPU", 1 << 50))
