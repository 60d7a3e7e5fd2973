"""What several tests of models read."""

from __future__ import annotations

from pathlib import Path

import pytest

from refutable.measurement.loading.completed import complete, gguf_config
from refutable.models.describer import Describer
from refutable.models.file_hashes import FileHashes


@pytest.fixture
def describer(tmp_path: Path) -> Describer:
    """Return what describes models of one's own, and never asks the hub."""
    return Describer(complete, gguf_config, FileHashes(tmp_path / "memo"), offline=True)
