"""The input shapes of the statistics. To add one: docs/adding-a-statistic.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from refutable.statistics.region import Region
from refutable.statistics.sample import Sample
from refutable.statistics.takes import Exchange, Order, Range, Takes


@dataclass(frozen=True, slots=True)
class Counted(Takes):
    """One value per unit, counting the units where something holds."""

    counts: ClassVar[Literal["never", "may", "always"]] = "always"


@dataclass(frozen=True, slots=True)
class MayBeCounted(Takes):
    """One value per unit; with `holds:`, the share of a prompt's layers where it is true."""

    counts: ClassVar[Literal["never", "may", "always"]] = "may"


@dataclass(frozen=True, slots=True)
class PerLayer(Counted):
    """One value per unit and layer, counting the layers where something holds."""

    each_layer: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class PerModel(Counted):
    """One sample per model, counting the models where something holds."""

    over_models: ClassVar[bool] = True

    def span(self, ranges: Sequence[Range], holds: Region | None) -> Range | None:
        """Return the range of a number of models."""
        return 0.0, np.inf


@dataclass(frozen=True, slots=True)
class Pooled(Takes):
    """One sample for each model that was measured."""

    pools: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Parts(Takes):
    """The numerator and the denominator of one ratio."""

    parts: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Paired(Takes):
    """Two or more variables of the same units."""

    variables: int = 2


@dataclass(frozen=True, slots=True)
class Differenced(Paired):
    """Two variables of the same units, as the difference of their means: how they pair does not change its value."""

    difference: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Split(Paired):
    """Two variables: does the first hold where the second lies on one side of a boundary?"""

    counts: ClassVar[Literal["never", "may", "always"]] = "always"
    has_a_side: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Groups(Takes):
    """One value per model, in two groups of models: a difference."""

    compares: ClassVar[Literal["groups", "categories"] | None] = "groups"

    def exchanges(self, samples: tuple[Sample, ...]) -> dict[str, Exchange]:
        """Return the only kind of shuffle: models between the groups."""
        return {"all models": Exchange(samples[0].n + samples[1].n)}

    def shuffled(self, samples: tuple[Sample, ...], order: Order) -> tuple[Sample, ...]:
        """Return the groups with their models dealt out again."""
        first, second = samples
        values = np.concatenate([first.values, second.values])[order]
        return replace(first, values=values[: first.n]), replace(second, values=values[first.n :])

    def span(self, ranges: Sequence[Range], holds: Region | None) -> Range | None:
        """Return the range of a difference."""
        low, high = ranges[0]
        return low - high, high - low


@dataclass(frozen=True, slots=True)
class Categories(Groups):
    """One value per prompt, in two groups of prompt categories: a difference."""

    compares: ClassVar[Literal["groups", "categories"] | None] = "categories"
