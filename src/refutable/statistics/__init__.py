"""Statistics, one per file. A statistic reports a value and its bounds; the claim decides.

Fitting one to samples gives a `Fit`: a value, a bound on either side at any error probability, and p-values. Only
`verdicts.judge` turns a fit into a verdict. To add one: docs/adding-a-statistic.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from refutable._util.registry import Registry
from refutable.errors import Undecidable
from refutable.statistics.assumptions import Assumption, Shape
from refutable.statistics.region import Region
from refutable.statistics.sample import Sample
from refutable.statistics.sides import Side as Side
from refutable.statistics.takes import Takes

EVERY = (-math.inf, math.inf)
SKEW = frozenset({Assumption.LITTLE_SKEW})


class Fit(Protocol):
    """A statistic fitted to data."""

    @property
    def value(self) -> float:
        """The point estimate."""

    @property
    def n(self) -> int:
        """Number of units of replication."""

    @property
    def unit(self) -> str:
        """What one unit is."""

    @property
    def method(self) -> str:
        """How the bounds are computed, in words."""

    def lower(self, tail: float) -> float:
        """Return the bound that lies above the true value with probability at most `tail`."""

    def upper(self, tail: float) -> float:
        """Return the bound that lies below the true value with probability at most `tail`."""

    def p_value(self, threshold: float, side: Side) -> float:
        """Return the p-value of "the true value is not on this side of the threshold".

        It is the smallest `tail` at which the bound reaches the threshold, which itself counts as allowed. For a claim
        that excludes the threshold, ask about the next float beyond it.
        """

    def effect_size(self, threshold: float) -> float | None:
        """Return the standardised distance from the threshold; None if no such measure is usual."""


@runtime_checkable
class FitAtEveryLook(Fit, Protocol):
    """A fit whose error rates hold for all looks together, however often more units are added."""

    def e_value(self, threshold: float, side: Side) -> float:
        """Return the e-value against "the true value is not on this side of the threshold"; its mean is at most 1."""


@dataclass(frozen=True, slots=True)
class Data:
    """What a statistic is fitted to.

    Attributes:
        samples: one for each variable of the claim, each group of a comparison, or each model.
        holds: the region that a layer or prompt must lie in to count, for statistics that count.
        holds_above: for a boundary, whether the claim holds above it (False: below it); None allows either.

    Raises:
        Undecidable: a value is NaN or infinite.
    """

    samples: tuple[Sample, ...]
    holds: Region | None = None
    holds_above: bool | None = None

    def __post_init__(self) -> None:
        for sample in self.samples:
            bad = ~np.isfinite(sample.values)
            if bad.any():
                raise Undecidable(f"{int(bad.sum())} of {bad.size} values of {sample.of} are not finite numbers")

    def paired(self) -> tuple[Sample, ...]:
        """Return the samples, once checked to have as many units each.

        Raises:
            Undecidable: they have not.
        """
        first, *others = self.samples
        for other in others:
            if first.n != other.n:
                raise Undecidable(f"{first.of} has {first.n} values and {other.of} {other.n}: they do not pair")
        return self.samples


@dataclass(frozen=True, slots=True)
class Statistic:
    """A statistic as the registry holds it.

    Attributes:
        name: as claims write it.
        assumes: what its error rates depend on; the calibration tests it on data that meet these.
        fit: the function; raises Undecidable for data it cannot be fitted to.
        caveats: anything else to know about its assumptions, in words.
        takes: the shape of its input.
        least: the fewest units that it can be fitted to.
        calibrated_from: the fewest units from which its error rates hold.
        least_alpha: the least alpha at which its error rates hold.
        skewed_from: the fewest units from which they also hold for skewed values, whose bounds are then wide enough;
            None if they never do.
        skewed_alpha: the least alpha at which they do.
        extremes: given n units and a prediction, the fits most favourable to a high value, to a low one and, for a
            two-sided prediction, to its middle. None if the number of units does not limit what data could show and
            the bounds never meet (data without spread are Undecidable): `within [x, x]` is then never SUPPORTED.
        varies: the samples whose independence and normality it relies on; None if these are not checked.
        range: its possible values; None if they are those of its metric.
        powerless: why its fits have no `power`; None if they have.
        anytime: whether its error rates hold for all looks together, however often more units are added; its fits then
            have an `e_value`.
        version: raised when the same data would give other bounds, so that claims locked under the old one say so.
    """

    name: str
    assumes: tuple[Assumption, ...]
    fit: Callable[[Data], Fit]
    caveats: tuple[str, ...] = ()
    takes: Takes = Takes()  # noqa: RUF009 - frozen
    least: int = 1
    calibrated_from: int = 1
    least_alpha: float = 0.0
    skewed_from: int | None = None
    skewed_alpha: float = 0.0
    extremes: Callable[[int, Region], tuple[Fit, ...]] | None = None
    varies: Callable[[Data], tuple[Sample, ...]] | None = None
    range: tuple[float, float] | None = None
    powerless: str | None = None
    anytime: bool = False
    version: int = 1

    @property
    def doc(self) -> str:
        """The docstring of its function."""
        return (self.fit.__doc__ or "").strip()

    def keeps(self, shape: Shape, n: int, alpha: float = 0.05) -> bool:
        """Whether its error rates hold for n units of data of this shape, at this alpha."""
        seen = self.skewed_from is not None and n >= self.skewed_from and alpha >= self.skewed_alpha
        broken = shape.breaks & frozenset(self.assumes) - (SKEW if seen else frozenset())
        return n >= self.calibrated_from and alpha >= self.least_alpha and not broken


STATISTICS: Registry[Statistic] = Registry("statistic", Statistic, "refutable.statistics")
