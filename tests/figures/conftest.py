"""A canvas on which a figure draws, and what a figure's artists hold."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure as Canvas

from refutable.figures import FIGURES, Rows
from refutable.figures.save import canvas_of
from refutable.figures.style import SETTINGS


@pytest.fixture
def drawn() -> Callable[[str, Rows], Canvas]:
    """Return a function that draws a figure's table, as `save` does."""

    def draw(name: str, rows: Rows) -> Canvas:
        with mpl.rc_context(SETTINGS):
            return canvas_of(FIGURES[name], rows)

    return draw
