"""Does a metric rise over categories that are each given a number?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from refutable.errors import Undecidable
from refutable.statistics import EVERY, STATISTICS, Data, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.sample import Sample
from refutable.statistics.shapes import Paired
from refutable.statistics.trend import TrendFit, trend


def trend_over_categories(data: Data) -> TrendFit:
    """The median slope over pairs of categories of their means of one metric on their means of another.

    The unit is the category (of models: the family), so that prompts of one category may be alike: Kendall's test on
    the categories' means, exact where the categories' numbers are dealt out to them at random. Five categories in
    perfect order have p = 1/120 and all but one pair of neighbours in order 5/120.
    """
    first, second = data.samples
    if first.n != second.n:
        raise Undecidable(f"{first.of} has {first.n} values and {second.of} {second.n}: they do not pair")
    names = [name for name in dict.fromkeys(first.clusters) if name]
    if len(names) < 2:
        raise Undecidable(
            f"a trend over categories needs at least 2 of them, and these {first.unit}s have {len(names)}"
        )
    unit = "family" if first.unit == "model" else "category"
    means = tuple(Sample(of.of, _means(of.values, first.clusters, names), unit) for of in (first, second))
    return replace(trend(Data(means)), method="Theil-Sen of category means, exact Kendall")


def _means(values: NDArray[np.float64], clusters: tuple[str, ...], names: list[str]) -> NDArray[np.float64]:
    labels = np.array(clusters)
    return np.array([values[labels == name].mean() for name in names])


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
