"""Traces in a local folder, or one that several machines mount: a folder of four files each."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from refutable._util.atomic import aside_of, new_folder, sweep
from refutable._util.retry import tried_again
from refutable.errors import StoreReadOnly
from refutable.traces.sealed import BROKEN, FILES, Sealed, meta_of

SEAL = "seal"
# What a file answers that is not there, or is none; any other answer is a fault that says nothing of the trace.
_NO_FILE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO})
_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class Folder:
    """Traces below a folder; what is written is written aside and moved into place, so it is never half there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __str__(self) -> str:
        return str(self.folder)

    def check(self) -> None:
        """Do nothing: a folder is made when something is written."""

    def check_writable(self) -> None:
        """Raise StoreReadOnly where a trace could not be written."""
        trial = aside_of(self.folder / "traces" / "trial")
        try:
            trial.parent.mkdir(parents=True, exist_ok=True)
            trial.touch()
            trial.unlink()
        except OSError as error:
            if error.errno in _REFUSED:
                raise read_only(str(self), os.strerror(error.errno)) from None
            raise

    def read(self, key: str, *, fresh: bool = False) -> Sealed | None:
        """Return the files of a trace, or None where there is none.

        Raises:
            OSError: they are there and cannot be read, or the folder does not answer.
        """
        place = self._place(key)
        try:
            parts = tuple(tried_again((place / name).read_bytes) for name in FILES)
            return Sealed(parts, tried_again((place / SEAL).read_bytes).decode("ascii"))
        except OSError as error:
            if error.errno not in _NO_FILE:
                raise
        except ValueError:
            return BROKEN
        return BROKEN if place.is_dir() else None

    def write(self, key: str, sealed: Sealed) -> None:
        """Write a trace, unless it is there whole."""
        place = self._place(key)
        with new_folder(place) as aside:
            for name, part in zip(FILES, sealed.parts, strict=True):
                (aside / name).write_bytes(part)
            (aside / SEAL).write_text(sealed.seal, encoding="ascii")
            there = self.read(key)
            if there is not None and not there.is_of(key):
                shutil.rmtree(place)  # damaged from outside: a trace is moved into place whole

    def listed(self) -> Iterator[tuple[str, int, float]]:
        """Yield the key of each trace, its bytes, and when it was written, in the order of the keys."""
        for place in sorted(self.folder.glob("traces/*/*")):
            if not place.is_dir() or place.name.startswith("."):
                continue  # being written, or left by a writer that was killed
            files = [file.stat() for file in place.iterdir() if file.is_file()]
            written = max((file.st_mtime for file in files), default=place.stat().st_mtime)
            yield place.name, sum(file.st_size for file in files), written

    def metas(self, keys: Iterable[str]) -> Iterator[Mapping[str, Any]]:
        """Yield the meta of each of these traces, unverified; empty where it cannot be read."""
        for key in keys:
            try:
                yield meta_of((self._place(key) / FILES[0]).read_bytes())
            except OSError:
                yield {}

    def remove(self, key: str) -> None:
        """Remove a trace: at once, so that no reader finds half of it."""
        place = self._place(key)
        aside = aside_of(place)
        place.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)  # NFS keeps what somebody still reads; it is swept later

    def sweep(self) -> None:
        """Remove what writers that were killed left behind."""
        sweep(self.folder, ("traces", "traces/*"))

    def _place(self, key: str) -> Path:
        return self.folder / "traces" / key[:2] / key


def read_only(store: str, why: str) -> StoreReadOnly:
    """Return the error of a store that cannot be written."""
    fix = f"REFUTABLE_CACHE=FOLDER refutable cache pull {store}, and the same command with that REFUTABLE_CACHE"
    return StoreReadOnly(f"{store} does not hold it, and cannot be written ({why})", fix)
