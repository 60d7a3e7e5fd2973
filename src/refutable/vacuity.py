"""Whether any data at all would satisfy a prediction: then it says nothing, however surely it is SUPPORTED."""

from __future__ import annotations

from refutable.claims import MeasuredTest
from refutable.metrics import METRICS
from refutable.predicate import Region
from refutable.statistics import STATISTICS


def is_vacuous(test: MeasuredTest) -> bool:
    """Whether the prediction holds, but for a bare end, all values that its metrics can take.

    A cosine below 1, an entropy above 0, a cancellation ratio below 1 (the triangle inequality) are predictions of
    this kind.
    """
    if test.groups is not None:
        return False
    if test.holds is not None:
        return _holds_all(test.holds_region, METRICS[test.of[0]].range)
    return _holds_all(test.region, STATISTICS[test.statistic].range or METRICS[test.of[0]].range)


def _holds_all(region: Region, values: tuple[float, float]) -> bool:
    return region.low <= values[0] and values[1] <= region.high
