"""Seconds and memory of rows whose rounds are interleaved, so that drift of the machine affects all of them."""

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
    """The results of one row's rounds.

    Attributes:
        row: the row.
        seconds: of each warmed round, for all prompts.
        peak: most bytes allocated on a CUDA device beyond those there before; 0 elsewhere.
        gains: last gain of each prompt, if the row reads it.
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
    """Run every row once as a warm-up and then `rounds` times in turn, each round starting with a different row."""
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
    """Wait for a device to finish its work."""
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
