"""The one place that talks to the Hugging Face hub, and only for a model that the user named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from refutable.errors import HubUnreachable, WeightsUnavailable
from refutable.models.registry import ModelRow


def download(row: ModelRow, revision: str | None, patterns: Sequence[str]) -> Path:
    """Download a model's files into the hub's own cache: safetensors if there are any, else .bin.

    Raises:
        WeightsUnavailable: the repository is gated, absent or out of reach.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    assert row.hub is not None
    again = f"pytest --model {row.name}"
    try:
        files = HfApi().list_repo_files(row.hub, revision=revision)
        safe = any(name.startswith("model") and name.endswith(".safetensors") for name in files)
        wanted = list(patterns) if safe else [*patterns, "pytorch_model*.bin"]
        return Path(snapshot_download(row.hub, revision=revision, allow_patterns=wanted))
    except GatedRepoError:
        raise WeightsUnavailable(
            f"{row.hub} is gated", f"accept its licence on its hub page, `hf auth login`, then {again}"
        ) from None
    except (RepositoryNotFoundError, RevisionNotFoundError):
        reason = f"the hub has no {row.hub} at revision {revision or 'main'}"
        raise WeightsUnavailable(reason, f"{again} --weights PATH") from None
    except OfflineModeIsEnabled:
        raise WeightsUnavailable(f"{row.name} is not in the cache and HF_HUB_OFFLINE is set", again) from None
    except Exception as error:
        if not (isinstance(error, HfHubHTTPError | LocalEntryNotFoundError | ConnectionError) or _is_transport(error)):
            raise
        reason = f"the hub cannot be reached for {row.hub} ({type(error).__name__})"
        raise HubUnreachable(reason, f"{again} where it can, or --weights PATH") from None


def _is_transport(error: Exception) -> bool:
    """Whether an HTTP client raised it: huggingface_hub 1 uses httpx, 2 uses httpx2."""
    return type(error).__module__.partition(".")[0] in ("httpx", "httpx2", "httpcore", "httpcore2")
