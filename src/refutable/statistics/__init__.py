"""Statistics, one per file: a value and its bounds. They report; claims decide.

A statistic is fitted to samples and gives a Fit: a value, a bound on either side at any error probability, a p-value.
`verdict.judge` alone turns a fit into a verdict. To add one: docs/adding-a-statistic.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from refutable._util.registry import Registry
from refutable.errors import Undecidable
from refutable.statistics.assumptions import Assumption, Shape
from refutable.statistics.region import Region
from refutable.statistics.sample import Sample
from refutable.statistics.takes import Takes

Side = Literal["above", "below"]
EVERY = (-math.inf, math.inf)


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
        """Return the p-value of "the true value is not on this side of the threshold".

        The smallest `tail` at which the bound reaches the threshold: of a value that may lie on it. A claim that allows
        no value on it asks about the next number beyond.
        """
        ...

    def effect_size(self, threshold: float) -> float | None:
        """Return the standardised distance from the threshold, or None if there is no usual one."""
        ...


@dataclass(frozen=True, slots=True)
class Data:
    """What a statistic is fitted to.

    Attributes:
        samples: one for each variable of the claim, or for each group in a comparison, or for each model.
        holds: the region that one layer or prompt must lie in to count, for statistics that count.
        holds_above: of a boundary, whether it holds above it (False: below it); None where it may be either.

    Raises:
        Undecidable: a value is NaN or infinite; no statistic may count or average what is not a number.
    """

    samples: tuple[Sample, ...]
    holds: Region | None = None
    holds_above: bool | None = None

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
        assumes: under what its error rates hold; the calibration holds it to data that meet these.
        fit: the function; raises Undecidable for data it cannot be fitted to.
        caveats: what else must be known of its assumptions, in words.
        takes: what it is fitted to: its shape.
        least: the fewest units that it can be fitted to.
        calibrated_from: the fewest units from which its error rates hold.
        extremes: given n units and a prediction, the fits most favourable to a high value, to a low one and, for a
            two-sided prediction, to its middle; None where no number of units bounds what data could show, and the
            bounds always lie apart (data without spread are Undecidable), so that `within [x, x]` is never SUPPORTED.
        varies: the samples whose independence and normality it relies on; None where that is not looked at.
        range: the values that any data could give it; None for those of its metric.
        powerless: why its fits cannot say what they could have seen; None where they have `power`.
        version: raised when the same data would give other bounds, so that claims locked under the old one say so.
        pairings: for a statistic of two metrics whose verdict rises or falls with its value alone: its values for one
            first sample, shape (n,), and many second ones, shape (k, n), at once; None where each is fitted by itself.
    """

    name: str
    assumes: tuple[Assumption, ...]
    fit: Callable[[Data], Fit]
    caveats: tuple[str, ...] = ()
    takes: Takes = Takes()  # noqa: RUF009 - frozen
    least: int = 1
    calibrated_from: int = 1
    extremes: Callable[[int, Region], tuple[Fit, ...]] | None = None
    varies: Callable[[Data], tuple[Sample, ...]] | None = None
    range: tuple[float, float] | None = None
    powerless: str | None = None
    version: int = 1
    pairings: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]] | None = None

    @property
    def doc(self) -> str:
        """What it says."""
        return (self.fit.__doc__ or "").strip()

    def keeps(self, shape: Shape, n: int) -> bool:
        """Whether it promises its error rates on n units of data of this shape."""
        return n >= self.calibrated_from and not shape.breaks & frozenset(self.assumes)


STATISTICS: Registry[Statistic] = Registry("statistic", Statistic, "refutable.statistics")
