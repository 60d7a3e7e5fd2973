"""The subcommands `report`, `diff` and `runs`."""

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
    from refutable.reports.runs import write_kept
    from refutable.traces.store import open_store

    run, file = read_run(journal or reports_folder() / "journal.jsonl")
    if out is None and file.suffix == ".json":
        raise BadInput(f"{file}: no journal, so its folder is left alone; write its reports elsewhere: --out DIR")
    run = shown_with(run, file, read_verdicts(baseline) if baseline is not None else None)
    store = open_store()
    if out is None:
        write_kept(run, store, file.parent)
    else:
        write_reports(run, store, out)
    ended = "complete" if run.complete else "cut short, and never came to its end"
    counts = f"{counted(len(run.rows), 'verdict')} and {counted(len(run.checks), 'check')}"
    part = "" if run.selection is None or run.selection.whole else f"; it tried {run.selection}"
    typer.echo(f"{counts} rebuilt; the run is {ended}{part}")


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
        for name, run in (("A", before), ("B", after)):
            if run.selection is not None and not run.selection.whole:
                typer.echo(f"{name} tried {run.selection}")
    raise typer.Exit(0 if differ.same(changes) else 1)


def runs(
    folder: Annotated[Path | None, typer.Argument(help="folder of reports; by default the ini file's")] = None,
    keep: Annotated[
        int | None, typer.Option("--prune", metavar="KEEP", min=0, help="remove all but the newest KEEP runs")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="write JSON")] = False,
) -> None:
    """List the runs that are kept, the newest first: verdicts, models, commit, and what was selected."""
    from refutable.reports.kept import described, listed, table_of

    folder = folder or reports_folder()
    if keep is not None:
        _prune(folder, keep, ask=not yes)
    found = listed(folder)
    if as_json:
        typer.echo(json.dumps([described(run) for run in found], indent=1, ensure_ascii=False, allow_nan=False))
    elif found:
        screen.console().print(table_of(found))
    else:
        typer.echo(f"{folder}: no run is kept there; pytest keeps each in {folder / 'runs'}")


def _prune(folder: Path, keep: int, *, ask: bool) -> None:
    from refutable._util.text import counted
    from refutable.reports.journal import no_run_in
    from refutable.reports.runs import RUNS, kept_in, prune

    old = kept_in(folder)[keep:]
    if not old:
        typer.echo("nothing to remove")
        return
    if ask and not typer.confirm(f"remove {counted(len(old), 'run')} of {folder / RUNS}, {old[-1].name} the oldest?"):
        raise typer.Exit(1)
    with no_run_in(folder):
        prune(old)
    typer.echo(f"removed {counted(len(old), 'run')}")
