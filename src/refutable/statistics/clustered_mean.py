"""The mean over categories, for prompts that resemble each other within a category."""

from __future__ import annotations

import numpy as np

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.student import TFit, fit_values
from refutable.statistics.takes import Takes


def clustered_mean(data: Data) -> TFit:
    """The mean of the categories' means, with a t bound over categories: the category is the unit of replication.

    For categories of equal size this is the mean over prompts with its cluster-robust error and one degree of freedom
    less than there are categories (Cameron and Miller, 2015, Journal of Human Resources 50). Prompts without a
    category are ignored.
    """
    (sample,) = data.samples
    categories = sample.by_category()
    if len(categories) < 2:
        seen = f"all of {next(iter(categories))!r}" if categories else "of none"
        raise Undecidable(f"a mean over categories needs 2 of them; these {sample.unit}s are {seen}")
    means = np.array([sample.values[inside].mean() for inside in categories.values()])
    return fit_values(means, "category")


STATISTICS.add(
    Statistic(
        "clustered_mean",
        (Assumption.LITTLE_SKEW,),
        clustered_mean,
        caveats=("categories are independent draws of their kind",),
        least=2,
        takes=Takes(by_category=True),
        version=2,
    ),
)
