"""Checks of weight files that need no torch: is the file whole, and is it of an architecture that can be read?"""

from __future__ import annotations

import json
import struct
from pathlib import Path

from refutable.errors import BadInput
from refutable.models import ModelRow

MAX_HEADER = 100 * 1024 * 1024
_GGUF_STRING = 8


def check_safetensors(path: Path) -> None:
    """Check that a safetensors file is as long as its header promises.

    Raises:
        BadInput: it is truncated, or no safetensors file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if len(start) < 8:
            raise BadInput(f"{path}: {size} bytes are no safetensors file; fetch it again")
        (length,) = struct.unpack("<Q", start)
        if length > min(MAX_HEADER, size - 8):
            raise BadInput(f"{path}: truncated inside its header, or no safetensors file; fetch it again")
        try:
            header = json.loads(file.read(length))
            end = max((t["data_offsets"][1] for name, t in header.items() if name != "__metadata__"), default=0)
        except (ValueError, TypeError, KeyError, AttributeError, IndexError):
            raise BadInput(f"{path}: its header is not that of a safetensors file; fetch it again") from None
    if size != 8 + length + end:
        raise BadInput(f"{path}: truncated: its header promises {8 + length + end} bytes, it has {size}; fetch it again")


def check_gguf(path: Path, row: ModelRow) -> None:
    """Check that a file is GGUF and of the row's architecture.

    Raises:
        BadInput: it is not.
    """
    architecture = _gguf_architecture(path)
    family = {"gpt2": "gpt2", "llama": "llama", "falcon": "falcon", "bloom": "bloom", "stablelm": "stablelm"}.get(
        architecture, architecture
    )
    if family != row.family:
        raise BadInput(
            f"{path}: a GGUF file of architecture {architecture!r}, but {row.name} is of family {row.family!r};"
            " name the model it is with --model"
        )


def _gguf_architecture(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(24)
        if len(head) < 24 or head[:4] != b"GGUF":
            raise BadInput(f"{path}: not a GGUF file (it does not begin with GGUF); give one, or a directory of safetensors")
        key = file.read(struct.unpack("<Q", file.read(8))[0]) if struct.unpack("<Q", head[16:24])[0] else b""
        kind = file.read(4)
        if key != b"general.architecture" or len(kind) < 4 or struct.unpack("<I", kind)[0] != _GGUF_STRING:
            raise BadInput(f"{path}: a GGUF file that does not begin with its architecture; convert it again")
        return file.read(struct.unpack("<Q", file.read(8))[0]).decode(errors="replace")
