"""Shares, layers, ratios, centres and correlations of categories like these: the category is the unit."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.bounded_mean import BoundedFit
from refutable.statistics.clustered_mean import CALIBRATED_FROM, category_means, category_medians
from refutable.statistics.correlation import CorrelationFit, correlate, fisher, paired, ranks
from refutable.statistics.geometric_mean import GeometricMeanFit, logarithms
from refutable.statistics.jackknife import error_of_z, pearson_without_each
from refutable.statistics.layers_passing import LayersFit, layers_passing
from refutable.statistics.median import MedianFit, median
from refutable.statistics.ratio_of_means import RatioFit, ratio_of_means
from refutable.statistics.region import Region
from refutable.statistics.shapes import Counted, Paired, Parts, PerLayer
from refutable.statistics.share_of_prompts import indicators
from refutable.statistics.student import TFit, fit_values, proofs
from refutable.statistics.takes import Takes
from refutable.statistics.trimmed_mean import trimmed_mean

LIKE_THESE = ("it speaks of categories like these, of which they are a sample",)


def clustered_geometric_mean(data: Data) -> GeometricMeanFit:
    """The geometric mean of the categories' geometric means: `clustered_mean` of the logarithms, transformed."""
    logs, centre = logarithms(data.samples[0])
    return GeometricMeanFit(fit_values(category_means(Data((logs,))).values, "category"), centre)


def clustered_median(data: Data) -> MedianFit:
    """The median of the categories' medians, by order statistics: a sign test over categories.

    It holds for any number of them and any distribution of theirs. Five that agree have p = 1/32.
    """
    return median(Data((category_medians(data),)))


def clustered_trimmed_mean(data: Data) -> TFit:
    """The mean of the categories' means without the lowest and the highest fifth of them, as `trimmed_mean`."""
    return trimmed_mean(Data((category_means(data),)))


def clustered_ratio_of_means(data: Data) -> RatioFit:
    """The ratio of two means over categories, by `ratio_of_means` of the categories' mean numerator and denominator."""
    above, below = (category_means(Data((sample,))) for sample in data.samples)
    return ratio_of_means(Data((above, below)))


def clustered_share(data: Data) -> BoundedFit:
    """The mean over categories of the share of their prompts where `holds` is true, by the bets of `bounded_mean`.

    Five categories in which it always holds prove a share of 0.44 at alpha 5 %.
    """
    return BoundedFit(category_means(Data(indicators(data))).values, "category")


def clustered_layers_passing(data: Data) -> LayersFit:
    """The share of these layers whose mean over categories satisfies `holds`; categories replicate, Holm over layers.

    Five categories that agree have p = 1/32, which proves one layer at alpha 5 % and never two: L layers need
    log2(L / alpha) categories, 10 for 32.
    """
    return replace(layers_passing(Data((category_means(data),), data.holds)), unit="category")


def clustered_pearson(data: Data) -> CorrelationFit:
    """Pearson's correlation over prompts, bounded by leaving out one category at a time, with t over categories.

    Categories whose correlations are all of one sign prove no more than flipped signs do: five have p = 1/32.
    """
    x, y, of = _categorised(data)
    without = pearson_without_each(x, y, of)
    return _over_categories(correlate(x, y), without, len(x), "Pearson, Fisher z and jackknife over categories")


def clustered_spearman(data: Data) -> CorrelationFit:
    """Spearman's correlation over prompts, bounded by leaving out one category at a time, as `clustered_pearson`."""

    x, y, of = _categorised(data)
    with np.errstate(invalid="ignore", divide="ignore"):  # nothing varies outside a category
        without = np.array([_of_ranks(x[of != one], y[of != one]) for one in range(int(of.max()) + 1)])
    return _over_categories(_of_ranks(x, y), without, len(x), "Spearman, Fisher z and jackknife over categories")


def _of_ranks(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    return correlate(ranks(x), ranks(y))


def _categorised(data: Data) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
    """Return both variables' values that have a category, and the number of each one's category."""
    x, y = paired(data)
    numbers = {name: at for at, name in enumerate(dict.fromkeys(filter(None, data.samples[0].clusters)))}
    if len(numbers) < 3:
        raise Undecidable(f"a correlation over categories needs 3 of them, and there are {len(numbers)}")
    of = np.array([numbers.get(name, -1) for name in data.samples[0].clusters])
    return x[of >= 0], y[of >= 0], of[of >= 0]


def _over_categories(r: float, without: NDArray[np.float64], n: int, method: str) -> CorrelationFit:
    """Fit the correlation of n prompts to those without each category."""
    error, jackknife = 1 / math.sqrt(max(n - 3, 1)), error_of_z(without)
    return CorrelationFit(r, fisher(r), error, len(without), "category", method, jackknife, lost=2, signs=True)


def _perfect(n: int, region: Region) -> tuple[CorrelationFit, ...]:
    """Return what any number of prompts in n categories could show at most."""
    method, exact = "Fisher z and jackknife over categories", 1e-9
    ends = region.extremes((-1.0, 1.0))
    return tuple(CorrelationFit(r, fisher(r), exact, n, "category", method, exact, lost=2, signs=True) for r in ends)


ASSUMED = (Assumption.INDEPENDENT_CATEGORIES, Assumption.LITTLE_SKEW)

clustered = partial(Statistic, assumes=ASSUMED, takes=Takes(by_category=True), least=2, calibrated_from=CALIBRATED_FROM)

for statistic in (
    clustered(
        "clustered_geometric_mean",
        fit=clustered_geometric_mean,
        caveats=(*LIKE_THESE, "it is the logarithms that must not be skewed"),
        extremes=proofs,
        varies=lambda data: (category_means(Data((logarithms(data.samples[0])[0],))),),
    ),
    clustered(
        "clustered_median",
        assumes=(Assumption.INDEPENDENT_CATEGORIES,),
        fit=clustered_median,
        caveats=LIKE_THESE,
        calibrated_from=1,
        extremes=STATISTICS["median"].extremes,
        varies=lambda data: (category_medians(data),),
    ),
    clustered(
        "clustered_trimmed_mean",
        fit=clustered_trimmed_mean,
        caveats=LIKE_THESE,
        least=5,
        extremes=proofs,
        varies=lambda data: (category_means(data),),
    ),
    clustered(
        "clustered_ratio_of_means",
        fit=clustered_ratio_of_means,
        caveats=(*LIKE_THESE, "what must not be skewed is numerator less ratio times denominator"),
        takes=Parts(by_category=True),
        extremes=proofs,
    ),
    clustered(
        "clustered_share",
        assumes=(Assumption.INDEPENDENT_CATEGORIES,),
        fit=clustered_share,
        caveats=LIKE_THESE,
        takes=Counted(by_category=True),
        calibrated_from=1,
        extremes=STATISTICS["bounded_mean"].extremes,
        varies=lambda data: (category_means(Data(indicators(data))),),
        powerless="it depends on the whole distribution, not on a mean and a spread",
    ),
    clustered(
        "clustered_layers_passing",
        fit=clustered_layers_passing,
        caveats=(*LIKE_THESE, "layers may depend on each other"),
        takes=PerLayer(by_category=True),
        extremes=STATISTICS["layers_passing"].extremes,
        varies=lambda data: (category_means(data),),
        powerless="each layer has a spread of its own",
    ),
    *(
        clustered(
            function.__name__,
            assumes=assumed,
            fit=function,
            caveats=LIKE_THESE,
            takes=Paired(by_category=True),
            range=(-1.0, 1.0),
            least=3,
            extremes=_perfect,
            calibrated_from=20,
        )
        for function, assumed in (
            (clustered_pearson, (*ASSUMED, Assumption.LIGHT_TAILS)),
            (clustered_spearman, ASSUMED[:1]),
        )
    ),
):
    STATISTICS.add(statistic)
