"""What can be seen, on the data themselves, of the assumptions that a statistic makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from refutable.sample import Sample
from refutable.statistics import Data, Statistic
from refutable.statistics.assumptions import Assumption

SEEN = 0.05  # a clustering is named where an F test at this level sees it


class Clustering(NamedTuple):
    """How alike the units of a category are.

    Attributes:
        icc: intraclass correlation: share of the variance that lies between categories, estimated; below 0 for none.
        p: of the F test that there is none.
    """

    icc: float
    p: float


class Checks(NamedTuple):
    """What was seen: lines of evidence by name, and labels."""

    details: Mapping[str, str]
    labels: tuple[str, ...]


def check(statistic: Statistic, data: Data) -> Checks:
    """Look at what a statistic relies on: skewness, and clustering by category. Changes no verdict."""
    details: dict[str, str] = {"assumes": "; ".join((*statistic.assumes, *statistic.caveats))}
    labels = []
    for sample in statistic.varies(data) if statistic.varies is not None else ():
        if sample.values.ndim != 1 or sample.n < 3:
            continue
        if Assumption.LITTLE_SKEW in statistic.assumes and np.ptp(sample.values) > 0:
            details[f"skewness of {sample.of}"] = f"{float(stats.skew(sample.values, bias=False)):.2g}"
        found = clustering(sample)
        if found is not None:
            details[f"clustering of {sample.of}"] = f"ICC {found.icc:.2g} by category, p = {found.p:.2g}"
            if found.p < SEEN and Assumption.INDEPENDENT in statistic.assumes:
                labels.append(found.icc)
    label = (f"clustered by category (ICC {max(labels):.2g})",) if labels else ()
    return Checks(details, label)


def clustering(sample: Sample) -> Clustering | None:
    """Return how alike units of one category are, by one-way analysis of variance (Fisher, 1925).

    None without categories, with one prompt in each, or without any spread.
    """
    groups = _groups(sample)
    n, k = sum(map(len, groups)), len(groups)
    if k < 2 or n <= k or np.ptp(sample.values) == 0:
        return None
    within = sum(float(((g - g.mean()) ** 2).sum()) for g in groups) / (n - k)
    between = sum(len(g) * float((g.mean() - sample.values.mean()) ** 2) for g in groups) / (k - 1)
    if within == 0:
        return Clustering(1.0, 0.0)
    size = (n - sum(len(g) ** 2 for g in groups) / n) / (k - 1)
    icc = (between - within) / (between + (size - 1) * within)
    return Clustering(icc, float(stats.f.sf(between / within, k - 1, n - k)))


def _groups(sample: Sample) -> list[NDArray[np.float64]]:
    labels = np.array(sample.clusters)
    if len(labels) != sample.n:
        return []
    return [sample.values[labels == name] for name in dict.fromkeys(sample.clusters) if name]
