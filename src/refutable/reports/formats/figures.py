"""The figures of a run, ``figures/NAME.svg`` and ``figures/NAME.png``: those that the run has data for."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

from refutable._util.progress import task
from refutable._util.pytest_ini import ini_words
from refutable.errors import BadInput
from refutable.figures import FIGURES
from refutable.figures.measured import Remembering
from refutable.figures.save import save
from refutable.reports.formats import REPORTS, Report
from refutable.reports.journal import RunResult
from refutable.traces.store import Store

FOLDER = "figures"
INI_KEY = "refutable_figures"
ENDINGS = ("svg", "png")


def write(run: RunResult, store: Store, folder: Path) -> None:
    """Draw the figures that the ini key `refutable_figures` names, all by default.

    A figure without data is not drawn, and what an earlier run drew of it is removed. A run that looked at nothing
    draws nothing.
    """
    wanted, looked = names_wanted(), any(row.verdict.looked for row in run.rows)
    shared = Remembering(store)
    for name in FIGURES:
        paths = [folder / FOLDER / f"{name}.{ending}" for ending in ENDINGS]
        with task(f"drawing {name}"):
            rows = FIGURES[name].table(run, shared) if looked and name in wanted else ()
            if rows:
                save(FIGURES[name], rows, paths)
                continue
        for path in paths:
            path.unlink(missing_ok=True)


REPORTS.add(Report(FOLDER, write))


def names_wanted() -> frozenset[str]:
    """Return the names of the figures that are drawn at the end of a run.

    Raises:
        BadInput: the ini key names none of the figures, and is not ``none``.
    """
    _, words = ini_words(INI_KEY)
    if words == ["none"]:
        return frozenset()
    for word in words:
        if not any(fnmatchcase(name, word) for name in FIGURES):
            known = ", ".join(FIGURES)
            raise BadInput(f"ini key {INI_KEY}: no figure is called {word!r}; write names or globs of {known}, or none")
    return frozenset(name for name in FIGURES if not words or any(fnmatchcase(name, word) for word in words))
