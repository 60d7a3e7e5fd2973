"""Whether there is room for what loading takes, asked before it begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from refutable._util.host import free_disk, memory_left
from refutable._util.progress import say
from refutable.errors import WeightsUnavailable
from refutable.measurement.loading.bin_files import is_mapped
from refutable.models.gguf_header import GgufHeader
from refutable.models.subject import Subject
from refutable.models.weights import BYTES

BUFFERS = 1_000_000_000  # bytes: pinned buffers, and what torch and a GPU's driver keep on the host
COPIES = 2  # of its weights in float32 that converting a GGUF file holds at most
LARGE = 1_000_000_000  # bytes of files from which on it is told that they are read


@dataclass(frozen=True, slots=True)
class Room:
    """What loading takes beside a GPU's own memory.

    Attributes:
        files: bytes that are read.
        memory: bytes of the host's memory at most; pages of a mapped file are not counted, since they can be dropped.
        disk: bytes that are written below the cache folder.
    """

    files: int
    memory: int
    disk: int = 0

    def __str__(self) -> str:
        disk = f"{self.disk / 1e9:.1f} GB of disk" if self.disk else "nothing on disk"
        return f"at most {self.memory / 1e9:.1f} GB of host memory and {disk}"


def room_to_read(parameters: int, subject: Subject, files: Sequence[Path]) -> Room:
    """Return what it takes to read a model from safetensors or .bin files.

    Args:
        parameters: their number.
        subject: dtype and device.
        files: all of them.
    """
    on_host = 0 if subject.device_type == "cuda" else parameters * BYTES[subject.dtype]
    unmapped = _size([file for file in files if file.suffix == ".bin" and not is_mapped(file)])
    return Room(_size(files), on_host + unmapped + BUFFERS)


def room_to_convert(header: GgufHeader) -> Room:
    """Return what it takes to convert a GGUF file, whose weights transformers turns into float32 all at once."""
    plain = 4 * sum(tensor.elements for tensor in header.tensors.values())
    return Room(header.path.stat().st_size, COPIES * plain + BUFFERS, plain)


def check_room(model: str, room: Room, cache: Path) -> None:
    """Refuse to load what there is no room for, and tell what is read where that takes long.

    Args:
        model: its name.
        room: what loading takes.
        cache: folder for converted weights.

    Raises:
        WeightsUnavailable: there is less.
    """
    memory, disk = free_memory(), free_disk(cache) if room.disk else 0
    if room.memory > memory:
        told = f"{model} needs {room.memory / 1e9:.1f} GB of the host's memory to load; {memory / 1e9:.1f} GB are free"
        raise WeightsUnavailable(told, "the same command where more is free")
    if room.disk > disk:
        told = f"{model} needs {room.disk / 1e9:.1f} GB of disk for converted weights; {disk / 1e9:.1f} GB are free"
        raise WeightsUnavailable(told, "set REFUTABLE_CACHE to a folder with more room, then the same command")
    if room.files > LARGE or room.disk:
        say(f"{model}: reading {room.files / 1e9:.1f} GB of weights; {room}")


def free_memory() -> int:
    """Return how many bytes of the host's memory this process may still take, within its container's limit."""
    return min(int(psutil.virtual_memory().available), memory_left())


def _size(files: Sequence[Path]) -> int:
    return sum(file.stat().st_size for file in files)
