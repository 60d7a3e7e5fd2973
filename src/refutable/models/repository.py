"""What a repository of the hub says of itself: its config.json, at which commit, and its card."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from refutable.errors import BadInput
from refutable.models.config import Config
from refutable.models.file_hashes import FileHashes
from refutable.models.from_folder import read_config
from refutable.models.hub import fetch, has_weights, listing
from refutable.models.hub_answers import Asker
from refutable.models.hub_cache import (
    Card,
    Snapshot,
    cached_snapshot,
    faults,
    remember_card,
    remember_commit,
    remembered_card,
)
from refutable.models.lacking import repository_lack
from refutable.models.row import BY_PATH


class Repository(NamedTuple):
    """A commit of a repository, as far as its config.json and what the hub says of it."""

    config: Config
    commit: str
    card: Card
    folder: Path


def read_repository(
    repo: str, revision: str | None, hashes: FileHashes, *, offline: bool = False, anew: bool = False
) -> Repository:
    """Return what a repository says of itself; the hub is asked only for what its cache does not hold whole.

    Args:
        repo: ``owner/name``.
        revision: commit or branch; None for the default one.
        hashes: memo of file hashes.
        offline: whether the hub may never be asked.
        anew: whether to ask the hub in any case, since the row is to be kept.

    Raises:
        BadInput: it is no model of transformers, or the hub may not be asked.
        WeightsUnavailable: the hub does not give its config.json.
    """
    records, at = hashes.folder, "" if revision is None else f" at revision {revision!r}"
    found, card = cached_snapshot(repo, revision, records), None
    if anew or found is None or not _is_whole(found, hashes):
        if offline:
            raise BadInput(
                f"{repo}: its config.json{at} is not in the hub's cache, or is damaged there, and --offline was"
                " given; run once without it, or give a folder"
            )
        again = f"refutable models add {repo}" if anew else f"pytest --model {repo}"
        ask = Asker(repo, repo, again, BY_PATH, revision)
        told = listing(repo, revision, ask)
        lack = repository_lack(told.etags, weights=has_weights(told.etags))
        if lack is not None and "config.json" not in told.etags:
            raise BadInput(f"{repo}: the repository{at} {lack.what}; {lack.fix or BY_PATH}")
        found, card = fetch(told, ["config.json"], ask, hashes), told.card
        remember_commit(repo, revision, told.commit)
        remember_card(repo, told.commit, card, records)
    try:
        config = read_config(found.folder / "config.json")
    except BadInput as error:
        raise BadInput(f"{repo}: {error}") from None
    card = remembered_card(repo, found.commit, records) if card is None else card
    return Repository(config, found.commit, card, found.folder)


def _is_whole(found: Snapshot, hashes: FileHashes) -> bool:
    """Whether a snapshot has its config.json, with the content that its ETag stands for."""
    return not any(faults(found, {"config.json": (found.etags or {}).get("config.json")}, hashes))
