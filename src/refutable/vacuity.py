"""Whether any data at all would satisfy a prediction: then it says nothing, however surely it is SUPPORTED."""

from __future__ import annotations

from refutable.claims import MeasuredTest
from refutable.metrics import METRICS
from refutable.predicate import Region


def is_vacuous(test: MeasuredTest) -> bool:
    """Whether the prediction holds, but for a bare end, all values that its metrics can take.

    A cosine below 1, an entropy above 0, a cancellation ratio below 1 (the triangle inequality) are predictions of
    this kind.
    """
    if test.groups is not None:
        return False
    if test.holds is not None:
        return _holds_all(test.holds_region, _range(test))
    return _holds_all(test.region, _range(test) if len(test.of) == 1 else (-1.0, 1.0))


def _range(test: MeasuredTest) -> tuple[float, float]:
    """Return the values that any data could give the test's metric, or a difference of two of them."""
    low, high = METRICS[test.of[0]].range
    return (low, high) if test.against is None else (low - high, high - low)


def _holds_all(region: Region, values: tuple[float, float]) -> bool:
    return region.low <= values[0] and values[1] <= region.high
