"""The table, in a form that both a terminal and Markdown can show."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.clock import Timing
from benchmarks.workload import Workload

MILLI, MEBI = 1e3, 2**20


def console() -> Console:
    """Return a console wide enough for the table, wherever its output goes."""
    return Console(width=None if sys.stdout.isatty() else 200, highlight=False)


def plain_table(*columns: str) -> Table:
    """Return an empty table with text in the first column and numbers in the others."""
    table = Table(box=box.MARKDOWN)
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right", no_wrap=True)
    return table


def show(work: Workload, timings: Mapping[str, Timing], absent: Mapping[str, str]) -> Table:
    """Lay out the timings.

    Args:
        work: what was run.
        timings: by key; the others are compared with ``loop``, ``bare``, ``buckets`` and ``run_pass``.
        absent: rows that could not be run, with the reason.
    """
    on_gpu = work.model.device.type == "cuda"
    table = plain_table("", "median ms", "min ms", "x bare", "x buckets", "faster than loop", "tokens/s", "gain off by")
    if on_gpu:
        table.add_column("TFLOP/s", justify="right")
        table.add_column("memory over bare", justify="right")
    loop, bare, buckets = (timings[key].median for key in ("loop", "bare", "buckets"))
    for timing in timings.values():
        speed = work.tokens / timing.median
        table.add_row(
            timing.row.name,
            f"{timing.median * MILLI:.1f}",
            f"{min(timing.seconds) * MILLI:.1f}",
            f"{timing.median / bare:.2f}",
            f"{timing.median / buckets:.2f}",
            f"{loop / timing.median:.1f}",
            f"{speed:,.0f}",
            _off(timing, timings["run_pass"]),
            *((f"{2e-12 * work.parameters * speed:.0f}", _memory(work, timing, timings["bare"])) if on_gpu else ()),
        )
    for title, reason in absent.items():
        table.add_row(title, reason)
    return table


def _off(timing: Timing, own: Timing) -> str:
    """Return the largest absolute difference of a last gain from this project's."""
    if timing.gains is None or own.gains is None:
        return ""
    return "" if timing is own else f"{np.abs(timing.gains - own.gains[: len(timing.gains)]).max():.1e}"


def _memory(work: Workload, timing: Timing, bare: Timing) -> str:
    more = timing.peak - bare.peak
    return f"{more / MEBI:+.0f} MiB ({more / (work.weight_bytes + bare.peak):+.1%})"
