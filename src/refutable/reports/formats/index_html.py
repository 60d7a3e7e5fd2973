"""index.html: the page of a run; docs/page.md says what is on it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from refutable._util.atomic import write_whole
from refutable.reports.formats import REPORTS, Report
from refutable.reports.journal import RunResult
from refutable.reports.page.data import packed
from refutable.reports.page.render import Figure, figure, html
from refutable.reports.page.view import page_view
from refutable.traces.store import Store

FILE = "index.html"
FIGURES = "figures"
MOST_FIGURES = 10
MOST_BYTES = 200_000  # of one figure; the page stays small enough to be sent around


def page_html(run: RunResult, store: Store, folder: Path | None = None, *, again: int = 0) -> str:
    """Return the page of a run.

    Args:
        run: what is shown.
        store: has the samples.
        folder: with the figures in its ``figures``.
        again: after how many seconds a browser asks for it anew; 0 for never.
    """
    view = page_view(run, store)
    figures = _figures(folder)
    return html("page.html", view=view, front=view.front, packed=packed(view.data), figures=figures, again=again)


def write(run: RunResult, store: Store, folder: Path) -> None:
    """Write index.html."""
    write_whole(folder / FILE, page_html(run, store, folder))


REPORTS.add(Report(FILE, write))


def _figures(folder: Path | None) -> list[Figure]:
    found = []
    for path in sorted((folder / FIGURES).glob("*.svg")) if folder is not None else ():
        with suppress(OSError):
            if path.stat().st_size <= MOST_BYTES:
                found.append(figure(path.stem.replace("_", " ").replace("-", " "), path.read_bytes()))
    return found[:MOST_FIGURES]
