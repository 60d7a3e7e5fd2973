"""Checks of weight files without torch: are they complete, and of a supported architecture?"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import BinaryIO, Literal

from refutable.errors import BadInput
from refutable.models.registry import ModelRow

MAX_HEADER = 100 * 1024 * 1024
_GGUF_STRING = 8
_GGUF_MAX_NAME = 4096
_GGUF_FAMILIES = {"gemma3": ("gemma3_text",), "llama": ("llama", "mistral")}  # where the two names differ


def weight_files(folder: Path) -> tuple[list[Path], Literal["safetensors", "bin"]]:
    """Return the files of a directory that transformers would read, and their form.

    Raises:
        BadInput: there are none, or a shard that their index names is missing.
    """
    forms: tuple[tuple[str, Literal["safetensors", "bin"]], ...] = (
        ("model.safetensors", "safetensors"),
        ("pytorch_model.bin", "bin"),
    )
    for name, form in forms:
        if (folder / name).is_file():
            return [folder / name], form
        if (folder / f"{name}.index.json").is_file():
            return _shards(folder / f"{name}.index.json"), form
    raise BadInput(f"{folder}: holds neither model.safetensors nor pytorch_model.bin, nor an index of their shards")


def _shards(index: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        files = [index.parent / name for name in names]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise BadInput(f"{index}: not an index of shards; fetch it again") from None
    missing = [file.name for file in files if not file.is_file()]
    if missing or not files:
        raise BadInput(
            f"{index}: {len(missing)} of its {len(files)} files are missing ({', '.join(missing[:3])});"
            " fetch them again"
        )
    return files


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
            end = max((int(t["data_offsets"][1]) for name, t in header.items() if name != "__metadata__"), default=0)
        except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError, RecursionError):
            raise BadInput(f"{path}: its header is not that of a safetensors file; fetch it again") from None
    if size != 8 + length + end:
        raise BadInput(
            f"{path}: truncated: its header promises {8 + length + end} bytes, it has {size}; fetch it again"
        )


def check_gguf(path: Path, row: ModelRow) -> None:
    """Check that a file is GGUF and of the row's architecture.

    Raises:
        BadInput: it is not.
    """
    architecture = _gguf_architecture(path)
    if row.family not in _GGUF_FAMILIES.get(architecture, (architecture,)):
        raise BadInput(
            f"{path}: a GGUF file of architecture {architecture!r}, but {row.name} is of family {row.family!r};"
            " name the model it is with --model"
        )


def _gguf_architecture(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(24)
        if len(head) < 24 or head[:4] != b"GGUF":
            raise BadInput(
                f"{path}: not a GGUF file (it does not begin with GGUF); give one, or a directory of safetensors"
            )
        key, kind, value = _gguf_string(file), file.read(4), _gguf_string(file)
    if key != b"general.architecture" or kind != struct.pack("<I", _GGUF_STRING) or not value:
        raise BadInput(f"{path}: a GGUF file that does not begin with its architecture; convert it again")
    return value.decode(errors="replace")


def _gguf_string(file: BinaryIO) -> bytes:
    """Read a string of a GGUF file; empty where the file ends or the length is none of a name."""
    start = file.read(8)
    length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
    value = file.read(length) if length <= _GGUF_MAX_NAME else b""
    return value if len(value) == length else b""
