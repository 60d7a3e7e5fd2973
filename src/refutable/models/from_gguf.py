"""Identifies weights that lie in a GGUF file."""

from __future__ import annotations

import math
import re
from pathlib import Path

from refutable.errors import BadInput
from refutable.models.file_hashes import FileHashes
from refutable.models.gguf_header import GgufHeader, read_gguf
from refutable.models.row import ModelRow
from refutable.models.same_model import STATED_BY_GGUF, check_same
from refutable.models.subject import WeightsKind, WeightsSource

_FAMILIES = {"gemma3": ("gemma3_text",), "llama": ("llama", "mistral")}  # where the two names differ
_CHANGING = ("attention.scale", "attention.clamp_kqv", "rope.scaling.attn_factor")
_READ = re.compile(r"(token_embd|position_embd|token_embd_norm|output|output_norm|blk\.\d+\.\w+)\.(weight|bias)")


def gguf_source(row: ModelRow, path: Path, hashes: FileHashes, *, package: str = "", sha256: str = "") -> WeightsSource:
    """Return the weights of a GGUF file.

    Args:
        row: the model that was named.
        path: the file.
        hashes: memo of file hashes.
        package: which package carries it, in words.
        sha256: the hash it is known to have.

    Raises:
        BadInput: it is no GGUF file, of another model than `row`, or holds what would be left out.
    """
    header = read_gguf(path)
    check_gguf(header, row)
    digest = hashes.sha256(path)
    verified = digest in {sha256, row.wheel.sha256 if row.wheel else "", *row.sha256.values()}
    known = "" if verified else f", hash {digest[:12]} not registered: unverified"
    return WeightsSource(
        kind=WeightsKind.DEQUANTISED,
        detail=f"from {header.format} GGUF{package}{known}",
        digest=digest,
        form="gguf",
        location=path,
        config=dict(row.config),
        config_from=row.config_from,
        tokenizer=path,
        tokenizer_digest=f"gguf:{digest}",
        revision=None,
    )


def family_named(architecture: str) -> str:
    """Return the family that llama.cpp's word for an architecture means first."""
    return _families(architecture)[0]


def _families(architecture: str) -> tuple[str, ...]:
    return _FAMILIES.get(architecture, (architecture.replace("-", "_"),))


def check_gguf(header: GgufHeader, row: ModelRow) -> None:
    """Check that a file is of the row's model, and that nothing of it would be left out.

    Raises:
        BadInput: it is not, or something would.
    """
    path = header.path
    if row.family not in _families(header.architecture):
        raise BadInput(
            f"{path}: a GGUF file of architecture {header.architecture!r}, but {row.name} is of family {row.family!r};"
            " name the model it is with --model"
        )
    check_same(row, header.config, str(path), STATED_BY_GGUF)
    unread = sorted(name for name in header.tensors if not _READ.fullmatch(name))
    if unread:
        raise BadInput(
            f"{path}: {len(unread)} of its tensors would be left out ({', '.join(unread[:3])}); give the model's"
            " safetensors instead"
        )
    unknown = [key for key in _CHANGING if header.get(key) not in (None, 0.0, 1.0)]
    if unknown:
        raise BadInput(f"{path}: {unknown[0]} would be left out; give the model's safetensors instead")
    factor = header.get("rope.scaling.factor") or header.get("rope.scale_linear") or 1.0
    kind = header.get("rope.scaling.type") or "linear"  # what llama.cpp takes a factor without a type for
    if kind != "none" and not math.isclose(factor, 1.0):
        raise BadInput(
            f"{path}: its rotary positions are scaled ({kind}, by {factor:g}), which would be left out; give the"
            " model's safetensors instead"
        )
