"""The one place that talks to the Hugging Face hub, and only for a model that the user named."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from refutable._util.host import free_disk
from refutable._util.progress import BYTES, say, task
from refutable._util.text import counted
from refutable.errors import WeightsUnavailable
from refutable.models.file_hashes import FileHashes
from refutable.models.hub_answers import Asker
from refutable.models.hub_cache import Card, Snapshot, is_whole, remember, remember_card, snapshot_folder, throw_away
from refutable.models.lacking import repository_lack
from refutable.models.passing import USUAL, Terms, blob_sizes, note_brought
from refutable.models.weight_files import CHAT_TEMPLATE, TOKENIZER_FILES

EVERY = 0.2  # seconds after which the client tells again how much of a file has arrived


@dataclass(frozen=True, slots=True)
class Listing:
    """What the hub says of a repository.

    Attributes:
        repo: ``owner/name``.
        commit: that of the revision which was asked for.
        main: the commit that its main branch is at; None where the hub did not say.
        etags: of each file, by name.
        sizes: of each file, in bytes.
        card: its licence, in the hub's word, and whether that must be accepted first.
    """

    repo: str
    commit: str
    main: str | None
    etags: Mapping[str, str]
    sizes: Mapping[str, int]
    card: Card


def listing(repo: str, revision: str | None, ask: Asker) -> Listing:
    """Ask the hub what a repository holds.

    Args:
        repo: ``owner/name``.
        revision: commit or branch; None for the default one.
        ask: asks the hub.

    Raises:
        WeightsUnavailable: the repository is gated, absent or out of reach.
    """
    from huggingface_hub import HfApi, constants

    api = HfApi(endpoint=constants.ENDPOINT)
    about = ask(repo, lambda: api.model_info(repo, revision=revision))
    commit = str(about.sha)
    main = commit if revision is None else str(ask(repo, lambda: api.model_info(repo)).sha)
    tree = ask(repo, lambda: [one for one in api.list_repo_tree(repo, revision=commit) if hasattr(one, "blob_id")])
    licences = [tag.removeprefix("license:") for tag in about.tags or () if tag.startswith("license:")]
    return Listing(
        repo,
        commit,
        main,
        {one.path: one.lfs.sha256 if one.lfs else one.blob_id for one in tree},
        {one.path: one.size for one in tree},
        Card(licences[0] if licences else None, bool(about.gated)),
    )


def list_refs(repo: str, ask: Asker) -> dict[str, str]:
    """Return the commit of every branch and tag of a repository, by name.

    Raises:
        WeightsUnavailable: the repository is gated, absent or out of reach.
    """
    from huggingface_hub import HfApi, constants

    api = HfApi(endpoint=constants.ENDPOINT)
    refs = ask(repo, lambda: api.list_repo_refs(repo))
    return {one.name: str(one.target_commit) for one in (*refs.tags, *refs.branches)}


def fetch(found: Listing, names: Iterable[str], ask: Asker, hashes: FileHashes, terms: Terms = USUAL) -> Snapshot:
    """Bring files of a repository into the hub's own cache, and check them against what the hub says they are.

    Args:
        found: the repository.
        names: files of it.
        ask: asks the hub.
        hashes: memo of file hashes.
        terms: on which they are fetched.

    Raises:
        WeightsUnavailable: there is no room, or a file cannot be had whole; the message names the model and what the
            hub answered.
    """
    from huggingface_hub import constants, hf_hub_download

    names, folder = list(names), snapshot_folder(found.repo, found.commit)
    load = partial(hf_hub_download, found.repo, revision=found.commit, endpoint=constants.ENDPOINT)
    missing = [name for name in names if not is_whole(folder / name, found.etags[name], hashes)]
    if missing and terms.admit is not None:
        terms.admit(blob_sizes(found.repo, found.commit, {name: found.etags[name] for name in missing}, found.sizes))
    size, room = sum(found.sizes[name] for name in missing), free_disk(folder)
    if size > room:
        raise WeightsUnavailable(
            f"{ask.who}: {size / 1e9:.1f} GB are to be fetched, and the hub's cache has room for {room / 1e9:.1f} GB",
            f"make room, or set HF_HOME to another folder, then {ask.again}",
        )
    if terms.passing:
        note_brought(found.repo, found.commit, missing, hashes.folder)
    if missing:
        files, at = counted(len(missing), "file"), f"{found.repo} at {found.commit[:12]}"
        say(f"{ask.who}: fetching {files} of {at} ({size / 1e6:.1f} MB)")
    for name in names:
        for again in (False, True):
            with _fetching(ask.who, name, found.sizes[name]) as bar:
                ask(name, partial(load, name, force_download=again, tqdm_class=bar))
            if is_whole(folder / name, found.etags[name], hashes):
                break
            throw_away(folder / name)
        else:
            raise WeightsUnavailable(
                f"{ask.who}: {name} of {found.repo} arrived twice with another content than the hub says it has",
                ask.again,
            )
    return Snapshot(folder, found.commit, {name: found.etags[name] for name in names}, found.main)


def fetch_model(
    repo: str, revision: str | None, ask: Asker, hashes: FileHashes, records: Path, terms: Terms = USUAL
) -> Snapshot:
    """Fetch what a run reads of a repository, and write down what that is, so that the next run need not ask.

    Raises:
        WeightsUnavailable: as `listing` and `fetch`, and where the repository lacks weights.
    """
    found = listing(repo, revision, ask)
    names = wanted(found.etags)
    if (lack := repository_lack(found.etags, weights=has_weights(names))) is not None:
        raise WeightsUnavailable(f"{repo} at {found.commit[:12]} {lack.what}", lack.fix or ask.by_path)
    snapshot = fetch(found, names, ask, hashes, terms)
    remember(repo, revision, snapshot, records)
    remember_card(repo, snapshot.commit, found.card, records)
    return snapshot


def wanted(names: Iterable[str]) -> list[str]:
    """Return which files of a repository a run reads: configuration, tokenizer, and weights in one form."""
    names = sorted(name for name in names if "/" not in name)
    weights = _of_form(names, "model", ".safetensors") or _of_form(names, "pytorch_model", ".bin")
    tokens = [name for name in names if any(fnmatchcase(name, pattern) for pattern in TOKENIZER_FILES)]
    return [*(name for name in names if name in ("config.json", CHAT_TEMPLATE)), *tokens, *weights]


def has_weights(names: Iterable[str]) -> bool:
    """Whether weights that a run reads are among the files of a repository."""
    return any(name.endswith((".safetensors", ".bin")) for name in wanted(names))


def _of_form(names: list[str], stem: str, suffix: str) -> list[str]:
    whole, index = f"{stem}{suffix}", f"{stem}{suffix}.index.json"
    if whole in names:
        return [whole]
    shards = [name for name in names if re.fullmatch(rf"{stem}-\d+-of-\d+\{suffix}", name)]
    return [index, *shards] if index in names and shards else []


@contextmanager
def _fetching(who: str, name: str, size: int) -> Iterator[type]:
    """Tell how much of a file has arrived, by the progress bar that the hub's client is given."""
    from tqdm.std import tqdm

    with task(f"{who}: fetching {name}", size, BYTES) as arriving:

        class Told(tqdm):  # type: ignore[misc]
            def __init__(self, *args: object, **kwargs: object) -> None:
                super().__init__(*args, **{**kwargs, "mininterval": EVERY, "leave": False, "disable": False})

            def display(self, *args: object, **kwargs: object) -> bool:
                arriving.done = float(self.n)
                return True

        yield Told
