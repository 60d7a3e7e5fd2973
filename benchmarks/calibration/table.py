"""The table, in a form that both a terminal and Markdown can show."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.calibration.cells import Cell

RATES = ("SUPPORTED when false", "REFUTED when true", "not fitted", "bootstrap errs", "bare rule errs")


def console() -> Console:
    """Return a console wide enough for the table, wherever its output goes."""
    return Console(width=None if sys.stdout.isatty() else 240, highlight=False)


def show(cells: Sequence[Cell]) -> Table:
    """Lay out every cell: rates in per cent and the outcome."""
    table = Table(box=box.MARKDOWN)
    for column in ("statistic", "data"):
        table.add_column(column, no_wrap=True)
    for column in ("n", "alpha", *RATES):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for cell in cells:
        note = f" ({cell.of.note})" if cell.of.note else ""
        table.add_row(
            cell.of.statistic + note,
            cell.shape.value,
            str(cell.n),
            f"{cell.alpha:g}",
            f"{100 * cell.supported:.1f}",
            f"{100 * cell.refuted:.1f}",
            f"{100 * cell.undecidable:.0f}",
            "-" if cell.bootstrap is None else f"{100 * cell.bootstrap:.1f}",
            f"{100 * cell.rule:.1f}",
            status(cell, len(cells)),
        )
    return table


def status(cell: Cell, cells: int) -> str:
    """Return a cell's outcome."""
    kept = cell.keeps(cells)
    if cell.inside:
        return "keeps alpha" if kept else "FAILS INSIDE"
    return "outside, keeps" if kept else "outside, errs"


def tell(cells: Sequence[Cell]) -> str:
    """Return the count of each outcome in a sentence."""
    inside = [cell for cell in cells if cell.inside]
    failing = [cell for cell in inside if not cell.keeps(len(cells))]
    beyond = [cell for cell in cells if not cell.inside and not cell.keeps(len(cells))]
    return (
        f"inside what is assumed {len(inside) - len(failing)} of {len(inside)} cells keep alpha; outside it"
        f" {len(beyond)} of {len(cells) - len(inside)} err more often"
    )
