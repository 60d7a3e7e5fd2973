"""The axis of a claim, and where an estimate, its interval and the predicted region lie on it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from refutable.statistics.region import Region, parse_region
from refutable.verdicts.verdict import Estimate

WIDTH, HEIGHT, PAD = 240.0, 22.0, 6.0


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis from `low` to `high`, with the region that a claim predicts."""

    low: float
    high: float
    region: Region

    def at(self, value: float) -> float:
        """Return where a value lies, from `PAD` to `WIDTH` less `PAD`; what lies beyond an end is put there."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(PAD + share * (WIDTH - 2 * PAD), 1)


@dataclass(frozen=True, slots=True)
class Bar:
    """An estimate as it is drawn: all in the drawing's units, from 0 to `WIDTH`.

    Attributes:
        dot: the estimate.
        low, high: the ends of its interval; None without one.
        open_low, open_high: whether that end is unbounded.
        region: where the predicted region begins and ends.
        thresholds: its finite ends.
    """

    dot: float
    low: float | None
    high: float | None
    open_low: bool
    open_high: bool
    region: tuple[float, float]
    thresholds: tuple[float, ...]


def region_of(predicts: str) -> Region | None:
    """Return the region that a prediction names, or None if it is no region of numbers."""
    try:
        return parse_region(predicts)
    except ValueError:
        return None


def axis_of(region: Region | None, estimates: Iterable[Estimate | None]) -> Axis | None:
    """Return an axis on which a region's ends and all estimates show, or None if there is nothing to show."""
    if region is None:
        return None
    ends = [end for end in (region.low, region.high) if math.isfinite(end)]
    seen = [value for one in estimates if one is not None for value in (one.value, one.low, one.high)]
    finite = [value for value in seen if value is not None and math.isfinite(value)]
    if not finite:
        return None
    low, high = min(*ends, *finite), max(*ends, *finite)
    room = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    return Axis(low - room, high + room, region)


def bar_of(axis: Axis | None, estimate: Estimate | None) -> Bar | None:
    """Return how an estimate is drawn on an axis."""
    if axis is None or estimate is None or not math.isfinite(estimate.value):
        return None
    region = axis.region
    has_interval = estimate.level is not None or None not in (estimate.low, estimate.high)
    low, high = (None if end is None else axis.at(end) for end in (estimate.low, estimate.high))
    return Bar(
        dot=axis.at(estimate.value),
        low=(PAD if low is None else low) if has_interval else None,
        high=(WIDTH - PAD if high is None else high) if has_interval else None,
        open_low=has_interval and _unbounded(estimate.low),
        open_high=has_interval and _unbounded(estimate.high),
        region=(
            axis.at(region.low) if math.isfinite(region.low) else 0.0,
            axis.at(region.high) if math.isfinite(region.high) else WIDTH,
        ),
        thresholds=tuple(axis.at(end) for end in (region.low, region.high) if math.isfinite(end)),
    )


def _unbounded(end: float | None) -> bool:
    return end is None or math.isinf(end)
