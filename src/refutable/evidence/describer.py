"""What describes models without a row; made here alone, since that takes torch, which is imported only for one."""

from __future__ import annotations

from refutable._util.extras import require_measure
from refutable.models.describer import Describer
from refutable.models.file_hashes import FileHashes


def describer(hashes: FileHashes, *, offline: bool = False, revision: str | None = None) -> Describer:
    """Return it.

    Args:
        hashes: memo of file hashes.
        offline: whether the hub may never be asked.
        revision: commit or branch of a repository.

    Raises:
        NotMeasured: torch or transformers is not installed.
    """
    require_measure()
    from refutable.measurement.loading.completed import complete, gguf_config

    return Describer(complete, gguf_config, hashes, offline, revision)
