"""A folder of runs: which there are, and how each came out."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from refutable.errors import BadInput
from refutable.reports.formats.verdicts_json import FILE, read_run
from refutable.reports.journal import JOURNAL, RunResult
from refutable.reports.page.answers import MARKS
from refutable.reports.page.words import day, models_of
from refutable.verdicts.verdict import Verdict


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run of a folder: its folder's name, when it began, its verdicts counted, its models and its commit."""

    name: str
    when: str
    started: str
    counts: tuple[tuple[str, str, int], ...]
    models: int
    commit: str
    complete: bool


def holds_run(folder: Path) -> bool:
    """Whether a folder has the journal or the verdicts of a run."""
    return any((folder / name).is_file() for name in (JOURNAL, FILE))


def runs_in(folder: Path) -> dict[str, Path]:
    """Return the folders of runs in a folder, or in its ``runs``, by name; the last name first."""
    for place in (folder, folder / "runs"):
        with suppress(OSError):
            if found := {one.name: one for one in sorted(place.iterdir(), reverse=True) if holds_run(one)}:
                return found
    return {}


def run_lines(folders: dict[str, Path]) -> list[RunLine]:
    """Return what is told of each run, the newest first; a run that cannot be read is left out."""
    lines = []
    for name, folder in folders.items():
        with suppress(BadInput):
            lines.append(_line(name, read_run(folder)[0]))
    return sorted(lines, key=lambda line: line.started, reverse=True)


def _line(name: str, run: RunResult) -> RunLine:
    found = [row.verdict for row in run.rows]
    return RunLine(
        name=name,
        when=day(run.provenance.get("started")),
        started=str(run.provenance.get("started") or ""),
        counts=tuple((one.value, MARKS[one], found.count(one)) for one in Verdict if one in found),
        models=len({model for row in run.rows if row.verdict.looked for model in models_of(row)}),
        commit=str(run.provenance.get("git_commit") or "")[:12],
        complete=run.complete,
    )
