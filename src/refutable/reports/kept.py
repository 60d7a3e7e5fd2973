"""What the runs of a folder found: one line each, for `refutable runs`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from refutable._util.text import few
from refutable.errors import BadInput
from refutable.reports.formats.verdicts_json import FILE, read_run
from refutable.reports.journal import SELECTION, RunResult
from refutable.reports.runs import kept_in
from refutable.reports.terminal import COLOURS, plain_table
from refutable.verdicts.row import tally
from refutable.verdicts.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Kept:
    """A run that is kept: its folder, what was read of it, and why if nothing could be."""

    folder: Path
    run: RunResult | None
    fault: str = ""


def listed(folder: Path) -> list[Kept]:
    """Return the runs of a folder of reports, the newest first.

    Raises:
        BadInput: there is no such folder.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder of reports; run pytest first, or name the folder it wrote to")
    return [_read(own) for own in kept_in(folder)]


def _read(own: Path) -> Kept:
    try:
        whole = own / FILE
        return Kept(own, read_run(whole if whole.is_file() else own)[0])
    except BadInput as error:
        return Kept(own, None, str(error))


def models_of(run: RunResult) -> list[str]:
    """Return the models that a run's verdicts looked at, by name."""
    told = (row.weights.get("models", row.subject) for row in run.rows if row.verdict.looked and row.weights)
    return sorted({model for one in told for model in one.split(", ") if model != "-"})


def table_of(runs: list[Kept]) -> Table:
    """Return the runs as a table to print."""
    table = plain_table()
    for name in ("run", "verdicts", "models", "commit", "selected", "ended"):
        table.add_column(name, overflow="fold", no_wrap=name == "run")
    for one in runs:
        if one.run is None:
            table.add_row(one.folder.name, Text(f"cannot be read: {one.fault}", style="red"))
            continue
        run = one.run
        ended = "whole" if run.complete else "cut short"
        selected = "" if run.selection is None else str(run.selection)
        table.add_row(one.folder.name, _counts(run), few(models_of(run)), _commit(run), selected, ended)
    return table


def described(one: Kept) -> dict[str, Any]:
    """Return a run as plain JSON values; one that cannot be read has its `fault` alone."""
    run = one.run
    if run is None:
        return {"run": one.folder.name, "fault": one.fault}
    return {
        "run": one.folder.name,
        "started": run.provenance.get("started"),
        "counts": tally(run.rows),
        "models": models_of(run),
        "commit": run.provenance.get("git_commit"),
        "dirty": run.provenance.get("git_dirty"),
        "claims_hash": run.provenance.get("claims_hash"),
        "selection": None if run.selection is None else SELECTION.dump_python(run.selection, mode="json"),
        "complete": run.complete,
    }


def _counts(run: RunResult) -> Text:
    text = Text()
    for name, n in tally(run.rows).items():
        colour = COLOURS.get(Verdict(name), "") if name in Verdict.__members__ else ""
        text.append(", " if text else "").append(f"{n} {name}", style=colour)
    return text


def _commit(run: RunResult) -> str:
    commit = run.provenance.get("git_commit")
    return "" if not commit else f"{str(commit)[:8]}{' and changes' if run.provenance.get('git_dirty') else ''}"
