"""Stored traces for the command: which are meant, and how they and what lies beside them are told."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from refutable.errors import BadInput

if TYPE_CHECKING:
    from refutable.traces.store import Stored

UNITS = {"h": 3_600, "d": 86_400, "w": 604_800}
LEAST_KEY = 6
BY_MODEL = ("model", "traces", "passes", "prompts", "last measured", "size")


def by_model(found: Iterable[Stored]) -> Iterable[Sequence[str]]:
    """Yield a line for each model, in the order of `BY_MODEL`."""
    from refutable._util.text import few

    by_model: dict[str, list[Stored]] = defaultdict(list)
    for one in found:
        by_model[str(one.meta.get("model", "?"))].append(one)
    for model, of in sorted(by_model.items()):
        told = [sorted({str(one.meta.get(key) or "-") for one in of}) for key in ("pass", "prompt_set")]
        passes, prompts = (few(names, 3) for names in told)
        size = size_text(sum(one.bytes for one in of))
        yield model, f"{len(of):,}", passes, prompts, _day(max(one.written for one in of)), size


def each(found: Iterable[Stored]) -> Iterable[Sequence[str]]:
    """Yield a line for each trace: key, model, weights, pass, prompts, dtype, when it was measured, size."""
    for one in sorted(found, key=lambda one: (str(one.meta.get("model")), one.written)):
        told = [str(one.meta.get(key) or "-") for key in ("model", "weights_kind", "pass", "prompt_set", "dtype")]
        yield one.key[:12], *told, _day(one.written), size_text(one.bytes)


def chosen(stored: Iterable[Stored], which: Collection[str], older_than: str | None = None) -> list[Stored]:
    """Return the traces of these models or keys, of that age.

    Raises:
        BadInput: a word agrees with none, or the age is none.
    """
    before = time.time() - _seconds(older_than) if older_than else None
    found = list(stored)
    for word in which:
        if not any(_agrees(one, word) for one in found):
            models = ", ".join(sorted({str(one.meta["model"]) for one in found if "model" in one.meta})) or "nothing"
            raise BadInput(
                f"{word}: no trace of such a model, nor a key that begins so (of {LEAST_KEY} letters or more); kept:"
                f" {models}"
            )
    return [
        one
        for one in found
        if (not which or any(_agrees(one, word) for word in which)) and (before is None or one.written < before)
    ]


def _agrees(one: Stored, word: str) -> bool:
    model = str(one.meta.get("model", ""))
    return fnmatchcase(model, word) or (len(word) >= LEAST_KEY and one.key.startswith(word))


def _seconds(age: str) -> int:
    match = re.fullmatch(r"(\d+)([hdw])", age)
    if match is None:
        raise BadInput(f"--older-than {age}: write hours, days or weeks: 12h, 30d or 8w")
    return int(match[1]) * UNITS[match[2]]


def other_parts(folder: Path) -> dict[str, int]:
    """Return the bytes of what else a cache folder holds, by the part's name: converted weights, hashes and so on."""
    parts = sorted(folder.iterdir()) if folder.is_dir() else []
    return {part.name: bytes_below(part) for part in parts if part.is_dir() and part.name not in ("traces", "locks")}


def bytes_below(folder: Path) -> int:
    """Return the bytes of a folder's files, none where there is no folder; a link counts as none."""
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


def size_text(size: int) -> str:
    """Return bytes as text: ``1.2 GB``."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} B"


def traces_text(found: Collection[Stored]) -> str:
    """Return how many traces these are, and their bytes, as text."""
    from refutable._util.text import counted

    return f"{counted(len(found), 'trace')}, {size_text(sum(one.bytes for one in found))}"


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
