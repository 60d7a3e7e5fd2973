"""The subcommand `view`."""

from __future__ import annotations

import hashlib
import time
import webbrowser
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refutable.cli.defaults import reports_folder
from refutable.errors import BadInput

if TYPE_CHECKING:
    from refutable.cli.serve import Pages

AGAIN = 10  # seconds between two looks at a run that goes on
ENDED = 600  # seconds without a verdict after which a run without an end was killed


def view(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN] [OTHER]",
            help="a run's folder, journal or verdicts.json, or a folder of runs; two runs are shown side by side;"
            " by default the run among the reports",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="write the page here; by default beside the run's journal")] = None,
    serve: Annotated[bool, typer.Option("--serve", help="serve the folder's runs to this machine's browser")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="of --serve; 0 takes a free one")] = 0,
    open_: Annotated[bool, typer.Option("--open/--no-open", help="whether a browser is opened")] = True,
) -> None:
    """Open the page of a run, of two runs side by side, or of a folder of runs."""
    from refutable.reports.page.runs import holds_run, runs_in

    given = runs or [reports_folder()]
    if len(given) > 2:
        raise BadInput(f"{len(given)} runs are named; name one, two to compare, or the folder that they are in")
    if len(given) == 2:
        _show(_written(_compared(*given), out or _place(*given)), open_)
        return
    folder = given[0]
    if folder.is_dir() and (serve or (not holds_run(folder) and runs_in(folder))):
        _serve(folder, port, open_)
        return
    if serve:
        raise BadInput(f"{folder}: --serve shows a folder of runs; name the folder that the run is in")
    page, beside = _page(folder)
    _show(_written(page, out or beside or _place(folder)), open_)


def _page(path: Path, *, live: bool = False) -> tuple[str, Path | None]:
    """Return the page of a run, and its place beside the run's journal; None of a run without a journal.

    Args:
        path: of the run.
        live: whether the page is asked for anew by itself as long as the run goes on.
    """
    from refutable.cli.beside import shown_with
    from refutable.reports.formats.index_html import FILE, page_html
    from refutable.reports.formats.verdicts_json import read_run
    from refutable.traces.store import open_store

    run, file = read_run(path)
    goes_on = live and not run.complete and time.time() - file.stat().st_mtime < ENDED
    text = page_html(shown_with(run, file), open_store(), file.parent, again=AGAIN if goes_on else 0)
    return text, file.parent / FILE if file.suffix != ".json" else None


def _compared(a: Path, b: Path) -> str:
    from refutable.reports.formats.verdicts_json import read_run
    from refutable.reports.page.compare import compare_view
    from refutable.reports.page.render import html

    view = compare_view(read_run(a)[0], read_run(b)[0])
    return html("compare.html", scripted=False, view=view)


def _place(*paths: Path) -> Path:
    """Return where the page of runs whose folders are left alone is kept."""
    from refutable.traces.store import cache_folder

    named = hashlib.sha256("\n".join(str(path.absolute()) for path in paths).encode()).hexdigest()
    return cache_folder() / "pages" / f"{named[:16]}.html"


def _written(page: str, place: Path) -> Path:
    from refutable._util.atomic import write_whole

    write_whole(place, page)
    return place


def _show(page: Path, open_: bool) -> None:
    typer.echo(f"page: {page}")
    if open_ and not webbrowser.open(page.absolute().as_uri()):
        typer.echo("no browser could be opened; open that file in one")


def server_of(folder: Path, port: int) -> Pages:
    """Return a server of the runs in a folder; each page is made when it is asked for, so that new runs are seen."""
    from refutable.cli.serve import Pages, named
    from refutable.reports.page.render import html
    from refutable.reports.page.runs import run_lines, runs_in

    found = partial(runs_in, folder)
    return Pages(
        port,
        index=lambda: html("runs.html", scripted=False, place=folder.name, runs=run_lines(found())),
        page=lambda name: _page(found()[named(name, found())], live=True)[0],
        compare=lambda a, b: _compared(*(found()[named(name, found())] for name in (a, b))),
    )


def _serve(folder: Path, port: int, open_: bool) -> None:
    server = server_of(folder, port)
    typer.echo(f"runs: {server.address} (Ctrl-C ends it)")
    if open_:
        webbrowser.open(server.address)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        typer.echo("")
    finally:
        server.server_close()
