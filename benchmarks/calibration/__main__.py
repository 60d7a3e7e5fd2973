"""The command: every statistic, shape of data and size; exit status 1 if one fails inside its assumptions."""

from __future__ import annotations

import os
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Annotated

import typer

from benchmarks.calibration import cells as one
from benchmarks.calibration.cells import ALPHAS, Cell, allowed, wanted
from benchmarks.calibration.table import console, show, tell


def main(
    names: Annotated[list[str] | None, typer.Argument(help="statistics; all where none is named")] = None,
    runs: Annotated[int, typer.Option(min=100, help="samples drawn for each cell")] = 2000,
    workers: Annotated[int, typer.Option(min=1, help="processes")] = os.cpu_count() or 1,
    bootstrap: Annotated[bool, typer.Option(help="also bootstrap the same data")] = True,
) -> None:
    """Count how often verdicts err at the boundary of a prediction, inside and outside the assumptions."""
    started = time.perf_counter()
    cells = run_cells(names or [], runs, workers, bootstrap)
    out = console()
    out.print(
        f"{runs} runs a cell, {len(cells)} cells; more than Monte-Carlo error is a rate above "
        + ", ".join(f"{allowed(runs, len(cells), alpha):.3f} at alpha {alpha}" for alpha in ALPHAS)
        + f"; {time.perf_counter() - started:.0f} s on {workers} processes"
    )
    out.print(show(cells))
    out.print(tell(cells))
    raise typer.Exit(1 if any(cell.inside and not cell.keeps(len(cells)) for cell in cells) else 0)


def run_cells(names: list[str], runs: int, workers: int, bootstrap: bool = True) -> list[Cell]:
    """Run the cells of the named statistics, in order."""
    tasks = wanted(names)
    if not tasks:
        raise typer.BadParameter(f"no statistic is called {', '.join(names)}")
    largest_first = sorted(tasks, key=lambda task: -task[2])
    with ProcessPoolExecutor(workers) as pool:
        futures = {task: pool.submit(one.run_cells, *task, runs, bootstrap) for task in largest_first}
        return [cell for task in tasks for cell in futures[task].result()]


if __name__ == "__main__":
    typer.run(main)
