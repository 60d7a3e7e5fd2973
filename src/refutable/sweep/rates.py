"""How long loading and passes take: from what is stored of earlier ones on this device, else from assumed rates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import nnls

from refutable.models.subject import Subject
from refutable.models.weights import BYTES
from refutable.traces.passes import PROBE_PASSES, Pass

START = 8.0  # seconds that a process takes to import torch and transformers
PROBE = 0.5  # seconds of a probe, which draws a network of two blocks
WEIGHTS = {"rank": 1.5, "linearity": 8.0, "reach": 3.0, "perturbation": 8.0, "jacobian": 100.0, "through": 150.0}
"""Cost of a pass over that of a forward pass, where none of its kind was measured."""
FEW = 3  # measured ones from which on a line is drawn through them


class Line(NamedTuple):
    """Seconds as a straight line in the work: a fixed part, and a part for each unit of it; neither is negative."""

    fixed: float
    per: float

    def __call__(self, work: float) -> float:
        """Return the seconds of some work."""
        return self.fixed + self.per * work


ASSUMED_PASS = {"cpu": Line(0.1, 4e-11), "cuda": Line(0.2, 1e-13), "mps": Line(0.2, 1e-12)}  # of parameters x tokens
ASSUMED_LOAD = {"cpu": Line(0.5, 1e-9), "cuda": Line(1.0, 0.5e-9), "mps": Line(1.0, 1e-9)}  # of bytes


@dataclass(frozen=True, slots=True)
class Rates:
    """What work costs on one device.

    Attributes:
        device: its type.
        passes: seconds of a pass in its parameters x tokens, by the pass's name, where enough were measured.
        loading: seconds of loading in bytes, or None where too little was measured.
        source: from what the rates are, in words.
    """

    device: str
    passes: Mapping[str, Line] = field(default_factory=dict)
    loading: Line | None = None
    source: str = "assumed rates: nothing is measured on this device yet"

    def seconds(self, spec: Pass, parameters: int, tokens: int) -> float:
        """Return how long a pass takes over prompts of so many tokens together."""
        if spec.name in PROBE_PASSES:
            return PROBE
        if spec.name in self.passes:
            return self.passes[spec.name](parameters * tokens)
        plain = self.passes.get("forward", ASSUMED_PASS[self.device])
        return plain.fixed + WEIGHTS.get(spec.name, 1.0) * plain.per * parameters * tokens

    def load_seconds(self, size: float) -> float:
        """Return how long it takes to load weights of so many bytes."""
        return (self.loading or ASSUMED_LOAD[self.device])(size)


def assumed(device: str) -> Rates:
    """Return rates that are the same everywhere, by which plans are cut into shards."""
    return Rates(device)


def measured(metas: Iterable[Mapping[str, Any]], device: str, title: str, tokens: Callable[[str], int | None]) -> Rates:
    """Return the rates of the traces that were measured on a device.

    Args:
        metas: of stored traces.
        device: its type.
        title: which one, as traces name it.
        tokens: number of tokens of a prompt set, None where it is not known.
    """
    passes: dict[str, list[tuple[float, float]]] = defaultdict(list)
    loading: list[tuple[float, float]] = []
    for meta in metas:
        found = _times(meta, title)
        size = tokens(str(meta.get("prompt_set"))) if found is not None else None
        if found is None or size is None:
            continue
        parameters, per_pass, load = found
        passes[str(meta.get("pass"))].append((parameters * size, per_pass))
        loading.append((parameters * BYTES.get(str(meta.get("dtype")), 4), load))
    lines = {name: line_through(times) for name, times in passes.items() if len(times) >= FEW}
    if not lines:
        return assumed(device)
    number = sum(len(passes[name]) for name in lines)
    count = f"{number} measured passes"
    rest = "" if lines.keys() >= WEIGHTS.keys() else "; kinds that were never measured here, by assumed ratios"
    return Rates(device, lines, line_through(loading), f"{count} on {title}{rest}")


def line_through(times: Sequence[tuple[float, float]]) -> Line:
    """Return the line of least relative error through (work, seconds), with no negative part."""
    work, seconds = np.array(times, dtype=float).T
    seconds = np.maximum(seconds, 1e-4)
    scale = max(float(work.max()), 1.0)
    found, _ = nnls(np.column_stack([1 / seconds, work / scale / seconds]), np.ones(len(seconds)))
    return Line(float(found[0]), float(found[1]) / scale)


def job_seconds(
    passes: Mapping[Subject, Sequence[Pass]], parameters: int, rates: Rates, tokens: Callable[[str], int]
) -> float:
    """Return how long a process that has started takes for passes over the subjects of one model.

    Args:
        passes: those that are to be made.
        parameters: of the model.
        rates: what work costs.
        tokens: number of tokens of a prompt set.
    """
    total = 0.0
    for subject, specs in passes.items():
        if any(spec.name not in PROBE_PASSES for spec in specs):
            total += rates.load_seconds(parameters * BYTES[subject.dtype])
        total += sum(rates.seconds(spec, parameters, tokens(spec.prompts) if spec.prompts else 0) for spec in specs)
    return total


def _times(meta: Mapping[str, Any], title: str) -> tuple[int, float, float] | None:
    try:
        if meta["device_title"] != title:
            return None
        return int(meta["described"]["parameters"]), float(meta["pass_seconds"]), float(meta["load_seconds"])
    except (KeyError, TypeError, ValueError):
        return None
