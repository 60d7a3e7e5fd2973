"""Whether there is room for what loading takes, asked before it begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from refutable._util.host import free_disk, memory_left
from refutable._util.progress import say
from refutable.errors import WeightsUnavailable
from refutable.measurement.forecast import forecast
from refutable.measurement.loading.bin_files import is_mapped
from refutable.models.config import Config
from refutable.models.device import EVERY_GPU
from refutable.models.gguf_header import GgufHeader
from refutable.models.row import ModelRow
from refutable.models.subject import Subject
from refutable.models.weights import BYTES
from refutable.prompts.prompt_set import PromptSet
from refutable.traces.passes import Pass

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


def check_pass(row: ModelRow, subject: Subject, config: Config, spec: Pass, prompts: PromptSet) -> None:
    """Refuse a pass that cannot fit its device even with one prompt at a time, before anything is loaded.

    The longest prompt is taken to have as many tokens as words, so that nothing is refused that might fit.

    Raises:
        WeightsUnavailable: it takes more memory than there is.
    """
    needed = forecast(row, config, subject, spec, [max(len(prompt.text.split()) for prompt in prompts.prompts)])
    if needed.total > (room := device_memory(subject)):
        fix = f"pytest --model {row.asked} --dtype bfloat16, or" if BYTES[subject.dtype] == 4 else ""
        told = f"{row.name}: {spec.title} over {prompts.name} takes at least {needed}; {subject.device} has"
        raise WeightsUnavailable(
            f"{told} {room / 1e9:.2f} GB", f"{fix} shorter prompts (--prompts), or a larger device".strip()
        )


def device_memory(subject: Subject) -> int:
    """Return the bytes that a subject's device has: all of a GPU's, and what is free of the host's."""
    if subject.device_type != "cuda":
        return free_memory()
    every = range(torch.cuda.device_count()) if subject.device == EVERY_GPU else [torch.device(subject.device)]
    return sum(int(torch.cuda.mem_get_info(device)[1]) for device in every)


def free_memory() -> int:
    """Return how many bytes of the host's memory this process may still take, within its container's limit."""
    return min(int(psutil.virtual_memory().available), memory_left())


def _size(files: Sequence[Path]) -> int:
    return sum(file.stat().st_size for file in files)
