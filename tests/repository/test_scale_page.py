"""The page on scale shows the table that its script computes."""

from __future__ import annotations

import pytest
from places import ROOT

from benchmarks.scale import CHECKPOINTS, MODELS, Inputs, gpu_seconds, table, wall_seconds
from refutable.models.registry import load_registry


def test_the_table_of_the_page_is_the_computed_one() -> None:
    page = (ROOT / "docs" / "scale.md").read_text()
    heading = "## Eight Pythias x 154 checkpoints\n"
    own = [part for part in page.split(heading)[1].split("\n\n") if part.startswith("|")]
    assert own == ["\n".join(table())]
    assert page.count(table()[0]) == 1  # and nowhere else


def test_storage_bounds_a_sweep_at_one_gigabyte_a_second_however_many_gpus_there_are() -> None:
    total = CHECKPOINTS * 2 * sum(load_registry()[f"pythia-{name}"].parameters for name in MODELS)
    assert wall_seconds(512, 1e9, Inputs()) == (pytest.approx(total / 1e9), "storage")
    alone = CHECKPOINTS * sum(gpu_seconds(load_registry()[f"pythia-{name}"].parameters, Inputs()) for name in MODELS)
    assert wall_seconds(1, 1e12, Inputs()) == (pytest.approx(alone), "GPUs")
    assert wall_seconds(8, 1e12, Inputs())[0] == pytest.approx(alone / 8, rel=0.02)
