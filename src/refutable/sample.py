"""The numbers a claim's test sees, with their unit of replication."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Unit = str  # "prompt", "layer", "model" or "census"
CENSUS: Unit = "census"  # recorded values without replicates


@dataclass(frozen=True, slots=True)
class Sample:
    """Values of one metric.

    Attributes:
        of: the metric's name.
        values: shape (n,) for one value a unit, or (n, layers) where the metric has one value a layer.
        unit: what one row is: a prompt, a model.
        clusters: a label for each row (the prompt's category, the model's name), for checks of independence.
    """

    of: str
    values: NDArray[np.float64]
    unit: Unit
    clusters: tuple[str, ...] = field(default=())

    @property
    def n(self) -> int:
        """Number of units."""
        return int(self.values.shape[0])
