"""The arithmetic mean, by Student's t."""

from __future__ import annotations

from refutable.statistics import STATISTICS, Data, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.student import TFit, fit_values


def mean(data: Data) -> TFit:
    """The arithmetic mean over units, with a t bound on either side."""
    (sample,) = data.samples
    return fit_values(sample.values, sample.unit)


STATISTICS.add(
    Statistic(
        "mean",
        (Assumption.INDEPENDENT, Assumption.LITTLE_SKEW),
        mean,
        least=2,
        varies=lambda data: data.samples,
    ),
)
