"""Report formats, one per file. To add one: docs/adding-a-report.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from refutable._util.registry import Registry
from refutable.errors import BadInput, RefutableError
from refutable.reports.journal import RunResult
from refutable.traces.store import Store


@dataclass(frozen=True, slots=True)
class Report:
    """A report: its file's name, and the function that writes it from a run and the store of its measurements."""

    name: str
    write: Callable[[RunResult, Store, Path], None]


REPORTS: Registry[Report] = Registry("report", Report, "refutable.reports.formats")


def write_reports(run: RunResult, store: Store, folder: Path) -> None:
    """Write every report of a run into a folder, even if some cannot be written.

    Raises:
        BadInput: some could not be written; each is named, with the reason, on one line. What they held before stays.
    """
    problems: dict[str, list[str]] = {}
    for name in REPORTS:
        try:
            REPORTS[name].write(run, store, folder)
        except Exception as error:  # an extension's report may raise anything
            why = str(error) if isinstance(error, RefutableError) else f"{type(error).__name__}: {error}"
            problems.setdefault((isinstance(error, OSError) and error.strerror) or why, []).append(name)
    if problems:
        told = "; ".join(f"{', '.join(names)} ({why})" for why, names in problems.items())
        raise BadInput(f"could not be written: {told}; the journal has every verdict: refutable report")
