"""The header of a GGUF file: what the model is, and which tensors it holds in which format; read without torch."""

from __future__ import annotations

import mmap
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from refutable._util.reading import opened
from refutable.errors import BadInput

_MAGIC = b"GGUF"
_MAX_ITEMS = 10_000_000  # of an array, and of tensors and keys
_MAX_DIMENSIONS = 8
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_KEPT = 4096  # items of a numeric array that are kept; of others only the length is
FORMATS: Mapping[int, str] = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K",
    12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S",
    20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64",
    29: "IQ1_M", 30: "BF16", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4",
}  # fmt: skip


class GgufTensor(NamedTuple):
    """One tensor: its shape, innermost dimension first, the format that it is stored in, and where it begins."""

    shape: tuple[int, ...]
    format: str
    offset: int

    @property
    def elements(self) -> int:
        """Number of elements."""
        count = 1
        for size in self.shape:
            count *= size
        return count


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What a GGUF file says of itself.

    Attributes:
        path: the file.
        architecture: in llama.cpp's word.
        values: every scalar and short list of numbers by its key; of a long list or one of texts, its length.
        tensors: each by its name.
        end: offset of the first byte behind the header.
    """

    path: Path
    architecture: str
    values: Mapping[str, Any]
    tensors: Mapping[str, GgufTensor]
    end: int

    def get(self, key: str) -> Any:
        """Return the value of ``<architecture>.<key>``, or None; of a list whose items are equal, the item."""
        value = self.values.get(f"{self.architecture}.{key}")
        if isinstance(value, tuple):
            return value[0] if len(set(value)) == 1 else None
        return value

    @property
    def config(self) -> dict[str, Any]:
        """What it states of the configuration, in the spelling of Llama's config.json."""
        head = self.get("attention.key_length")
        if head is None and self.get("embedding_length") and self.get("attention.head_count"):
            head = self.get("embedding_length") // self.get("attention.head_count")
        turned = self.get("rope.dimension_count")
        stated = {
            "num_hidden_layers": self.get("block_count"),
            "num_attention_heads": self.get("attention.head_count"),
            "num_key_value_heads": self.get("attention.head_count_kv"),
            "hidden_size": self.get("embedding_length"),
            "intermediate_size": self.get("feed_forward_length"),
            "head_dim": self.get("attention.key_length"),
            "vocab_size": self.get("vocab_size") or self.values.get("tokenizer.ggml.tokens"),
            "partial_rotary_factor": turned / head if turned and head else None,
            "rope_theta": self.get("rope.freq_base"),
            "rms_norm_eps": self.get("attention.layer_norm_rms_epsilon"),
            "layer_norm_eps": self.get("attention.layer_norm_epsilon"),
        }
        return {key: value for key, value in stated.items() if value is not None}

    @property
    def format(self) -> str:
        """The format that most weights are stored in, by number of elements."""
        count: Counter[str] = Counter()
        for tensor in self.tensors.values():
            count[tensor.format] += tensor.elements
        return count.most_common(1)[0][0] if count else "empty"


def read_gguf(path: Path) -> GgufHeader:
    """Read the header of a GGUF file.

    Raises:
        BadInput: it is none, one part of several, of a version before 2, damaged, or does not name its architecture.
    """
    with opened(path) as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise BadInput(
                f"{path}: not a GGUF file (it does not begin with GGUF); give one, or, of safetensors, their folder"
            )
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                return _header(path, _Cursor(data))
            except (struct.error, ValueError, KeyError, OverflowError, MemoryError, RecursionError) as error:
                raise BadInput(f"{path}: its GGUF header is damaged ({_told(error)}); fetch it again") from None


def check_places(header: GgufHeader) -> None:
    """Check that the tensors of a file lie one behind the other, and that the file ends with the last.

    Raises:
        BadInput: they overlap, leave gaps, or the file is shorter or longer than they are.
    """
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    step = int(header.values.get("general.alignment", 32)) or 1
    at, begin = 0, -(-header.end // step) * step
    for name, tensor in sorted(header.tensors.items(), key=lambda item: item[1].offset):
        block, size = GGML_QUANT_SIZES[GGMLQuantizationType[tensor.format]]
        if tensor.offset != -(-at // step) * step:
            raise BadInput(
                f"{header.path}: tensor {name!r} begins at byte {tensor.offset} and not after {at}; fetch it again"
            )
        at = tensor.offset + tensor.elements // block * size
    size = header.path.stat().st_size
    if not begin + at <= size < begin + at + step + 1:
        raise BadInput(f"{header.path}: its tensors end at byte {begin + at}, and the file has {size}; fetch it again")


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, ValueError) else "it ends early or holds a value of no known kind"


def _header(path: Path, at: _Cursor) -> GgufHeader:
    at.take(4)
    version = at.scalar("I")
    if version not in (2, 3):
        raise ValueError(f"version {version}, and 2 and 3 are read")
    tensors, keys = at.count(), at.count()
    values = {}
    for _ in range(keys):
        key = at.text()
        if key in values:
            raise ValueError(f"the key {key[:60]!r} stands twice")
        values[key] = at.value(at.scalar("I"))
    _check_undivided(path, values)
    found: dict[str, GgufTensor] = {}
    for _ in range(tensors):
        name = at.text()
        if name in found:
            raise ValueError(f"the tensor {name[:60]!r} stands twice")
        dimensions = at.scalar("I")
        if dimensions > _MAX_DIMENSIONS:
            raise ValueError(f"the tensor {name[:60]!r} has {dimensions} dimensions")
        shape = tuple(at.scalar("Q") for _ in range(dimensions))
        kind, offset = at.scalar("I"), at.scalar("Q")
        found[name] = GgufTensor(shape, FORMATS.get(kind, f"type {kind}"), offset)
    architecture = values.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        raise ValueError("it does not name its architecture")
    return GgufHeader(path, architecture, values, found, at.place)


def _check_undivided(path: Path, values: Mapping[str, Any]) -> None:
    """Refuse a part of a file that llama.cpp divided: only the first describes the model, and none has every tensor."""
    parts, number = values.get("split.count"), values.get("split.no")
    if isinstance(parts, int) and parts > 1:
        which = f"part {number + 1}" if isinstance(number, int) else "one part"
        raise BadInput(
            f"{path}: {which} of {parts} of a GGUF file that was split; join them (llama-gguf-split --merge FIRST"
            " WHOLE), and give the whole"
        )


class _Cursor:
    """A place in a file, which moves on as values are read."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data, self._at = data, 0

    @property
    def place(self) -> int:
        """Offset of the next byte."""
        return self._at

    def take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise ValueError("it ends early")
        part, self._at = self._data[self._at : end], end
        return part

    def scalar(self, code: str) -> Any:
        (value,) = struct.unpack_from(f"<{code}", self._data, self._at)
        self._at += struct.calcsize(f"<{code}")
        return value

    def count(self) -> int:
        count: int = self.scalar("Q")
        if count > min(_MAX_ITEMS, len(self._data)):
            raise ValueError(f"{count} items, which the file cannot hold")
        return count

    def text(self) -> str:
        return self.take(self.scalar("Q")).decode(errors="replace")

    def value(self, kind: int, depth: int = 0) -> Any:
        """Return a scalar, a text, a short list of numbers as a tuple, or the length of any other list."""
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY:
            return self.scalar(_SCALARS[kind])
        if depth > 4:
            raise ValueError("lists in lists in lists")
        inner = self.scalar("I")
        count = self.count()
        if inner in _SCALARS:
            code = f"<{count}{_SCALARS[inner]}"
            raw = self.take(struct.calcsize(code))
            return struct.unpack(code, raw) if count <= _KEPT else count
        for _ in range(count):
            self.value(inner, depth + 1)
        return count
