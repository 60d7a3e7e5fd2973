"""Figures, one per file: each a function of a run to a tidy table, and a function that draws the table.

A table is a sequence of frozen rows, whose class documents its columns; a run without data for a figure gives an empty
one, and nothing is drawn. Nothing here imports matplotlib before something is drawn. To add one: docs/figures.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from refutable._util.registry import Registry
from refutable.traces.store import Store

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

    from refutable.reports.journal import RunResult

Rows = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure as the registry holds it.

    Attributes:
        name: of the figure and its files.
        row: the class of its table's rows, a frozen dataclass that documents the columns.
        table: makes the table of a run and the store of its measurements; empty where the run has no data for it.
        draw: draws a table that has rows on an empty canvas; its docstring is the figure's documentation.
        height: of the canvas for a table, in inches; the width is `WIDTH`.
    """

    name: str
    row: type
    table: Callable[[RunResult, Store], Rows]
    draw: Callable[[Rows, Canvas], None]
    height: Callable[[Rows], float]

    @property
    def doc(self) -> str:
        """What it shows, in one line."""
        return (self.draw.__doc__ or "").strip().partition("\n")[0]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of its table."""
        return tuple(each.name for each in fields(self.row))


WIDTH = 7.0  # inches: 1,400 pixels at 200 dots per inch
FIGURES: Registry[Figure] = Registry("figure", Figure, "refutable.figures")
