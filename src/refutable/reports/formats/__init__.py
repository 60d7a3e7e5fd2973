"""Report formats, one per file. To add one: docs/adding-a-report.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from refutable._util.progress import task
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


Problems = dict[str, list[str]]
"""The reports that could not be written, by the reason."""


def write_each(run: RunResult, store: Store, folder: Path) -> Problems:
    """Write every report of a run into a folder, even if some cannot be written; return which could not."""
    problems: Problems = {}
    for name in REPORTS:
        try:
            with task(f"writing reports: {name}"):
                REPORTS[name].write(run, store, folder)
        except Exception as error:  # an extension's report may raise anything
            why = str(error) if isinstance(error, RefutableError) else f"{type(error).__name__}: {error}"
            problems.setdefault((isinstance(error, OSError) and error.strerror) or why, []).append(name)
    return problems


def describe(problems: Problems) -> str:
    """Return in one line which reports could not be written, why, and what to do."""
    told = "; ".join(f"{', '.join(names)} ({why})" for why, names in problems.items())
    return f"could not be written: {told}; the journal has every verdict: refutable report"


def write_reports(run: RunResult, store: Store, folder: Path) -> None:
    """Write every report of a run into a folder, even if some cannot be written.

    Raises:
        BadInput: some could not be written; each is named, with the reason, on one line. What they held before stays.
    """
    if problems := write_each(run, store, folder):
        raise BadInput(describe(problems))
