"""The difference of two means by Welch's t: between groups of models, or of prompts by category."""

from __future__ import annotations

import numpy as np

from refutable.errors import Undecidable
from refutable.statistics import EVERY, STATISTICS, Data, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.permutation_difference import exchanges
from refutable.statistics.shapes import Categories, Groups
from refutable.statistics.student import TFit, is_flat


def difference_of_groups(data: Data) -> TFit:
    """Mean of the first group of models minus that of the second; one value per model (its mean over prompts)."""
    return _welch(data, "model")


def difference_of_categories(data: Data) -> TFit:
    """Mean over the prompts of the first categories minus that over those of the second."""
    return _welch(data, "prompt")


def _welch(data: Data, unit: str) -> TFit:
    """Fit the difference of two independent means (Welch, 1947, Biometrika 34), no narrower than by permutation.

    Welch's t holds for normal values of unequal spread, the permutation for groups that differ by a shift alone,
    whatever their tails or skewness: the wider bound holds in both cases. Groups of 2 and 3 units prove nothing at 5 %.
    """
    first, second = (sample.values for sample in data.samples)
    n1, n2 = len(first), len(second)
    if n1 < 2 or n2 < 2:
        raise Undecidable(f"groups of {n1} and {n2} {unit}s: each needs at least 2 to show its spread")
    if is_flat(first) and is_flat(second):
        raise Undecidable(f"the {unit}s of each group all agree exactly: without spread a t bound says nothing")
    s1, s2 = np.var(first, ddof=1), np.var(second, ddof=1)
    v1, v2 = s1 / n1, s2 / n2
    freedom = (v1 + v2) ** 2 / (v1**2 / (n1 - 1) + v2**2 / (n2 - 1))
    difference = float(np.mean(first) - np.mean(second))
    pooled = float(np.sqrt((s1 + s2) / 2))
    error, deals = float(np.sqrt(v1 + v2)), exchanges(first, second)
    return TFit(difference, error, float(freedom), pooled, n1 + n2, unit, "Welch t and permutation", deals)


ASSUMED = (Assumption.INDEPENDENT, Assumption.LITTLE_SKEW, Assumption.BALANCED)

STATISTICS.add(
    Statistic(
        "difference_of_groups",
        ASSUMED,
        difference_of_groups,
        caveats=("families share data and code: their models are not independent",),
        takes=Groups(),
        range=EVERY,
        least=4,
        calibrated_from=10,
        varies=lambda data: data.samples,
        version=2,
    ),
)
STATISTICS.add(
    Statistic(
        "difference_of_categories",
        ASSUMED,
        difference_of_categories,
        caveats=("it speaks of prompts of these categories, not of categories like them",),
        takes=Categories(),
        range=EVERY,
        least=4,
        calibrated_from=10,
        varies=lambda data: data.samples,
        version=2,
    ),
)
