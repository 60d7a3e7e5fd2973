"""Does a metric rise over categories that are each given a number?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from refutable.errors import Undecidable
from refutable.statistics import EVERY, STATISTICS, Data, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.sample import Sample
from refutable.statistics.shapes import Paired
from refutable.statistics.trend import TrendFit, trend


def trend_over_categories(data: Data) -> TrendFit:
    """The median slope over pairs of categories, from their means of the second metric to their means of the first.

    The unit is the category (for models, the family), so prompts of one category may be alike. This is Kendall's test
    on the categories' means, exact if the categories' numbers are assigned at random. Five categories in perfect order
    have p = 1/120; with one pair of neighbours exchanged, 5/120.
    """
    first, second = data.paired()
    categories = first.by_category().values()
    if len(categories) < 2:
        raise Undecidable(
            f"a trend over categories needs at least 2 of them, and these {first.unit}s have {len(categories)}"
        )
    unit = "family" if first.unit == "model" else "category"
    means = (np.array([sample.values[inside].mean() for inside in categories]) for sample in (first, second))
    samples = tuple(Sample(of.of, values, unit) for of, values in zip((first, second), means, strict=True))
    return replace(trend(Data(samples)), method="Theil-Sen of category means, exact Kendall")


STATISTICS.add(
    Statistic(
        "trend_over_categories",
        (Assumption.INDEPENDENT_CATEGORIES,),
        trend_over_categories,
        caveats=("what is left of a line is alike for every category's mean (as many prompts in each)",),
        takes=Paired(by_category=True),
        range=EVERY,
        least=2,
        extremes=STATISTICS["trend"].extremes,
        powerless="it depends on how the categories lie on both axes",
    ),
)
