"""The gallery names every figure and every column, and its pictures are small."""

from __future__ import annotations

import pytest
from places import ROOT

from refutable.figures import FIGURES

PAGE = (ROOT / "docs" / "figures.md").read_text()


@pytest.mark.parametrize("name", list(FIGURES))
def test_the_gallery_shows_every_figure_and_names_its_columns(name: str) -> None:
    assert f"\n### {name}\n" in PAGE
    picture = ROOT / "docs" / "figures" / f"{name}.png"
    assert f"(figures/{name}.png)" in PAGE
    assert picture.stat().st_size < 60_000
    for column in FIGURES[name].columns:
        assert f"`{column}`" in PAGE, column
