"""Statistics: what can be said of a sample, and how surely. One file each; they report, claims decide.

A statistic is fitted to samples and gives a Fit: a value, a bound on either side at any error probability, a p-value.
`verdict.judge` alone turns a fit into a verdict. To add one: docs/adding-a-statistic.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from refutable.errors import Undecidable
from refutable.predicate import Region
from refutable.registry import Registry
from refutable.sample import Sample

Side = Literal["above", "below"]


class Fit(Protocol):
    """A statistic fitted to data.

    Attributes:
        value: the point estimate.
        n: number of units of replication.
        unit: what one unit is.
        method: how the bounds are made, in words.
    """

    @property
    def value(self) -> float:
        """Return the point estimate."""
        ...

    @property
    def n(self) -> int:
        """Return the number of units."""
        ...

    @property
    def unit(self) -> str:
        """Return what one unit is."""
        ...

    @property
    def method(self) -> str:
        """Return how the bounds are made."""
        ...

    def lower(self, tail: float) -> float:
        """Return the bound that lies above the true value with probability at most `tail`."""
        ...

    def upper(self, tail: float) -> float:
        """Return the bound that lies below the true value with probability at most `tail`."""
        ...

    def p_value(self, threshold: float, side: Side) -> float:
        """Return the p-value of "the true value is not on this side of the threshold"."""
        ...

    def effect_size(self, threshold: float) -> float | None:
        """Return the standardised distance from the threshold, or None where none is customary."""
        ...


@dataclass(frozen=True, slots=True)
class Data:
    """What a statistic is fitted to.

    Attributes:
        samples: one for each metric of the claim, or for each group in a comparison of groups.
        holds: the region that one layer or prompt must lie in to count, for statistics that count.

    Raises:
        Undecidable: a value is NaN or infinite; no statistic may count or average what is not a number.
    """

    samples: tuple[Sample, ...]
    holds: Region | None = None

    def __post_init__(self) -> None:
        for sample in self.samples:
            bad = ~np.isfinite(sample.values)
            if bad.any():
                raise Undecidable(f"{int(bad.sum())} of {bad.size} values of {sample.of} are not finite numbers")


@dataclass(frozen=True, slots=True)
class Statistic:
    """A statistic as the registry holds it.

    Attributes:
        name: as claims write it.
        assumes: under what its error rates hold, in words.
        fit: the function; raises Undecidable for data it cannot be fitted to.
        metrics: number of metrics it takes.
        needs_holds: whether it counts where something holds.
        needs_groups: whether it compares groups of models.
        takes_layers: whether it looks at every layer.
        pools: whether it takes one sample a model, of several models (``for: pooled``).
        extremes: given n units and a prediction, the fits most favourable to a high value, to a low one and, for a
            two-sided prediction, to its middle; None where no number of units bounds what data could show.
        version: raised when the same data would give other bounds, so that claims locked under the old one say so.
        needs_parts: whether it takes a ratio apart: its samples are then the numerator and the denominator.
        spans: where its value must lie whatever the data: among the values that the ``metric`` can take, in [0, 1] (a
            ``share``), in [-1, 1] (a ``correlation``), or between differences of the metric's values; None: anywhere.
        pairings: for a statistic of two metrics whose verdict rises or falls with its value alone: its values for one
            first sample, shape (n,), and many second ones, shape (k, n), at once; None where each is fitted by itself.
    """

    name: str
    assumes: tuple[str, ...]
    fit: Callable[[Data], Fit]
    metrics: int = 1
    needs_holds: bool = False
    needs_groups: bool = False
    takes_layers: bool = False
    pools: bool = False
    extremes: Callable[[int, Region], tuple[Fit, ...]] | None = None
    version: int = 1
    needs_parts: bool = False
    spans: Literal["metric", "share", "correlation", "difference"] | None = None
    pairings: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]] | None = None

    @property
    def doc(self) -> str:
        """What it says."""
        return (self.fit.__doc__ or "").strip()


STATISTICS: Registry[Statistic] = Registry("statistic", "refutable.statistics")
