"""Atomic writes: a file or folder is complete or absent.

They have the permissions that the user's umask gives, so that a colleague can read a shared cache.
"""

from __future__ import annotations

import csv
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

FORMULA = re.compile(r"'*[=+\-@\t\r]")
_ASIDE = ".aside"
_DAY = 86_400.0  # no write takes so long: what is older was left by a process that died


def aside_of(place: Path) -> Path:
    """Return where something is written before it is moved into its place, in the same folder."""
    return place.parent / f".{place.name}-{secrets.token_hex(8)}{_ASIDE}"


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file under a temporary name and move it into place, so no reader ever sees half of it; text as UTF-8."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = aside_of(path)
    try:
        with aside.open("xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def write_csv(path: Path, columns: Sequence[str], lines: Iterable[Mapping[str, object]]) -> None:
    """Write a table with a header, atomically; a missing cell is empty."""
    text = _Lines()
    writer = csv.DictWriter(text, columns, lineterminator=_Lines.END)
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in line.items()} for line in lines)
    write_whole(path, "".join(text))


def write_csv_columns(path: Path, columns: Mapping[str, Sequence[object]]) -> None:
    """Write what `write_csv` does, from columns of one length: faster where there are many lines."""
    text = _Lines()
    writer = csv.writer(text, lineterminator=_Lines.END)
    writer.writerow(columns)
    writer.writerows(zip(*(map(_cell, cells) for cells in columns.values()), strict=True))
    write_whole(path, "".join(text))


class _Lines(list[str]):
    """Lines of a table that end in a newline; the writer is told another end, so that it quotes cells with either."""

    END = "\r\n"

    def write(self, line: str) -> None:
        """Add a line."""
        self.append(line.removesuffix(self.END) + "\n")


def _cell(value: object) -> object:
    """Return a cell; text that a spreadsheet would take for a formula, or that begins like one so marked, is marked."""
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def unmarked(cell: str) -> str:
    """Return the text of a cell that `write_csv` wrote."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell[1:]) else cell


@contextmanager
def new_folder(place: Path) -> Iterator[Path]:
    """Yield a temporary folder to fill, then move it into place, unless a folder is there by then.

    Raises:
        OSError: it cannot be moved, and there is none.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = aside_of(place)
    aside.mkdir()
    try:
        yield aside
        aside.rename(place)
    except OSError:
        if not place.is_dir():
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def sweep(folder: Path, patterns: Sequence[str]) -> None:
    """Remove what writers that were killed left aside more than a day ago.

    Args:
        folder: below which to look.
        patterns: globs of the folders that hold what is written aside, relative to `folder`.
    """
    with suppress(OSError):  # such as a folder whose name is too long: whoever needs it will say so
        found = [left for pattern in patterns for left in folder.glob(f"{pattern}/.*{_ASIDE}")]
        for left in found:
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > _DAY:
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
