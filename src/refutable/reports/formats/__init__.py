"""Reports of a run, one format to a file. To add one: docs/adding-a-report.md."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from refutable._util.registry import Registry
from refutable.errors import BadInput, RefutableError
from refutable.reports.journal import RunResult
from refutable.traces.store import Store

Writer = Callable[[RunResult, Store, Path], None]

REPORTS: Registry[Writer] = Registry("report", "refutable.reports.formats")


def write_reports(run: RunResult, store: Store, folder: Path) -> None:
    """Write every report of a run into a folder; one that cannot be written does not keep the others from it.

    Raises:
        BadInput: some could not be written; each is named, with why.
    """
    problems = []
    for name in REPORTS:
        try:
            REPORTS[name](run, store, folder)
        except (OSError, RefutableError) as error:
            problems.append(f"{name} could not be written ({error}); the journal has every verdict: refutable report")
    if problems:
        raise BadInput("\n".join(problems))
