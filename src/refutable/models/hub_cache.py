"""What the hub's own cache holds of a repository, and whether it is what the hub said it is.

The cache names each blob by its ETag: the SHA-256 of a large file, the id of a small one's git blob. What arrived is
hashed and held against that name.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from refutable._util.atomic import write_whole
from refutable._util.reading import read_json
from refutable.errors import BadInput
from refutable.models.file_hashes import FileHashes

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One commit of a repository in the hub's cache.

    Attributes:
        folder: with its files.
        commit: which.
        etags: of the files that a run reads, by name; None where nobody wrote down which they are.
        main: the commit that the main branch was at when they were fetched; None where that is not known.
    """

    folder: Path
    commit: str
    etags: Mapping[str, str] | None = None
    main: str | None = None


class Card(NamedTuple):
    """What the hub says of a repository: its licence, None where it names none, and whether it must be accepted."""

    licence: str | None = None
    gated: bool = False


def snapshot_folder(repo: str, commit: str) -> Path:
    """Return where the cache keeps one commit of a repository."""
    return repository_folder(repo) / "snapshots" / commit


def cached_snapshot(repo: str, revision: str | None, records: Path) -> Snapshot | None:
    """Return what the cache has of a revision, or None."""
    commit = revision if revision and _COMMIT.fullmatch(revision) else _referred(repo, revision or "main")
    if commit is None or not snapshot_folder(repo, commit).is_dir():
        return None
    etags, main = _remembered(repo, commit, records)
    return Snapshot(snapshot_folder(repo, commit), commit, etags, main)


def refs_at_hand(repo: str) -> dict[str, str]:
    """Return the commit of every branch and tag of which the cache has a snapshot, by name."""
    folder = repository_folder(repo) / "refs"
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    found = {name: commit for name in names if (commit := _referred(repo, name)) is not None}
    return {name: commit for name, commit in found.items() if snapshot_folder(repo, commit).is_dir()}


def faults(snapshot: Snapshot, names: Mapping[str, str | None], hashes: FileHashes) -> tuple[list[str], list[str]]:
    """Return which of some files are missing, and which are not what their ETag says.

    Args:
        snapshot: where they lie.
        names: files, each with its ETag, or None for the one that the cache names its blob by.
        hashes: memo of file hashes.
    """
    missing = [name for name in names if not (snapshot.folder / name).is_file()]
    damaged = [
        name
        for name, etag in names.items()
        if name not in missing and not is_whole(snapshot.folder / name, etag or _blob(snapshot.folder / name), hashes)
    ]
    return missing, damaged


def is_whole(path: Path, etag: str | None, hashes: FileHashes) -> bool:
    """Whether a file has the content that an ETag stands for; True where there is none to hold it against."""
    if not path.is_file():
        return False
    match len(etag or ""):
        case 64:
            return hashes.sha256(path) == etag
        case 40:
            data = path.read_bytes()
            return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest() == etag
    return True


def throw_away(path: Path) -> None:
    """Remove a file of the cache, and the blob that it points to."""
    with suppress(OSError):
        path.resolve().unlink()
    with suppress(OSError):
        path.unlink()


def remember_commit(repo: str, revision: str | None, commit: str) -> None:
    """Write down which commit a revision is, as the client does."""
    with suppress(OSError):
        if revision is None or not _COMMIT.fullmatch(revision):
            write_whole(repository_folder(repo) / "refs" / (revision or "main"), commit)


def remember(repo: str, revision: str | None, snapshot: Snapshot, records: Path) -> None:
    """Write down which commit a revision is, and which files of it a run reads."""
    remember_commit(repo, revision, snapshot.commit)
    with suppress(OSError):
        record = {"files": dict(snapshot.etags or {}), "main": snapshot.main}
        write_whole(record_path(repo, snapshot.commit, records), json.dumps(record, indent=1))


def remember_card(repo: str, commit: str, card: Card, records: Path) -> None:
    """Write down what the hub says of a repository beside its files, which the cache does not keep."""
    with suppress(OSError):
        write_whole(record_path(repo, commit, records, "card"), json.dumps(card._asdict(), indent=1))


def remembered_card(repo: str, commit: str, records: Path) -> Card:
    """Return what the hub said of a commit, as far as it was written down."""
    try:
        found = read_json(record_path(repo, commit, records, "card"))
        licence, gated = found["licence"], found["gated"]
    except (BadInput, TypeError, KeyError):
        return Card()
    return Card(licence if isinstance(licence, str) else None, gated is True)


def _remembered(repo: str, commit: str, records: Path) -> tuple[dict[str, str] | None, str | None]:
    try:
        found = read_json(record_path(repo, commit, records))
        files, main = dict(found["files"]), found["main"]
    except (BadInput, TypeError, ValueError, KeyError):
        return None, None
    named = all(isinstance(value, str) and "/" not in str(name) for name, value in files.items())
    return (files if named and files else None), (main if isinstance(main, str) else None)


def record_path(repo: str, commit: str, records: Path, what: str = "") -> Path:
    """Return where something about a commit is written down: by default, which files of it a run reads."""
    return records / "hub" / repo.replace("/", "--") / f"{commit}{what and f'-{what}'}.json"


def repository_folder(repo: str) -> Path:
    """Return where the cache keeps a repository."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}"


def _referred(repo: str, revision: str) -> str | None:
    with suppress(OSError, ValueError):
        commit = (repository_folder(repo) / "refs" / revision).read_text(encoding="ascii").strip()
        return commit if _COMMIT.fullmatch(commit) else None
    return None


def _blob(path: Path) -> str | None:
    real = path.resolve()
    return real.name if real.parent.name == "blobs" else None
