"""The subcommands `report` and `diff`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from refutable.cli import screen
from refutable.cli.defaults import reports_folder
from refutable.errors import BadInput


def report(
    journal: Annotated[
        Path | None,
        typer.Argument(
            help="journal of a run, its folder, or the verdicts.json left of it;"
            " by default the journal among the reports"
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="folder to write to; the journal's own by default")] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="a verdicts.json; the page says what changed against it")
    ] = None,
) -> None:
    """Rebuild every report from a run's journal, even after a kill -9."""
    from refutable._util.text import counted
    from refutable.cli.beside import shown_with
    from refutable.reports.formats import write_reports
    from refutable.reports.formats.verdicts_json import read_run, read_verdicts
    from refutable.traces.store import Store, cache_folder

    run, file = read_run(journal or reports_folder() / "journal.jsonl")
    if out is None and file.suffix == ".json":
        raise BadInput(f"{file}: no journal, so its folder is left alone; write its reports elsewhere: --out DIR")
    run = shown_with(run, file, read_verdicts(baseline) if baseline is not None else None)
    write_reports(run, Store(cache_folder()), out or file.parent)
    ended = "complete" if run.complete else "cut short, and never came to its end"
    counts = f"{counted(len(run.rows), 'verdict')} and {counted(len(run.checks), 'check')}"
    typer.echo(f"{counts} rebuilt; the run is {ended}")


def diff(
    a: Annotated[Path, typer.Argument(help="verdicts.json of one run")],
    b: Annotated[Path, typer.Argument(help="verdicts.json of another")],
    as_json: Annotated[bool, typer.Option("--json", help="write JSON")] = False,
) -> None:
    """Say which verdicts differ and which estimates moved: exit 0 if none, 1 if some, 2 if a file is not a run.

    Other differences (labels, controls, variations) are listed, but do not change the exit status.
    """
    from refutable.reports import diff as differ
    from refutable.reports.formats.verdicts_json import read_verdicts

    before, after = read_verdicts(a), read_verdicts(b)
    changes = differ.differences(before, after)
    if as_json:
        data = differ.as_json(before, after, changes)
        typer.echo(json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False))
    else:
        typer.echo(differ.as_text(changes, width=screen.console().width, colour=screen.colour()), nl=False)
    raise typer.Exit(0 if differ.same(changes) else 1)
