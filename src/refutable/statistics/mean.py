"""The arithmetic mean, by Student's t."""

from __future__ import annotations

from refutable.statistics import STATISTICS, Data, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.student import TFit, fit_values, proofs


def mean(data: Data) -> TFit:
    """The arithmetic mean over units, with a bound on either side: t, no narrower than flipped signs allow.

    At alpha 5 % it needs five units that agree. Skewness widens the bound on the side of the long
    tail, up to five times.
    """
    (sample,) = data.samples
    return fit_values(sample.values, sample.unit)


STATISTICS.add(
    Statistic(
        "mean",
        (Assumption.INDEPENDENT, Assumption.LITTLE_SKEW),
        mean,
        least=2,
        extremes=proofs,
        skewed_from=25,
        version=2,
        varies=lambda data: data.samples,
    ),
)
