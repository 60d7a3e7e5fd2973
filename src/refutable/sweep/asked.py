"""What a sweep is asked to do, beside what is measured."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from refutable.errors import BadInput
from refutable.models.device import EVERY_GPU, cuda_devices
from refutable.sweep.shards import Shard

GPU = re.compile(r"cuda:(\d+)")
SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*([KMGT]?B)", re.IGNORECASE)
UNITS = {"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
Slot = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Options of ``refutable measure`` that pytest does not have.

    Attributes:
        plan_only: whether the plan is all that is asked for.
        shard: which part of the plan; None for all of it.
        on: engine, as ``--on`` takes it; empty for this host.
        devices: as ``--devices`` takes it; empty for the one of ``--device``.
        processes: for each device.
        tries: how often a job is begun where the infrastructure fails.
        keep_weights: whether what it fetches stays in the hub's cache; else it is dropped when its job is done.
        disk_budget: bytes that it may have fetched and not dropped; None for as many as the disk has.
        json: file to write what became of each unit to, or None.
    """

    plan_only: bool = False
    shard: Shard | None = None
    on: str = ""
    devices: str = ""
    processes: int = 1
    tries: int = 3
    keep_weights: bool = True
    disk_budget: int | None = None
    json: Path | None = None


def read_kept(text: str) -> bool:
    """Return whether ``--keep-weights`` keeps them.

    Raises:
        BadInput: it is neither ``cache`` nor ``none``.
    """
    if text not in ("cache", "none"):
        raise BadInput(f"--keep-weights {text}: write cache (they stay in the hub's cache) or none (they are dropped)")
    return text == "cache"


def read_size(text: str) -> int:
    """Return the bytes that ``--disk-budget`` means.

    Raises:
        BadInput: it is no positive number of bytes, kB, MB, GB or TB.
    """
    match = SIZE.fullmatch(text.strip())
    if match is None or not (size := round(float(match[1]) * UNITS[match[2].upper()])):
        raise BadInput(f"--disk-budget {text}: write how many bytes and of which unit, as 200GB or 1.5TB")
    return size


def slots_of(devices: str, processes: int, cores: int) -> list[Slot]:
    """Return the environment of each process of this host.

    Args:
        devices: ``cuda:all``, GPUs with commas (``cuda:0,cuda:2``), or empty for one device that all share.
        processes: for each device.
        cores: of the host, which the processes share out.

    Raises:
        BadInput: a word that is no GPU of this host.
    """
    if not devices:
        return _shared([{} for _ in range(processes)], cores)
    count = len(cuda_devices())
    chosen = range(count) if devices == EVERY_GPU else [_gpu(word, count) for word in devices.split(",")]
    if not chosen:
        raise BadInput(f"--devices {devices}: no CUDA device can be used here; write --processes N for a CPU")
    return _shared([{"CUDA_VISIBLE_DEVICES": visible(index)} for _ in range(processes) for index in chosen], cores)


def _shared(slots: list[Slot], cores: int) -> list[Slot]:
    """Return the environments of several processes with as many threads each as cores are left to them."""
    if len(slots) == 1:
        return slots
    return [{**slot, "OMP_NUM_THREADS": str(max(1, cores // len(slots)))} for slot in slots]


def visible(index: int) -> str:
    """Return what CUDA calls the device of a number, where only some are visible to this process."""
    import os

    shown = [word for word in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if word]
    return shown[index] if shown else str(index)


def _gpu(word: str, count: int) -> int:
    match = GPU.fullmatch("cuda:0" if word == "cuda" else word)
    if match is None or int(match[1]) >= count:
        raise BadInput(
            f"--devices {word}: {count} CUDA device(s) can be used here; write cuda:all, or their numbers:"
            " cuda:0,cuda:1"
        )
    return int(match[1])
