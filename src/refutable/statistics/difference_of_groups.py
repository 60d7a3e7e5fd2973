"""The difference between two groups of models; the model is the unit of replication, not the prompt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data, Side, Statistic
from refutable.statistics.mean import is_flat


@dataclass(frozen=True, slots=True)
class DifferenceFit:
    """Difference of two means, first minus second (Welch, 1947, Biometrika 34).

    Attributes:
        value: the difference.
        error: its standard error.
        freedom: Welch's degrees of freedom.
        sd: pooled standard deviation, for the effect size.
        n: number of models in both groups.
    """

    value: float
    error: float
    freedom: float
    sd: float
    n: int
    unit: str
    method: str = "Welch t"

    def lower(self, tail: float) -> float:
        """Return the lower bound at error probability `tail`."""
        return self.value - float(stats.t.isf(tail, self.freedom)) * self.error

    def upper(self, tail: float) -> float:
        """Return the upper bound at error probability `tail`."""
        return self.value + float(stats.t.isf(tail, self.freedom)) * self.error

    def p_value(self, threshold: float, side: Side) -> float:
        """Return the one-sided p-value against `threshold`."""
        t = (self.value - threshold) / self.error
        return float(stats.t.sf(t if side == "above" else -t, self.freedom))

    def effect_size(self, threshold: float) -> float:
        """Return Cohen's d with the pooled standard deviation."""
        return (self.value - threshold) / self.sd


def difference_of_groups(data: Data) -> DifferenceFit:
    """Mean of the first group of models minus mean of the second; one value a model (its mean over prompts)."""
    first, second = (sample.values for sample in data.samples)
    if len(first) < 2 or len(second) < 2:
        raise Undecidable(f"groups of {len(first)} and {len(second)} models: each needs at least 2 to show its spread")
    v1, v2 = np.var(first, ddof=1) / len(first), np.var(second, ddof=1) / len(second)
    if is_flat(first) and is_flat(second):
        raise Undecidable("the models of each group all agree exactly: without spread a t bound says nothing")
    freedom = (v1 + v2) ** 2 / (v1**2 / (len(first) - 1) + v2**2 / (len(second) - 1))
    pooled = np.sqrt((np.var(first, ddof=1) + np.var(second, ddof=1)) / 2)
    difference = float(np.mean(first) - np.mean(second))
    return DifferenceFit(
        difference, float(np.sqrt(v1 + v2)), float(freedom), float(pooled), len(first) + len(second), "model"
    )


STATISTICS.add(
    "difference_of_groups",
    Statistic(
        "difference_of_groups",
        (
            "models are independent (families share data and code: they are not)",
            "near normal",
            "groups of like size, or of 5 models and more (2 against 10 errs in 7.4 % at alpha 5 %)",
        ),
        difference_of_groups,
        needs_groups=True,
        spans="difference",
    ),
)
