"""The trimmed mean, for samples where a few extreme prompts should not decide."""

from __future__ import annotations

import math

import numpy as np

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.student import TFit, is_flat

TRIM = 0.2


def trimmed_mean(data: Data) -> TFit:
    """The mean without the lowest and the highest fifth of the units, with a t bound from the winsorised spread.

    The error is Yuen's (1974, Biometrika 61). It estimates the population's trimmed mean, which equals its mean only
    for a symmetric distribution.
    """
    (sample,) = data.samples
    n = sample.n
    cut = int(TRIM * n)
    if cut < 1:
        raise Undecidable(f"a fifth must be a whole {sample.unit}: a trimmed mean needs at least 5, here {n}")
    ordered = np.sort(sample.values)
    winsorised = np.clip(ordered, ordered[cut], ordered[-cut - 1])
    if is_flat(winsorised):
        raise Undecidable(
            f"the middle of the {n} values is all {ordered[cut]:.6g}: without spread a t bound says nothing"
        )
    kept, spread = n - 2 * cut, float(np.std(winsorised, ddof=1))
    error = spread * math.sqrt((n - 1) / (kept * (kept - 1)))
    value = float(ordered[cut : n - cut].mean())
    return TFit(value, error, kept - 1, spread, n, sample.unit, "t of the 20 % trimmed mean")


STATISTICS.add(
    Statistic(
        "trimmed_mean",
        (Assumption.INDEPENDENT, Assumption.LITTLE_SKEW),
        trimmed_mean,
        least=5,
        calibrated_from=10,
        varies=lambda data: data.samples,
    ),
)
