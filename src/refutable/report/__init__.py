"""Reports of a run, one format to a file. To add one: docs/adding-a-report.md."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from refutable.journal import Run
from refutable.registry import Registry
from refutable.store import Store

Writer = Callable[[Run, Store, Path], None]

REPORTS: Registry[Writer] = Registry("report", "refutable.report")


def write_reports(run: Run, store: Store, folder: Path) -> None:
    """Write every report of a run into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in REPORTS:
        REPORTS[name](run, store, folder)
