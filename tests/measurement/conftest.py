"""One thread, no hub, and a cache of its own: what these tests need of the process they run in."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import torch
from tiny import VARIANTS, row_of, tiny_model

from refutable.measurement.loading.loaded import LoadedModel


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
