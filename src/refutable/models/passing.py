"""Weights that only pass through the hub's cache: which of them a sweep brought, and what is known of those it dropped.

A trace's key holds the hash of its weights. So what was dropped leaves its hashes behind, by which stored traces are
found again. Configuration and tokenizer stay: they are small, and a commit whose folder is there is at hand.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from refutable._util.atomic import write_whole
from refutable._util.reading import is_file, read_json
from refutable.errors import BadInput
from refutable.models.file_hashes import FileHashes
from refutable.models.hub_cache import cached_snapshot, faults, record_path, repository_folder, snapshot_folder
from refutable.models.quantised import holds_quantised
from refutable.models.safetensors_header import read_header
from refutable.models.weight_files import weight_files

WEIGHTS = (".safetensors", ".bin")
Admit = Callable[[Mapping[str, int]], None]
"""Hears how many bytes of which blobs are about to be fetched; raises WeightsUnavailable where there is no room."""


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms files are fetched.

    Attributes:
        passing: whether weights are to be dropped after use, and so are noted down as brought.
        admit: is asked before anything is fetched; None where nobody is.
        barred: why nothing may be fetched; empty where it may.
    """

    passing: bool = False
    admit: Admit | None = None
    barred: str = ""


USUAL = Terms()


@dataclass(frozen=True, slots=True)
class Dropped:
    """What is known of the weight files of a commit that were dropped.

    Attributes:
        form: how they were stored.
        digest: their hash together, as `FileHashes.of_files` takes it.
        plain: whether their headers showed plain numbers.
        sha256: of each, by name.
        bytes: of all.
    """

    form: Literal["safetensors", "bin"]
    digest: str
    plain: bool
    sha256: Mapping[str, str]
    bytes: int


def note_brought(repo: str, commit: str, names: Iterable[str], records: Path) -> None:
    """Write down weight files of a commit that are about to be fetched, beside those of earlier notes."""
    weights = {name for name in names if name.endswith(WEIGHTS)}
    if weights:
        told = sorted(weights | set(_brought(repo, commit, records)))
        with suppress(OSError):
            write_whole(record_path(repo, commit, records, "brought"), json.dumps(told))


def dropped_files(repo: str, commit: str, records: Path) -> Dropped | None:
    """Return what is known of the weights of a commit that were dropped, or None."""
    try:
        found = Dropped(**read_json(record_path(repo, commit, records, "dropped")))
    except (BadInput, TypeError):
        return None
    told = isinstance(found.digest, str) and isinstance(found.sha256, dict) and isinstance(found.bytes, int)
    return found if told and found.form in ("safetensors", "bin") and found.sha256 else None


def drop(repo: str, revision: str | None, hashes: FileHashes, kept: Collection[str] = ()) -> int:
    """Remove the weight files of a revision that were noted as brought, and return how many bytes were freed.

    What was there before stays, and so does a blob that another snapshot of the cache uses, or that is in `kept`. What
    is known of the files is written down first.

    Args:
        repo: ``owner/name``.
        revision: commit or branch; None for the default one.
        hashes: memo of file hashes; its folder holds the notes.
        kept: names of blobs that are being fetched for another revision.
    """
    records = hashes.folder
    found = cached_snapshot(repo, revision, records)
    names = _brought(repo, found.commit, records) if found is not None else ()
    if found is None or not names:
        return 0
    there = [found.folder / name for name in names if is_file(found.folder / name)]
    if there and found.etags is not None and not any(faults(found, found.etags, hashes)):
        told = json.dumps(asdict(_known(found.folder, hashes)), indent=1)
        write_whole(record_path(repo, found.commit, records, "dropped"), told)
    blobs = {(real := path.resolve()): real.stat().st_size for path in there}
    for path in there:
        path.unlink(missing_ok=True)
    used = {path.resolve() for path in (repository_folder(repo) / "snapshots").glob("*/*")}
    for blob in blobs.keys() - used:
        if blob.name not in kept:
            with suppress(OSError):
                blob.unlink()
    record_path(repo, found.commit, records, "brought").unlink(missing_ok=True)
    return sum(size for blob, size in blobs.items() if not blob.exists())


def blob_sizes(repo: str, commit: str, etags: Mapping[str, str], sizes: Mapping[str, int]) -> dict[str, int]:
    """Return the bytes of each blob of some files that the cache does not hold yet, by its name."""
    folder, there = snapshot_folder(repo, commit), repository_folder(repo) / "blobs"
    absent = (name for name in etags if not is_file(folder / name) and not is_file(there / etags[name]))
    return {etags[name]: sizes[name] for name in absent}


def _known(folder: Path, hashes: FileHashes) -> Dropped:
    files, form = weight_files(folder)
    headers = [read_header(file) for file in files if form == "safetensors"]
    return Dropped(
        form,
        hashes.of_files(files),
        bool(headers) and not holds_quantised(headers),
        {file.name: hashes.sha256(file) for file in files},
        sum(file.stat().st_size for file in files),
    )


def _brought(repo: str, commit: str, records: Path) -> tuple[str, ...]:
    try:
        found = read_json(record_path(repo, commit, records, "brought"))
    except BadInput:
        return ()
    names = [name for name in found if isinstance(name, str)] if isinstance(found, list) else []
    return tuple(name for name in names if name.endswith(WEIGHTS) and Path(name).name == name)
