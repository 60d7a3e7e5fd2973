"""Hashes of weight files, memoised; large files are hashed in pieces on every core."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from refutable._util.atomic import write_whole
from refutable._util.hashing import key_of
from refutable._util.progress import BYTES, task
from refutable._util.reading import opened
from refutable.errors import BadInput

_PIECE = 64 * 1024 * 1024
_READ = 1024 * 1024
Told = Callable[[int], None]
"""Hears how many more bytes were read."""
Compute = Callable[[Path, Told], str]


class FileHashes:
    """Hashes of files' contents, memoised by path, size, times of change and inode.

    The hub's cache names a large file by the hash that it ought to have; it is hashed like any other, since what
    arrived may be something else.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._memo = folder / "hashes"

    def sha256(self, path: Path) -> str:
        """Return the SHA-256 of one file's content.

        Raises:
            BadInput: it cannot be read, changes meanwhile, or is what Git left in the place of a large file.
        """
        return self._known(path, "sha256", _sha256)

    def of_files(self, paths: list[Path]) -> str:
        """Return one hash of several files: of their names and contents.

        A large file counts by the hash of its pieces' hashes, which all cores take at once: SHA-256 itself would read
        12 GB for 10 s.
        """
        return key_of({"files": sorted((path.name, self._fingerprint(path)) for path in paths)})

    def _fingerprint(self, path: Path) -> str:
        return self.sha256(path) if path.stat().st_size <= _PIECE else self._known(path, "pieces", _sha256_of_pieces)

    def _known(self, path: Path, kind: str, compute: Compute) -> str:
        real = path.resolve()
        before = _identity(real)
        memo = self._memo / key_of({**before, "kind": kind})
        with suppress(OSError, ValueError):
            known, _, check = memo.read_text(encoding="ascii").partition(" ")
            if check == _check(memo.name, known):
                return known
        with task(f"hashing {path.name}", real.stat().st_size, BYTES) as hashing:
            digest = compute(real, hashing.advance)
        if _identity(real) != before:
            raise BadInput(f"{path}: changed while it was read; wait until it is written, and run again")
        with suppress(OSError):  # a cache that cannot be written is no reason not to judge
            write_whole(memo, f"{digest} {_check(memo.name, digest)}")
        return digest


def _identity(path: Path) -> dict[str, object]:
    """Return what changes whenever a file's content does, as far as a file system tells."""
    status = path.stat()
    return {
        "path": str(path),
        "size": status.st_size,
        "mtime": status.st_mtime_ns,
        "ctime": status.st_ctime_ns,
        "inode": status.st_ino,
    }


def _check(name: str, digest: str) -> str:
    """Return what tells a memo that was damaged, or moved to another's place."""
    return key_of({"memo": name, "digest": digest})[:16]


def _sha256(path: Path, told: Told) -> str:
    digest = hashlib.sha256()
    with opened(path) as file:
        while part := file.read(_READ):
            digest.update(part)
            told(len(part))
    return digest.hexdigest()


def _sha256_of_pieces(path: Path, told: Told) -> str:
    def of_piece(start: int) -> str:
        digest = hashlib.sha256()
        with opened(path) as file:
            file.seek(start)
            left = _PIECE
            while left and (part := file.read(min(left, _READ))):
                digest.update(part)
                told(len(part))
                left -= len(part)
        return digest.hexdigest()

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return key_of({"pieces of": _PIECE, "sha256": list(pool.map(of_piece, range(0, path.stat().st_size, _PIECE)))})
