"""Traces by key, in a local folder or on a filesystem that several machines share.

A trace's key is the hash of everything that determines it, so a stored trace is never stale; it appears at once or not
at all; and it is sealed with a hash of its key and its bytes, which every read checks, so that one which was changed or
moved afterwards is not believed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock

from refutable._util.atomic import sweep
from refutable._util.host import machine
from refutable._util.progress import say
from refutable._util.text import first_line, printable
from refutable.errors import BadInput, StoreUnavailable
from refutable.traces.filesystem import place_of
from refutable.traces.folder import Folder
from refutable.traces.objects import Objects
from refutable.traces.sealed import Sealed
from refutable.traces.trace import Trace


def cache_folder() -> Path:
    """Return the folder of what stays on this machine: converted weights, hashes, locks and, by default, traces.

    $REFUTABLE_LOCAL_CACHE, where it is set; else $REFUTABLE_CACHE, where that is a folder; else the folder of earlier
    versions (``refutable`` in $XDG_CACHE_HOME or in ``~/.cache``), where there is one; else the system's folder for a
    user's caches.

    Raises:
        BadInput: the user has no home folder, or $REFUTABLE_CACHE is half a URL.
    """
    if local := os.environ.get("REFUTABLE_LOCAL_CACHE"):
        return Path(local)
    if (named := os.environ.get("REFUTABLE_CACHE")) and isinstance(place := place_of(named), Path):
        return place
    try:
        earlier = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "refutable"
    except RuntimeError:
        raise BadInput("there is no home folder to keep measurements in; set $REFUTABLE_CACHE to a folder") from None
    return earlier if earlier.is_dir() else platformdirs.user_cache_path("refutable", appauthor=False)


def open_store(named: str | None = None) -> Store:
    """Return the store that a folder or URL names, by default $REFUTABLE_CACHE or else `cache_folder()`.

    Raises:
        BadInput: it cannot be used: no such bucket, no permission, no answer, a package is missing.
    """
    named = named or os.environ.get("REFUTABLE_CACHE")
    store = Store(place_of(named) if named else cache_folder())
    store.check()
    return store


@dataclass(frozen=True, slots=True)
class Stored:
    """One stored trace, without its tables.

    Attributes:
        key: its address.
        meta: what it is of; empty where that cannot be read, or was not asked for.
        bytes: of its files together.
        written: when, in seconds since 1970.
    """

    key: str
    meta: Mapping[str, Any]
    bytes: int
    written: float


class Store:
    """Traces by key.

    Args:
        place: a folder, or a URL that fsspec knows. No server is asked before something is.
    """

    def __init__(self, place: Path | str) -> None:
        self.place = place
        self.damaged: set[str] = set()  # keys of traces that were there, and not as they were written
        self.unstored: dict[str, str] = {}  # why, by key, for traces that only this process has
        self._held: dict[str, Trace] = {}
        self._at: Folder | Objects = Folder(place) if isinstance(place, Path) else Objects(place)

    def __str__(self) -> str:
        return str(self._at)

    @property
    def folder(self) -> Path:
        """The folder of what stays on this machine: the store's own, unless it is elsewhere or another is named."""
        if isinstance(self.place, Path) and not os.environ.get("REFUTABLE_LOCAL_CACHE"):
            return self.place
        return cache_folder()

    def check(self) -> None:
        """Raise BadInput where a store elsewhere cannot be used; a folder is made when it is first written to."""
        self._at.check()

    def get(self, key: str) -> Trace | None:
        """Return the trace of a key, or None where it is not stored or was damaged from outside: measure it again.

        Raises:
            OSError: it is there, and cannot be read; or the folder does not answer.
            StoreUnavailable: the store does not answer, or refuses.
        """
        if key in self._held:
            return self._held[key]
        found = self._at.read(key)
        if found is None:
            return None
        if not found.is_of(key):
            self.damaged.add(key)
            return None
        return found.trace(key)

    def put(self, trace: Trace) -> None:
        """Store a trace; a second writer of the same key changes nothing; errors as `get`."""
        self._at.write(trace.key, Sealed.of(trace))

    def keep(self, trace: Trace) -> None:
        """Store a trace or, where that fails, hold it for as long as this process lives, and say why in `unstored`."""
        try:
            self.put(trace)
        except (OSError, StoreUnavailable) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else first_line(error)
            self._held[trace.key], self.unstored[trace.key] = trace, printable(why)
            say(f"a trace of {trace.meta['model']} could not be stored ({why}); this run has it in memory")

    def is_whole(self, key: str) -> bool:
        """Whether a trace is stored as it was written: its seal is that of its key and bytes; errors as `get`."""
        return self.sealed(key) is not None

    def sealed(self, key: str) -> Sealed | None:
        """Return the bytes of a trace as they are stored now, or None where it is not there whole; errors as `get`."""
        found = self._at.read(key, fresh=True)
        return found if found is not None and found.is_of(key) else None

    def put_sealed(self, key: str, sealed: Sealed) -> None:
        """Store the bytes of a trace, as `put` does."""
        self._at.write(key, sealed)

    def stored(self, *, described: bool = True) -> Iterator[Stored]:
        """Yield every stored trace, damaged or not, in the order of the keys; `described` with its meta."""
        listed = [*self._at.listed()]
        metas = self._at.metas(key for key, _, _ in listed) if described else ({} for _ in listed)
        for (key, size, written), meta in zip(listed, metas, strict=True):
            yield Stored(key, meta, size, written)

    def metas(self) -> Iterator[Mapping[str, Any]]:
        """Yield the meta of every stored trace; damaged ones are skipped."""
        return (one.meta for one in self.stored() if one.meta)

    def remove(self, key: str) -> None:
        """Remove a trace: at once, so that no reader finds half of it."""
        self._at.remove(key)

    def lock(self, name: str) -> AbstractContextManager[object]:
        """Return a lock between this machine's processes: whoever waits finds the trace stored.

        Raises:
            StoreReadOnly: what is measured meanwhile could not be stored.
        """
        self._at.check_writable()
        folder = self.folder / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / f"{name}.{machine()}.lock")

    def sweep(self) -> None:
        """Remove what writers that were killed left behind."""
        self._at.sweep()
        sweep(self.folder, ("converted", "hashes"))
