"""Reads safetensors onto a GPU with many threads, through pinned buffers.

A mapped file is paged in by one thread a page at a time; here each thread reads a piece, sends it, and reads the next
while the copy runs. Which tensor becomes which parameter stays transformers' business.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass

import torch

from refutable._util.progress import BYTES, task
from refutable.models.safetensors_header import SafetensorsHeader

PIECE = 16 * 1024 * 1024
THREADS = 16
ALIGNED = 16  # what cuBLAS asks of a matrix's address
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the tensors of one safetensors file lie, and what torch makes of them.

    Attributes:
        header: of the file.
    """

    header: SafetensorsHeader

    @property
    def size(self) -> int:
        """Bytes of all tensors."""
        return self.header.size

    @property
    def readable(self) -> bool:
        """Whether torch has all of its dtypes."""
        return all(tensor.dtype in DTYPES for tensor in self.header.tensors.values())

    def bytes_as(self, dtype: torch.dtype) -> int:
        """Return the memory that the floating-point tensors take in a dtype, and the others in their own."""
        return sum(
            tensor.elements * (dtype if DTYPES[tensor.dtype].is_floating_point else DTYPES[tensor.dtype]).itemsize
            for tensor in self.header.tensors.values()
        )


def read_tensors(layouts: Sequence[Layout], device: torch.device) -> dict[str, torch.Tensor]:
    """Return every tensor of some files by name, on the device, in its own dtype.

    Tensors of one file share its memory; one whose address no matrix product would take is a copy.
    """
    with ExitStack() as opened, ThreadPoolExecutor(THREADS) as pool:
        whole = [torch.empty(layout.size, dtype=torch.uint8, device=device) for layout in layouts]
        pieces = []
        for layout, memory in zip(layouts, whole, strict=True):
            file = opened.enter_context(layout.header.path.open("rb", buffering=0))
            pieces += [(file.fileno(), layout.header.start, memory, at) for at in range(0, layout.size, PIECE)]
        if device.type == "cuda":
            torch.cuda.synchronize(device)  # the memory may still be in use by what ran before on another stream
        with task("", sum(layout.size for layout in layouts), BYTES) as reading:

            def copy(piece: tuple[int, int, torch.Tensor, int]) -> torch.cuda.Stream | None:
                stream = _copier(device).copy(*piece)
                reading.advance(min(PIECE, len(piece[2]) - piece[3]))
                return stream

            streams = set(pool.map(copy, pieces))
        for stream in streams:
            if stream is not None:
                stream.synchronize()
    named: Iterator[tuple[str, torch.Tensor]] = itertools.chain.from_iterable(map(_views, layouts, whole))
    return dict(named)


def _views(layout: Layout, memory: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    for name, tensor in layout.header.tensors.items():
        part = memory[tensor.start : tensor.end]
        yield name, (part.clone() if tensor.start % ALIGNED else part).view(DTYPES[tensor.dtype]).view(tensor.shape)


class _Copier:
    """One thread's two pinned buffers: while one is being sent, the other is filled."""

    def __init__(self, device: torch.device) -> None:
        cuda = device.type == "cuda"
        self._buffers = [torch.empty(PIECE, dtype=torch.uint8, pin_memory=cuda) for _ in range(2)]
        self._stream = torch.cuda.Stream(device) if cuda else None  # type: ignore[no-untyped-call]
        self._sent = [torch.cuda.Event() if cuda else None for _ in range(2)]  # type: ignore[no-untyped-call]
        self._turn = 0

    def copy(self, file: int, start: int, memory: torch.Tensor, at: int) -> torch.cuda.Stream | None:
        """Copy one piece of a file's tensors to its place in memory; returns the stream it travels on."""
        self._turn = 1 - self._turn
        sent, buffer = self._sent[self._turn], self._buffers[self._turn]
        if sent is not None:
            sent.synchronize()
        count = min(PIECE, len(memory) - at)
        _read(file, memoryview(buffer.numpy().data)[:count], start + at)
        with torch.cuda.stream(self._stream) if self._stream is not None else nullcontext():
            memory[at : at + count].copy_(buffer[:count], non_blocking=True)
            if sent is not None:
                sent.record()
        return self._stream


_own = threading.local()


def _copier(device: torch.device) -> _Copier:
    """Return this thread's own."""
    if not hasattr(_own, "copier"):
        _own.copier = _Copier(device)
    copier: _Copier = _own.copier
    return copier


def _read(file: int, into: memoryview, at: int) -> None:
    while into:
        count = os.preadv(file, [into], at)
        if count == 0:
            raise OSError(f"the file ended {len(into)} bytes early")
        into, at = into[count:], at + count
