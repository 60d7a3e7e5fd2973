"""Correlation of two metrics within categories."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.correlation import CorrelationFit, correlate, fit_correlation, fit_ranks, paired, ranks
from refutable.statistics.jackknife import pearson_without, spearman_within_without
from refutable.statistics.shapes import Paired
from refutable.statistics.student import is_flat


def pearson_within_categories(data: Data) -> CorrelationFit:
    """Pearson's correlation of two metrics given the category, that is, of their deviations from category means.

    A partial correlation that holds fixed one variable for each category but one, and loses as many units.
    """
    x, y, of = _left(data)
    sizes = np.bincount(of)
    method = f"Pearson within {len(sizes)} categories, Fisher z and jackknife"
    without = pearson_without(x, y, 1 / sizes[of])
    return fit_correlation(correlate(x, y), without, len(x), 3 + len(sizes) - 1, data.samples[0].unit, method)


def spearman_within_categories(data: Data) -> CorrelationFit:
    """Spearman's correlation of two metrics' deviations from category means; variance of Bonett and Wright."""
    x, y, of = _left(data)
    rho, categories = correlate(ranks(x), ranks(y)), int(of.max()) + 1
    method = f"Spearman within {categories} categories, Fisher z and jackknife"
    without = spearman_within_without(x, y, of)
    return fit_ranks(rho, without, len(x), 3 + categories - 1, data.samples[0].unit, method)


def _left(data: Data) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
    """Return both metrics' deviations from category means, in categories of 2 prompts or more, and whose they are."""
    x, y = paired(data)
    categories = data.samples[0].by_category().values()
    if not categories:
        raise Undecidable(f"these {data.samples[0].unit}s have no category")
    groups = [inside for inside in categories if inside.sum() >= 2]
    if not groups:
        raise Undecidable("every category has one prompt: nothing varies inside it")
    left = [np.concatenate([v[group] - v[group].mean() for group in groups]) for v in (x, y)]
    for sample, whole, inside in zip(data.samples, (x, y), left, strict=True):
        if is_flat(np.append(inside + np.abs(whole).max(), np.abs(whole).max())):
            raise Undecidable(f"{sample.of} does not vary inside any category: nothing of it is left to correlate")
    return left[0], left[1], np.repeat(np.arange(len(groups)), [int(group.sum()) for group in groups])


STATISTICS.add(
    Statistic(
        "pearson_within_categories",
        (Assumption.INDEPENDENT_INSIDE, Assumption.LITTLE_SKEW, Assumption.LIGHT_TAILS),
        pearson_within_categories,
        caveats=("it says nothing of how categories differ",),
        takes=Paired(by_category=True),
        range=(-1.0, 1.0),
        least=4,
        calibrated_from=8,
        version=2,
    ),
)
STATISTICS.add(
    Statistic(
        "spearman_within_categories",
        (Assumption.INDEPENDENT_INSIDE,),
        spearman_within_categories,
        caveats=("the true correlation is not beyond 0.7",),
        takes=Paired(by_category=True),
        range=(-1.0, 1.0),
        least=4,
        calibrated_from=8,
        version=2,
    ),
)
