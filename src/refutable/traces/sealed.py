"""A trace as bytes: three files under a seal, and the one object that a shared store keeps them in."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from refutable.traces.trace import Trace

FILES = ("meta.json", "blocks.parquet", "prompts.parquet")
_MAGIC = b"refutable trace\n"
_HEAD = struct.Struct(">16s64s3Q")  # what it is, the seal, and how many bytes each file has; the files follow


@dataclass(frozen=True, slots=True)
class Sealed:
    """The files of a trace, as they were found.

    Attributes:
        parts: the bytes of each of `FILES`.
        seal: a hash of the trace's key and these bytes, as it was found beside them.
    """

    parts: tuple[bytes, ...]
    seal: str

    @classmethod
    def of(cls, trace: Trace) -> Sealed:
        """Return a trace sealed; raises ValueError for meta that strict JSON cannot hold."""
        meta = json.dumps(dict(trace.meta), indent=1, sort_keys=True, allow_nan=False).encode()
        parts = meta, _parquet(trace.blocks), _parquet(trace.prompts)
        return cls(parts, _seal(trace.key, parts))

    def is_of(self, key: str) -> bool:
        """Whether these are the bytes that were sealed, of this trace and of no other."""
        return self.seal == _seal(key, self.parts)

    def trace(self, key: str) -> Trace:
        """Return the trace."""
        blocks, prompts = (pq.read_table(pa.BufferReader(table)) for table in self.parts[1:])
        return Trace(key, json.loads(self.parts[0]), blocks, prompts)

    @property
    def size(self) -> int:
        """How many bytes the files have together."""
        return sum(map(len, self.parts))

    def packed(self) -> bytes:
        """Return the files and their seal as one object, of which no byte can change unseen."""
        return b"".join((_HEAD.pack(_MAGIC, self.seal.encode("ascii"), *map(len, self.parts)), *self.parts))


BROKEN = Sealed((), "")  # what is there and no trace: its seal is of nothing
META_AT_FIRST = 16_384  # bytes from an object's beginning that nearly every trace's meta lies within


def unpacked(content: bytes) -> Sealed:
    """Return the files that were packed into an object; `BROKEN` of one that is not so made."""
    head = _head(content)
    if head is None or _HEAD.size + sum(head[1]) != len(content):
        return BROKEN
    parts, at = [], _HEAD.size
    for size in head[1]:
        parts.append(content[at : at + size])
        at += size
    return Sealed(tuple(parts), head[0])


def meta_end(content: bytes) -> int:
    """Return how many bytes an object's beginning, through its meta, has; 0 of one that is not so made."""
    head = _head(content)
    return 0 if head is None else _HEAD.size + head[1][0]


def packed_meta(content: bytes) -> Mapping[str, Any]:
    """Return the meta in an object's beginning, unverified; empty where it cannot be read."""
    return meta_of(content[_HEAD.size : meta_end(content)])


def meta_of(content: bytes) -> Mapping[str, Any]:
    """Return the meta in a file's bytes, unverified; empty where it cannot be read."""
    try:
        meta = json.loads(content)
    except ValueError:
        return {}
    return meta if isinstance(meta, dict) else {}


def _head(content: bytes) -> tuple[str, tuple[int, ...]] | None:
    if len(content) < _HEAD.size:
        return None
    magic, seal, *sizes = _HEAD.unpack_from(content)
    return (seal.decode("latin-1"), tuple(sizes)) if magic == _MAGIC else None


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, write_page_checksum=True)
    found: bytes = sink.getvalue().to_pybytes()
    return found


def _seal(key: str, parts: tuple[bytes, ...]) -> str:
    seal = hashlib.sha256(key.encode())
    for part in parts:
        seal.update(hashlib.sha256(part).digest())
    return seal.hexdigest()
