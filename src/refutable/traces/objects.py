"""Traces on a filesystem that fsspec knows (an object store, for the most part), one object each.

A trace is one object, written by one request, so that a reader finds all of it or nothing, and two writers of one key
leave one of the two whole. Nothing is locked. fsspec is imported when a store is first asked for something.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from threading import Lock
from typing import Any, TypeVar

from refutable._util.progress import task
from refutable._util.retry import may_pass, tried_again
from refutable.errors import BadInput, StoreUnavailable
from refutable.traces import filesystem
from refutable.traces.folder import read_only
from refutable.traces.sealed import META_AT_FIRST, Sealed, meta_end, packed_meta, unpacked

SUFFIX = ".trace"
REMEMBERED = 256 * 1024 * 1024  # bytes of the traces read last, since reports read what a run has read
SILENT_FOR = (
    60.0  # seconds for which a store that did not answer is not asked again: each request waits for its retries
)
_AT_ONCE = 256
T = TypeVar("T")


class Objects:
    """Traces below a URL.

    Args:
        url: of the folder or prefix, as fsspec writes it.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._made: tuple[Any, str] | None = None
        self._recent: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()
        self._down: tuple[float, str] = (-SILENT_FOR, "")
        self._writable = False

    def __reduce__(self) -> tuple[type[Objects], tuple[str]]:
        return Objects, (self.url,)

    def __str__(self) -> str:
        return filesystem.shown(self.url)

    def check(self) -> None:
        """Ask for the first level of names once; raises BadInput where the store cannot be used."""
        fs, root = self._at()
        with task(f"reaching {self}"):
            try:
                self._ask("listed", partial(fs.ls, f"{root}/traces", detail=False))
            except FileNotFoundError:
                if not filesystem.has_bucket(fs, root):
                    bucket = root.strip("/").partition("/")[0]
                    raise BadInput(f"{self}: there is no bucket {bucket!r} there; create it, or name another") from None
            except StoreUnavailable as error:
                raise BadInput(str(error)) from None

    def check_writable(self) -> None:
        """Write a small object once a process; raises StoreReadOnly where that is refused."""
        if self._writable:
            return
        fs, root = self._at()
        trial, content = f"{root}/writable", b"refutable writes here\n"
        try:
            self._ask("written", partial(self._create, fs, trial, content))
        except FileExistsError:  # somebody could; whether this user can is said by the first trace
            if not self._ask("read", partial(fs.exists, trial)):
                self._ask("written", partial(filesystem.write_over, fs, trial, content))
        except StoreUnavailable as error:
            if not isinstance(error.__cause__, PermissionError):
                raise
            raise read_only(str(self), filesystem.reason(error.__cause__)) from None
        self._writable = True

    def read(self, key: str, *, fresh: bool = False) -> Sealed | None:
        """Return the files of a trace, or None where there is none.

        Args:
            key: the trace's.
            fresh: fetch it though it was read before.

        Raises:
            StoreUnavailable: the store does not answer, or refuses.
        """
        with self._lock:
            content = None if fresh else self._recent.get(key)
        if content is None:
            fs, _ = self._at()
            try:
                content = self._ask("read", partial(fs.cat_file, self._place(key)))
            except FileNotFoundError:
                return None
        found = unpacked(content)
        if found.is_of(key):
            self._remember(key, content)
        return found

    def write(self, key: str, sealed: Sealed) -> None:
        """Write a trace, unless it is there whole.

        Raises:
            StoreUnavailable: the store does not answer, or refuses.
        """
        fs, _ = self._at()
        content, place = sealed.packed(), self._place(key)
        try:
            self._ask("written", partial(self._create, fs, place, content))
        except FileExistsError:
            there = self.read(key, fresh=True)
            if there is not None and there.is_of(key):
                return
            self._ask("written", partial(filesystem.write_over, fs, place, content))
        self._remember(key, content)

    def listed(self) -> Iterator[tuple[str, int, float]]:
        """Yield the key of each trace, its bytes, and when it was written, in the order of the keys."""
        fs, root = self._at()
        try:
            with task(f"listing {self}"):
                found = self._ask("listed", partial(fs.find, f"{root}/traces", detail=True))
        except FileNotFoundError:
            return
        for path, info in sorted(found.items()):
            shelf, _, name = path.rpartition("/")
            key = name.removesuffix(SUFFIX)
            if name.endswith(SUFFIX) and shelf.endswith(f"/{key[:2]}"):
                yield key, int(info.get("size") or 0), filesystem.written(info)

    def metas(self, keys: Iterable[str]) -> Iterator[Mapping[str, Any]]:
        """Yield the meta of each of these traces, unverified; empty where it cannot be read. Reads no tables."""
        every = [self._place(key) for key in keys]
        for at in range(0, len(every), _AT_ONCE):
            places = every[at : at + _AT_ONCE]
            starts = self._beginnings(places, [META_AT_FIRST] * len(places))
            longer = [number for number, start in enumerate(starts) if meta_end(start) > len(start) > 0]
            ends = [meta_end(starts[number]) for number in longer]
            for number, start in zip(longer, self._beginnings([places[n] for n in longer], ends), strict=True):
                starts[number] = start
            yield from map(packed_meta, starts)

    def remove(self, key: str) -> None:
        """Remove a trace; raises StoreUnavailable where that cannot be done."""
        fs, _ = self._at()
        with self._lock:
            self._recent.pop(key, None)
        with suppress(FileNotFoundError):
            self._ask("removed from", partial(fs.rm_file, self._place(key)))

    def sweep(self) -> None:
        """Do nothing: a writer that was killed has left nothing."""

    def _beginnings(self, places: Sequence[str], ends: Sequence[int]) -> list[bytes]:
        """Return the first bytes of several objects at once; none of one that is gone or empty."""
        if not places:
            return []
        fs, _ = self._at()
        asked = partial(fs.cat_ranges, list(places), [0] * len(places), list(ends), on_error="return")
        found = []
        for place, end, start in zip(places, ends, self._ask("read", asked), strict=True):
            if isinstance(start, Exception) and may_pass(start):
                with suppress(FileNotFoundError):
                    start = self._ask("read", partial(fs.cat_file, place, start=0, end=end))
            found.append(start if isinstance(start, bytes) else b"")
        return found

    def _remember(self, key: str, content: bytes) -> None:
        with self._lock:
            self._recent[key] = content
            self._recent.move_to_end(key)
            while sum(map(len, self._recent.values())) > REMEMBERED:
                self._recent.popitem(last=False)

    def _create(self, fs: Any, place: str, content: bytes) -> None:
        """Write an object that must not be there yet; raises FileExistsError where it is, or may be."""
        try:
            fs.pipe_file(place, content, mode="create")
        except PermissionError:
            raise
        except (OSError, TypeError, ValueError, NotImplementedError) as error:
            if may_pass(error):
                raise
            raise FileExistsError(place) from error  # it is there, or this server does not know the condition

    def _ask(self, doing: str, action: Callable[[], T]) -> T:
        """Ask the filesystem, a few times; raises FileNotFoundError, FileExistsError or StoreUnavailable."""
        silent_since, why = self._down
        if time.monotonic() - silent_since < SILENT_FOR:
            raise StoreUnavailable(why)
        try:
            return tried_again(action)
        except (FileNotFoundError, FileExistsError):
            raise
        except Exception as error:  # botocore's and aiohttp's are no OSErrors
            why = f"{self} cannot be {doing}: {filesystem.reason(error)}"
            if not isinstance(error, PermissionError):
                self._down = time.monotonic(), why
            raise StoreUnavailable(why) from error

    def _at(self) -> tuple[Any, str]:
        """Return the filesystem, and the path of the store in it; made on the first call."""
        if self._made is None:
            self._made = filesystem.opened(self.url)
        return self._made

    def _place(self, key: str) -> str:
        return f"{self._at()[1]}/traces/{key[:2]}/{key}{SUFFIX}"
