"""The one place that talks to the Hugging Face hub, and only for a model that the user named."""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TypeVar

from refutable.errors import HubUnreachable, WeightsUnavailable
from refutable.models.file_hashes import FileHashes
from refutable.models.hub_cache import Snapshot, is_whole, remember, snapshot_folder, throw_away
from refutable.models.registry import ModelRow
from refutable.models.weight_files import TOKENIZER_FILES

TRIES = 3
PAUSE = 0.5  # seconds before the second try; twice as long before each later one
Answer = TypeVar("Answer")


def fetch(row: ModelRow, revision: str | None, hashes: FileHashes, records: Path) -> Snapshot:
    """Bring what is wanted of a repository into the hub's own cache, and check it against what the hub says it is.

    Args:
        row: the model; its `hub` is the repository.
        revision: commit or branch; None for the default one.
        hashes: memo of file hashes.
        records: folder where what was fetched is written down, so that the next run need not ask.

    Raises:
        WeightsUnavailable: the repository is gated, absent, out of reach or lacks weights, or a file of it cannot be
            had whole; the message names the model and what the hub answered.
    """
    from huggingface_hub import HfApi, constants, hf_hub_download

    assert row.hub is not None
    repo, api = row.hub, HfApi(endpoint=constants.ENDPOINT)
    load = partial(hf_hub_download, repo, endpoint=constants.ENDPOINT)
    commit = str(_asked(row, repo, lambda: api.model_info(repo, revision=revision).sha))
    tree = _asked(
        row, repo, lambda: [one for one in api.list_repo_tree(repo, revision=commit) if hasattr(one, "blob_id")]
    )
    etags = {one.path: one.lfs.sha256 if one.lfs else one.blob_id for one in tree}
    names = wanted(etags)
    if "config.json" not in names or not any(name.endswith((".safetensors", ".bin")) for name in names):
        raise WeightsUnavailable(
            f"{repo} at {commit[:12]} has no config.json, or neither model.safetensors nor pytorch_model.bin",
            f"pytest --model {row.name} --weights PATH",
        )
    folder = snapshot_folder(repo, commit)
    for name in names:
        for again in (False, True):
            _asked(row, name, partial(load, name, revision=commit, force_download=again))
            if is_whole(folder / name, etags[name], hashes):
                break
            throw_away(folder / name)
        else:
            raise WeightsUnavailable(
                f"{row.name}: {name} of {repo} arrived twice with another content than the hub says it has",
                f"pytest --model {row.name}",
            )
    found = Snapshot(folder, commit, {name: etags[name] for name in names})
    remember(repo, revision, found, records)
    return found


def wanted(names: Iterable[str]) -> list[str]:
    """Return which files of a repository a run reads: configuration, tokenizer, and weights in one form."""
    names = sorted(name for name in names if "/" not in name)
    weights = _of_form(names, "model", ".safetensors") or _of_form(names, "pytorch_model", ".bin")
    tokens = [name for name in names if any(fnmatchcase(name, pattern) for pattern in TOKENIZER_FILES)]
    return [*(name for name in names if name == "config.json"), *tokens, *weights]


def _of_form(names: list[str], stem: str, suffix: str) -> list[str]:
    whole, index = f"{stem}{suffix}", f"{stem}{suffix}.index.json"
    if whole in names:
        return [whole]
    shards = [name for name in names if re.fullmatch(rf"{stem}-\d+-of-\d+\{suffix}", name)]
    return [index, *shards] if index in names and shards else []


def _asked(row: ModelRow, what: str, ask: Callable[[], Answer]) -> Answer:
    """Return an answer of the hub; what may pass is asked for again.

    Raises:
        WeightsUnavailable: there is none; `HubUnreachable` where nobody answers at all.
    """
    for turn in range(1, TRIES + 1):
        try:
            return ask()
        except Exception as error:
            if not (isinstance(error, OSError | ValueError | EOFError) or _is_transport(error)):
                raise  # a fault of this program, not of the hub
            reason, may_pass = _reason(row, what, error)
            if not may_pass or turn == TRIES:
                raise reason from None
        time.sleep(PAUSE * 2 ** (turn - 1))
    raise AssertionError("unreachable")


def _reason(row: ModelRow, what: str, error: Exception) -> tuple[WeightsUnavailable, bool]:
    """Return what an error of the client means for the user, and whether it may pass by itself."""
    from huggingface_hub import errors

    again = f"pytest --model {row.name}"
    cause = _cause(error)
    status = getattr(getattr(cause, "response", None), "status_code", None)
    told = f"{row.name}: the hub answered {status} for {what}"
    if isinstance(cause, errors.OfflineModeIsEnabled):
        return WeightsUnavailable(f"{row.name} is not in the cache and HF_HUB_OFFLINE is set", again), False
    if isinstance(cause, errors.GatedRepoError):
        listed = "your token is not on its list" if status == 403 else "no token was given"
        fix = f"accept its licence on its hub page, `hf auth login`, then {again}"
        return WeightsUnavailable(f"{row.hub} is gated, and {listed} ({status})", fix), False
    if isinstance(cause, errors.RevisionNotFoundError):
        return WeightsUnavailable(f"the hub has no {row.hub} at the revision asked for ({status})", again), False
    if isinstance(cause, errors.RepositoryNotFoundError):
        reason = f"the hub has no {row.hub}, or shows it to nobody without a token that may read it ({status})"
        return WeightsUnavailable(reason, f"{again} --weights PATH"), False
    if status == 401:
        return WeightsUnavailable(f"{told}: the token is not valid", f"`hf auth login`, then {again}"), False
    if status == 403:
        return WeightsUnavailable(f"{told}: the token may not read it", f"`hf auth login`, then {again}"), False
    if status is not None:
        return WeightsUnavailable(told, f"{again} later, or --weights PATH"), status >= 500 or status == 429
    if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
        reason = f"{row.name}: {what} cannot be written into the hub's cache ({cause.strerror})"
        return WeightsUnavailable(reason, f"make room, or set HF_HOME to another folder, then {again}"), False
    name = type(cause).__name__
    if isinstance(cause, UnicodeEncodeError):
        return WeightsUnavailable("the token holds characters that no token has", "`hf auth login`"), False
    if isinstance(cause, ValueError) and not _is_transport(cause):
        return WeightsUnavailable(f"{row.name}: what the hub answered for {what} cannot be read", again), True
    if name in ("ConnectError", "ConnectTimeout", "ConnectionRefusedError", "ProxyError"):
        reason = f"the hub cannot be reached for {row.hub} ({name})"
        return HubUnreachable(reason, f"{again} where it can, or --weights PATH"), False
    return WeightsUnavailable(f"{row.name}: the hub broke off while it sent {what} ({name})", f"{again} again"), True


def _cause(error: BaseException) -> BaseException:
    """Return what the client's own error was raised for, where it says nothing itself."""
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    while isinstance(error, LocalEntryNotFoundError) and not isinstance(error, HfHubHTTPError):
        inner = error.__cause__ or error.__context__
        if inner is None:
            break
        error = inner
    return error


def _is_transport(error: BaseException) -> bool:
    """Whether an HTTP client raised it: huggingface_hub 1 uses httpx, 2 uses httpx2."""
    return type(error).__module__.partition(".")[0] in ("httpx", "httpx2", "httpcore", "httpcore2")
