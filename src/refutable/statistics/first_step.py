"""From which step of training on does something hold? A test at each checkpoint, taken together."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refutable.statistics import Side


@dataclass(frozen=True, slots=True)
class FirstStepFit:
    """The first of a model's checkpoints from which on something holds at it and at every later one.

    The upper bound is the first checkpoint from which on it is shown to hold at each: it lies below the true one only
    if the checkpoint just before the true one, where it does not hold, is shown to hold, so each test may have the
    whole error probability. The lower bound is the one after the last at which it is shown not to hold: any of those
    where it holds may be mistaken, so each has its share (Bonferroni). Both hold whatever the dependence between
    checkpoints.

    Attributes:
        steps: of the checkpoints, ascending, shape (k,).
        at: whether the point estimate holds at each, shape (k,).
        p_holds: p-value of "it holds here" at each checkpoint, shape (k,).
        p_fails: p-value of "it does not hold here", shape (k,).
        n: number of units of each test.
        unit: of each test.
    """

    steps: NDArray[np.float64]
    at: NDArray[np.bool_]
    p_holds: NDArray[np.float64]
    p_fails: NDArray[np.float64]
    n: int
    unit: str

    @property
    def method(self) -> str:
        """How the bounds are computed, in words."""
        return (
            f"a test at each of {len(self.steps)} checkpoints, over {self.n} {self.unit}s; Bonferroni for the lower end"
        )

    @property
    def value(self) -> float:
        """The first step from which on every point estimate holds; infinity where the last does not."""
        return self._from(self.at)

    def upper(self, tail: float) -> float:
        """Return the step from which on it is shown to hold; infinity where it is not at the last checkpoint."""
        return self._from(self.p_holds <= tail)

    def lower(self, tail: float) -> float:
        """Return the step before which it is shown not to hold throughout; the first checkpoint where nothing is."""
        failing = np.flatnonzero(self.p_fails * len(self.steps) <= tail)
        return self._next(int(failing[-1])) if len(failing) else float(self.steps[0])

    def p_value(self, threshold: float, side: Side) -> float:
        """Return the p-value of "it does not hold from a step on that side of the threshold on"."""
        if side == "below":
            reached = np.flatnonzero(self.steps <= threshold)
            return float(self.p_holds[reached[-1] :].max()) if len(reached) else 1.0
        if threshold <= self.steps[0]:
            return 0.0
        beyond = [p for at, p in enumerate(self.p_fails) if self._next(at) >= threshold]
        return min(1.0, float(min(beyond)) * len(self.steps))

    def effect_size(self, threshold: float) -> None:
        """Return None: no such measure is usual."""

    def _from(self, holds: NDArray[np.bool_]) -> float:
        failing = np.flatnonzero(~holds)
        return self._next(int(failing[-1])) if len(failing) else float(self.steps[0])

    def _next(self, at: int) -> float:
        return float(self.steps[at + 1]) if at + 1 < len(self.steps) else math.inf
