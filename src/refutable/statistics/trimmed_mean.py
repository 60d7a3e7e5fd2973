"""The trimmed mean, for samples where a few extreme prompts should not decide."""

from __future__ import annotations

import math

import numpy as np

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.signed_rank import SignedRank
from refutable.statistics.student import TFit, fewest_signs, is_flat, proofs

TRIM = 0.2
MOST_RANKED = 1000


def trimmed_mean(data: Data) -> TFit:
    """The mean without the lowest and the highest fifth of the units, with a t bound from the winsorised spread.

    The error is Yuen's (1974, Biometrika 61). It estimates the population's trimmed mean, which equals its mean only
    for a symmetric distribution. The bounds are no narrower than those of the signed ranks of up to 1,000 units, which
    hold for values that are rounded or lie at two ends, where t alone errs in 8 to 19 % at alpha 5 %.
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
    ranks = SignedRank.of(sample.values) if n <= MOST_RANKED else None
    method = "t of the 20 % trimmed mean and signed ranks"
    return TFit(value, error, kept - 1, spread, n, sample.unit, method, ranks, None, fewest_signs)


STATISTICS.add(
    Statistic(
        "trimmed_mean",
        (Assumption.INDEPENDENT, Assumption.LITTLE_SKEW),
        trimmed_mean,
        least=5,
        extremes=proofs,
        varies=lambda data: data.samples,
        version=2,
    ),
)
