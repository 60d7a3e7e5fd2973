"""Traces in a content-addressed directory of Parquet files.

A trace's key is the hash of everything that determines it, so a stored trace is never stale; it is written aside and
moved into place, so it is never half there; and it is sealed with a hash of its key and its bytes, so that one which
was changed or moved afterwards is not believed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from refutable._util.atomic import aside_of, new_folder, sweep
from refutable.errors import BadInput
from refutable.traces.trace import Trace

_FILES = ("meta.json", "blocks.parquet", "prompts.parquet")
_SEAL = "seal"


def cache_folder() -> Path:
    """Return where traces, converted weights and hashes are kept.

    $REFUTABLE_CACHE, where it is set; else the folder of earlier versions (``refutable`` in $XDG_CACHE_HOME or in
    ``~/.cache``), where there is one; else the system's folder for a user's caches.

    Raises:
        BadInput: the user has no home folder.
    """
    explicit = os.environ.get("REFUTABLE_CACHE")
    if explicit:
        return Path(explicit)
    try:
        earlier = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "refutable"
    except RuntimeError:
        raise BadInput("there is no home folder to keep measurements in; set $REFUTABLE_CACHE to a folder") from None
    return earlier if earlier.is_dir() else platformdirs.user_cache_path("refutable", appauthor=False)


@dataclass(frozen=True, slots=True)
class Stored:
    """One stored trace, without its tables.

    Attributes:
        key: its address.
        meta: what it is of; empty where that cannot be read.
        bytes: of its files together.
        written: when, in seconds since 1970.
    """

    key: str
    meta: Mapping[str, Any]
    bytes: int
    written: float


class Store:
    """Traces by key, below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.damaged: set[str] = set()  # keys of traces that were there, and not as they were written

    def get(self, key: str) -> Trace | None:
        """Return the trace of a key, or None where it is not stored or was damaged from outside: measure it again.

        Raises:
            PermissionError: it is there, and cannot be read.
        """
        content = self._sealed(key)
        if content is None:
            if self._place(key).is_dir():
                self.damaged.add(key)
            return None
        blocks, prompts = (pq.read_table(pa.BufferReader(table)) for table in content[1:])
        return Trace(key, json.loads(content[0]), blocks, prompts)

    def put(self, trace: Trace) -> None:
        """Store a trace; a second writer of the same key changes nothing."""
        place = self._place(trace.key)
        with new_folder(place) as aside:
            meta = json.dumps(dict(trace.meta), indent=1, sort_keys=True, allow_nan=False)
            (aside / "meta.json").write_text(meta, encoding="utf-8")
            pq.write_table(trace.blocks, aside / "blocks.parquet", write_page_checksum=True)
            pq.write_table(trace.prompts, aside / "prompts.parquet", write_page_checksum=True)
            seal = _seal(trace.key, [(aside / name).read_bytes() for name in _FILES])
            (aside / _SEAL).write_text(seal, encoding="ascii")
            if place.is_dir() and self.get(trace.key) is None:
                shutil.rmtree(place)  # damaged from outside: a trace is moved into place whole

    def is_whole(self, key: str) -> bool:
        """Whether a trace is stored as it was written: its seal is that of its key and bytes."""
        return self._sealed(key) is not None

    def _sealed(self, key: str) -> list[bytes] | None:
        """Return the bytes of a trace's files, or None where they are not all there, or not as they were written."""
        place = self._place(key)
        try:
            content = [(place / name).read_bytes() for name in _FILES]
            sealed = (place / _SEAL).read_text(encoding="ascii")
        except PermissionError:
            raise
        except (OSError, ValueError):
            return None
        return content if sealed == _seal(key, content) else None

    def stored(self) -> Iterator[Stored]:
        """Yield every stored trace, damaged or not, in the order of the keys."""
        for place in sorted(self.folder.glob("traces/*/*")):
            if not place.is_dir() or place.name.startswith("."):
                continue  # being written, or left by a writer that was killed
            files = [file.stat() for file in place.iterdir() if file.is_file()]
            written = max((file.st_mtime for file in files), default=place.stat().st_mtime)
            yield Stored(place.name, _meta_in(place), sum(file.st_size for file in files), written)

    def remove(self, key: str) -> None:
        """Remove a trace: at once, so that no reader finds half of it."""
        place = self._place(key)
        aside = aside_of(place)
        place.rename(aside)
        shutil.rmtree(aside)

    def metas(self) -> Iterator[Mapping[str, Any]]:
        """Yield the meta of every stored trace; damaged ones are skipped."""
        for file in sorted(self.folder.glob("traces/*/*/meta.json")):
            if meta := _meta_in(file.parent):
                yield meta

    def lock(self, name: str) -> AbstractContextManager[object]:
        """Return a lock between processes: whoever waits finds the trace stored."""
        folder = self.folder / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / f"{name}.lock")

    def sweep(self) -> None:
        """Remove what writers that were killed left behind."""
        sweep(self.folder, ("traces/*", "converted", "hashes"))

    def _place(self, key: str) -> Path:
        return self.folder / "traces" / key[:2] / key


def _meta_in(place: Path) -> Mapping[str, Any]:
    try:
        meta = json.loads((place / "meta.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return meta if isinstance(meta, dict) else {}


def _seal(key: str, content: Sequence[bytes]) -> str:
    """Return a hash of a trace's key and the bytes of its files."""
    seal = hashlib.sha256(key.encode())
    for part in content:
        seal.update(hashlib.sha256(part).digest())
    return seal.hexdigest()
