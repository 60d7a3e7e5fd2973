"""The arithmetic of a sweep over eight Pythias x 154 checkpoints; `python -m benchmarks.scale` prints docs' table.

A sweep takes at least as long as shared storage needs to send every byte, and at least as long as the busiest GPU
works, when checkpoints are dealt out as `refutable measure --shard` does. Reading is hidden behind measuring, or the
other way round; the longer of the two is shown. Nothing here is measured on a cluster; what the inputs rest on stands
beside them.
"""

from __future__ import annotations

from dataclasses import dataclass

from refutable._util.progress_line import duration
from refutable.models.registry import load_registry
from refutable.sweep.shards import dealt

MODELS = ("70m", "160m", "410m", "1b", "1.4b", "2.8b", "6.9b", "12b")
CHECKPOINTS = 154
GPUS = (8, 64, 512)
STORAGE = (1e9, 10e9, 100e9)  # bytes a second


@dataclass(frozen=True)
class Inputs:
    """What the arithmetic assumes of one checkpoint on one GPU."""

    bytes_a_parameter: float = 2.0  # as the hub holds them, float16
    fixed: float = 2.0  # seconds: building the network, tokens, tables (assumed)
    hashed: float = 1.5e9  # bytes a second: SHA-256 on one core (assumed)
    loaded: float = 12.1e9 / 0.49  # bytes a second to the GPU (measured on an H200: docs/speed.md)
    forward: float = 0.0298 / 6.05e9  # seconds a parameter: GPT-J, 25 prompts, bfloat16 (measured on an H200)
    forwards: float = 150.0  # cost of all passes over that of a forward pass (assumed)


def gpu_seconds(parameters: int, told: Inputs) -> float:
    """Return how long one checkpoint keeps one GPU's process busy, reading from storage apart."""
    size = parameters * told.bytes_a_parameter
    return told.fixed + size / told.hashed + size / told.loaded + told.forwards * told.forward * parameters


def wall_seconds(gpus: int, storage: float, told: Inputs) -> tuple[float, str]:
    """Return how long the sweep takes, and what bounds it."""
    registry = load_registry()
    parameters = [registry[f"pythia-{name}"].parameters for name in MODELS]
    costs = {(n, step): gpu_seconds(n, told) for n in parameters for step in range(CHECKPOINTS)}
    busiest = max(sum(costs[one] for one in part) for part in dealt(costs, gpus))
    sent = CHECKPOINTS * sum(parameters) * told.bytes_a_parameter / storage
    return (sent, "storage") if sent > busiest else (busiest, "GPUs")


def table(told: Inputs = Inputs()) -> list[str]:
    """Return the table as lines of Markdown."""
    lines = ["| GPUs | " + " | ".join(f"storage {rate / 1e9:g} GB/s" for rate in STORAGE) + " |"]
    lines.append("|---" * (1 + len(STORAGE)) + "|")
    for gpus in GPUS:
        found = [wall_seconds(gpus, rate, told) for rate in STORAGE]
        lines.append(f"| {gpus} | " + " | ".join(f"{duration(seconds)} ({by})" for seconds, by in found) + " |")
    return lines


if __name__ == "__main__":
    print("\n".join(table()))
