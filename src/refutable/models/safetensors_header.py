"""The header of a safetensors file: which tensors it holds, and where; read without torch."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from refutable._util.reading import MEGABYTE, opened, parse_json
from refutable.errors import BadInput

MAX_HEADER = 100 * MEGABYTE
ITEM_BITS: Mapping[str, int] = {
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F6_E2M3": 6, "F6_E3M2": 6,
    "F4": 4, "I64": 64, "U64": 64, "I32": 32, "U32": 32, "I16": 16, "U16": 16, "I8": 8, "U8": 8, "BOOL": 8, "C64": 64,
}  # fmt: skip
_FIX = "fetch it again"


class StoredTensor(NamedTuple):
    """One tensor of a file: its dtype in the format's word, its shape, and its bytes from `start` to `end`."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class SafetensorsHeader:
    """Where the tensors of one safetensors file lie.

    Attributes:
        path: the file.
        start: offset of the first tensor's first byte.
        size: bytes of all tensors.
        tensors: each by its name, with bytes counted from `start`.
    """

    path: Path
    start: int
    size: int
    tensors: Mapping[str, StoredTensor]


def read_header(path: Path) -> SafetensorsHeader:
    """Read and check the header of a safetensors file.

    Raises:
        BadInput: the file is truncated or too long, or its tensors overlap, leave gaps, or are of another size than
            their shape and dtype say.
    """
    with opened(path) as file:
        size = path.stat().st_size
        start = file.read(8)
        if len(start) < 8:
            raise BadInput(f"{path}: {size} bytes are no safetensors file; {_FIX}")
        (length,) = struct.unpack("<Q", start)
        if length > min(MAX_HEADER, size - 8):
            raise BadInput(f"{path}: truncated inside its header, or no safetensors file; {_FIX}")
        raw = file.read(length)
    try:
        tensors = _tensors(parse_json(raw.decode(), str(path), fix=_FIX))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, BadInput):
        raise BadInput(f"{path}: its header is not that of a safetensors file; {_FIX}") from None
    end = max((tensor.end for tensor in tensors.values()), default=0)
    if size != 8 + length + end:
        raise BadInput(f"{path}: truncated: its header promises {8 + length + end} bytes, it has {size}; {_FIX}")
    at = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1].start):
        if tensor.start != at or (tensor.end - at) * 8 != tensor.elements * ITEM_BITS.get(tensor.dtype, 0):
            raise BadInput(
                f"{path}: tensor {name!r} ({tensor.dtype}, {list(tensor.shape)}) does not fill bytes"
                f" {tensor.start} to {tensor.end}, after {at}; {_FIX}"
            )
        at = tensor.end
    return SafetensorsHeader(path, 8 + length, end, tensors)


def _tensors(header: Mapping[str, Any]) -> dict[str, StoredTensor]:
    found = {}
    for name, one in header.items():
        if name == "__metadata__":
            continue
        shape, (start, end) = tuple(map(_whole, one["shape"])), map(_whole, one["data_offsets"])
        found[name] = StoredTensor(str(one["dtype"]), shape, start, end)
    return found


def _whole(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(value)
    return value
