"""The numbers a claim's test sees, with their unit of replication."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
Unit = str  # "prompt", "layer", "model" or "census"
CENSUS: Unit = "census"  # recorded values without replicates


@dataclass(frozen=True, slots=True)
class Sample:
    """Values of one metric.

    Attributes:
        of: the metric's name.
        values: shape (n,) with one value per unit, or (n, layers) for a metric with one value per layer.
        unit: what one row is: a prompt, a model.
        clusters: a label for each row (the prompt's category, the model's name), for checks of independence.
        prompts: the text of each row's prompt, by which two models' values pair; empty if rows are not prompts.
        measured_in: the unit of the values, from the metric (``ratio``, ``nats``); empty if unknown.
        ends: of recorded values that are rounded, the least and the largest that are printed so, each of the values'
            shape; None for exact ones.
        derived: cached results by name, since several claims are judged on one sample.
    """

    of: str
    values: NDArray[np.float64]
    unit: Unit
    clusters: tuple[str, ...] = field(default=())
    prompts: tuple[str, ...] = field(default=())
    measured_in: str = ""
    ends: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    derived: dict[Hashable, Any] = field(init=False, default_factory=dict, compare=False, repr=False)

    def once(self, name: Hashable, make: Callable[[], T]) -> T:
        """Return a value derived from the sample, computed on first call."""
        if name not in self.derived:
            self.derived[name] = make()
        found: T = self.derived[name]
        return found

    def by_category(self) -> dict[str, NDArray[np.bool_]]:
        """Return which units are in each category, by name in order of appearance; units without one are in none."""
        labels = np.array(self.clusters)
        return {name: labels == name for name in dict.fromkeys(filter(None, self.clusters))}

    @property
    def n(self) -> int:
        """Number of units."""
        return int(self.values.shape[0])
