"""Seconds and memory of rows whose rounds are interleaved, so that a drift of the machine is everybody's."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from benchmarks.rows import Gains, Row


@dataclass(slots=True)
class Timing:
    """What the rounds of one row gave.

    Attributes:
        row: the row.
        seconds: of each warmed round, for all prompts.
        peak: bytes allocated on a CUDA device at most, beyond what was there before; 0 elsewhere.
        gains: last gain of each prompt, where the row reads it.
    """

    row: Row
    seconds: list[float] = field(default_factory=list)
    peak: int = 0
    gains: Gains | None = None

    @property
    def median(self) -> float:
        """Median seconds."""
        return statistics.median(self.seconds)


def time_rows(rows: Sequence[Row], rounds: int, device: torch.device) -> list[Timing]:
    """Run every row once to warm it and then `rounds` times in turn, each round beginning with another row."""
    timings = [Timing(row) for row in rows]
    for each in range(-1, rounds):
        turn = max(each, 0) % len(timings)
        for timing in timings[turn:] + timings[:turn]:
            gc.collect()
            before = _start(device)
            started = time.perf_counter()
            timing.gains = timing.row.run()
            synchronise(device)
            seconds = time.perf_counter() - started
            if each >= 0:
                timing.seconds.append(seconds * timing.row.scale)
                timing.peak = max(timing.peak, _peak(device) - before)
    return timings


def synchronise(device: torch.device) -> None:
    """Wait for all that was asked of a device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _start(device: torch.device) -> int:
    synchronise(device)
    if device.type != "cuda":
        return 0
    torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.memory_allocated(device)


def _peak(device: torch.device) -> int:
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
