"""The figure of the experiment's course: the last block's gain of every twin of some cells while it is trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from refutable.figures import Figure
from refutable.traces.store import Store

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

    from refutable.reports.journal import RunResult

CELLS = ("base", "sequential", "heads-16", "depth-24", "learned-positions", "damped")
SIZES = ("small", "medium", "large")


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseRow:
    """A twin's last gain at one moment of its training.

    Attributes:
        size, cell, seed: which twin.
        tokens: how many it has read, in millions.
        last_gain: of its last block, the geometric mean over prompts.
    """

    size: str
    cell: str
    seed: int
    tokens: float
    last_gain: float


def course_table(folder: Path) -> list[CourseRow]:
    """Return the trajectories of some cells from the Parquet files that `refutable twins table --course` wrote."""
    import pyarrow.parquet as pq

    from refutable.twins.design import SIZES as ALL

    names = ["size", "cell", "seed", "step", "layer", "input", "output"]
    table = pq.read_table(folder / "course.parquet", columns=names)
    columns = {name: np.array(table[name].to_pylist()) for name in names}
    rows = []
    for size, cell in ((size, cell) for size in SIZES for cell in CELLS):
        of = (columns["size"] == size) & (columns["cell"] == cell)
        if of.any():
            at = of & (columns["layer"] == columns["layer"][of].max())
            rows += list(_rows({name: values[at] for name, values in columns.items()}, ALL[size].tokens, size, cell))
    return rows


def _rows(columns: dict[str, np.ndarray], tokens: int, size: str, cell: str) -> Iterator[CourseRow]:
    last = columns["step"].max()
    for seed, step, before, after in zip(*(columns[n] for n in ("seed", "step", "input", "output")), strict=True):
        read = float(step / last * tokens / 1e6)
        yield CourseRow(size=size, cell=cell, seed=int(seed), tokens=read, last_gain=float(np.exp(after - before)))


def _table(run: RunResult, store: Store) -> list[CourseRow]:
    return []


def draw(rows: Sequence[CourseRow], canvas: Canvas) -> None:
    """How the last block's gain goes while twins are trained: a line a seed."""
    from matplotlib.lines import Line2D

    from refutable.figures import style

    sizes, colours = [size for size in SIZES if any(row.size == size for row in rows)], style.colours(CELLS)
    grid = canvas.subplots(1, len(sizes), squeeze=False, sharey=True)[0]
    for axes, size in zip(grid, sizes, strict=True):
        for cell, seed in dict.fromkeys((row.cell, row.seed) for row in rows if row.size == size):
            of = [row for row in rows if (row.size, row.cell, row.seed) == (size, cell, seed)]
            axes.plot([r.tokens for r in of], [r.last_gain for r in of], color=colours[cell], linewidth=0.8, alpha=0.8)
        style.at_one(axes, vertical=False)
        axes.set_title(size, fontweight="normal", fontsize=8.5)
        axes.set_xlabel("million tokens read")
    grid[0].set_ylabel("last gain")
    shown = [cell for cell in CELLS if any(row.cell == cell for row in rows)]
    legend = [Line2D([], [], color=colours[cell], label=cell) for cell in shown]
    sentences = (
        "Each line is one training seed; the last gain is a geometric mean over 25 prompts, at the last token. Black"
        " line: 1, the norm is kept. Weights: twins, trained from scratch by this project.",
    )
    style.frame(canvas, "The last gain in the course of training", "twins of the experiment", sentences, legend)


def height(rows: Sequence[CourseRow]) -> float:
    """Return the height, in inches."""
    return 3.4


FIGURE = Figure("twin-course", CourseRow, _table, draw, height)
