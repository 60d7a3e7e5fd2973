"""Runs are kept: each in a folder of its own below the reports, whose own files are those of the newest run.

`runs/<time>-<hash>/` is named after the time in UTC at which a run started and a hash of its provenance. While a run
lasts, its journal is one file under two names (a hard link), so that a run that was killed is kept as well. The other
files are written there first, and then copied up, each atomically: whoever edits what is shown changes no kept run.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from refutable._util.atomic import aside_of, write_whole
from refutable._util.hashing import key_of
from refutable.errors import BadInput
from refutable.reports.formats import Problems, describe, write_each
from refutable.reports.journal import JOURNAL, RunResult
from refutable.traces.store import Store

RUNS = "runs"
KEY = "run"  # of a run's provenance: its name
NAME = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}(-\d+)?")
IN_PARQUET = ("measurements.csv", "layers.csv")  # large, and the same numbers are kept in the Parquet file beside it


def new_name(folder: Path, provenance: Mapping[str, Any]) -> str:
    """Return a name that no run in a folder of reports has yet."""
    started = re.sub(r"\D", "", str(provenance.get("started", ""))[:19]).ljust(14, "0")
    name = f"{started[:8]}T{started[8:14]}Z-{key_of(provenance)[:8]}"
    taken = (number for number in range(2, 10_000) if not (folder / RUNS / f"{name}-{number}").exists())
    return f"{name}-{next(taken)}" if (folder / RUNS / name).exists() else name


def begin(folder: Path, name: str) -> Path:
    """Make a run's folder, in a place that git ignores; raises OSError if it cannot be made."""
    own = folder / RUNS / name
    own.mkdir(parents=True)
    ignored = folder / RUNS / ".gitignore"
    with suppress(OSError):
        if not ignored.exists():
            write_whole(ignored, "*\n")
    return own


def share_journal(folder: Path, own: Path) -> None:
    """Let a run's folder have the journal that is being written; without hard links it gets it at the end."""
    with suppress(OSError):
        os.link(folder / JOURNAL, own / JOURNAL)


def keep_journal(folder: Path, own: Path) -> None:
    """Give a run's folder a journal of its own, once nothing more is written to it."""
    with suppress(OSError):  # the link is as good, as long as nobody edits the one that is shown
        _copy(folder / JOURNAL, own / JOURNAL)


def own_folder(run: RunResult, folder: Path) -> Path | None:
    """Return where a run of these reports is kept; None if it is not, or not any more."""
    name = str(run.provenance.get(KEY, ""))
    own = folder / RUNS / name
    return own if NAME.fullmatch(name) and own.is_dir() else None


def write_kept(run: RunResult, store: Store, folder: Path) -> None:
    """Write a run's reports into its own folder, if it has one, and show them in the folder of the reports.

    Raises:
        BadInput: some could not be written; each is named, with the reason. What was shown before stays.
    """
    own = own_folder(run, folder)
    problems = write_each(run, store, own or folder)
    if own is not None:
        before = next((other for other in kept_in(folder) if other != own), None)
        _show(own, folder, problems)
        if before is not None and not problems:
            _drop(before, own, folder)
        for name in IN_PARQUET:
            if (own / name).with_suffix(".parquet").is_file() and (folder / name).is_file():
                (own / name).unlink(missing_ok=True)
    if problems:
        raise BadInput(describe(problems))


def kept_in(folder: Path) -> list[Path]:
    """Return the folders of the runs in a folder of reports, the newest first; none if it has no runs."""
    with suppress(OSError):
        found = (each for each in (folder / RUNS).iterdir() if NAME.fullmatch(each.name) and each.is_dir())
        return sorted(found, key=_age, reverse=True)
    return []


def prune(runs: Iterable[Path]) -> None:
    """Remove the folders of some runs; raises OSError if one cannot be removed."""
    for run in runs:
        shutil.rmtree(run)


def _age(run: Path) -> tuple[str, int, str]:
    """Return what sorts runs by time; of runs with one name, by the number that tells them apart."""
    stamp, hashed, *number = run.name.split("-")
    return stamp, int(number[0]) if number else 1, hashed


def _show(own: Path, folder: Path, problems: Problems) -> None:
    """Copy a run's files into the folder of the reports."""
    for file in _files(own):
        try:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            _copy(own / file, folder / file)
        except OSError as error:
            problems.setdefault(error.strerror or str(error), []).append(file.as_posix())


def _drop(before: Path, own: Path, folder: Path) -> None:
    """Remove what is still shown of an earlier run and has no counterpart in this one, unless somebody changed it."""
    for file in set(_files(before)) - set(_files(own)):
        with suppress(OSError):
            if (folder / file).read_bytes() == (before / file).read_bytes():
                (folder / file).unlink()


def _files(own: Path) -> Iterator[Path]:
    """Yield the files of a run but its journal, relative to its folder."""
    for path in sorted(own.rglob("*")):
        if path.is_file() and path.name != JOURNAL and not path.name.startswith("."):
            yield path.relative_to(own)


def _copy(source: Path, target: Path) -> None:
    """Copy a file atomically."""
    aside = aside_of(target)
    try:
        shutil.copyfile(source, aside)
        aside.replace(target)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
