"""The subcommand `figure`."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refutable.cli import screen
from refutable.cli.defaults import reports_folder
from refutable.errors import BadInput

if TYPE_CHECKING:
    from refutable.reports.journal import RunResult
    from refutable.traces.store import Store


def figure(
    name: Annotated[str | None, typer.Argument(help="of the figure; `refutable figure --list` names them")] = None,
    run: Annotated[
        Path | None,
        typer.Argument(help="verdicts.json or journal of a run, or its folder; by default the reports"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="file to write: .svg, .png, or .csv for its table; by default NAME.svg here"),
    ] = None,
    case: Annotated[
        list[str] | None,
        typer.Option(help="draw only from these cases (test ids or globs; repeat it)"),
    ] = None,
    show: Annotated[
        bool, typer.Option("--list", help="list the figures, and whether the run has data for each")
    ] = False,
) -> None:
    """Draw one figure of a run, or write its table; --list says which there are."""
    from refutable.reports.formats.verdicts_json import read_run
    from refutable.traces.store import open_store

    if show:
        run, name = run or (Path(name) if name is not None else None), None
    elif name is None:
        raise BadInput("which figure? write `refutable figure NAME RUN`, or `refutable figure --list` to see them all")
    place = run or reports_folder()
    read = _chosen(read_run(place)[0], case or [], place)
    store = open_store()
    if name is None:
        _list(read, store)
    else:
        _draw(name, read, store, out or Path(f"{name}.svg"), place)


def _chosen(run: RunResult, globs: list[str], place: Path) -> RunResult:
    """Return a run with only the cases that some glob matches; all without globs."""
    if not globs:
        return run
    for glob in globs:
        if not any(fnmatchcase(row.id, glob) for row in run.rows):
            raise BadInput(f"--case {glob}: no case of {place} is called so; its ids are in verdicts.json")
    return replace(run, rows=tuple(row for row in run.rows if any(fnmatchcase(row.id, glob) for glob in globs)))


def _draw(name: str, run: RunResult, store: Store, out: Path, place: Path) -> None:
    from refutable._util.text import counted
    from refutable.figures import FIGURES
    from refutable.figures.save import check_format, save

    chosen = FIGURES[name]
    check_format(out)
    rows = chosen.table(run, store)
    if not rows:
        kept = {key for row in run.rows for key in row.traces}
        gone = sum(store.get(key) is None for key in kept)
        why = f"; {gone} of its {counted(len(kept), 'trace')} are not in this store ($REFUTABLE_CACHE)" if gone else ""
        raise BadInput(f"{place}: this run has no data for {name}{why}; `refutable figure --list` says what it has")
    save(chosen, rows, [out])
    typer.echo(f"wrote {out} ({counted(len(rows), 'row')} of data)")


def _list(run: RunResult, store: Store) -> None:
    from refutable._util.text import counted
    from refutable.figures import FIGURES
    from refutable.figures.measured import Remembering

    shared, table = Remembering(store), screen.table()
    for column in ("figure", "data in this run", "what it shows"):
        table.add_column(column, no_wrap=column != "what it shows", overflow="fold")
    for name in FIGURES:
        rows = FIGURES[name].table(run, shared)
        table.add_row(name, counted(len(rows), "row") if rows else "none", FIGURES[name].doc)
    screen.console().print(table)
