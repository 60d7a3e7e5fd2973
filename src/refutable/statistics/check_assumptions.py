"""What the data say about a statistic's assumptions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from refutable.statistics import Data, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.sample import Sample

SEEN = 0.05  # clustering is reported if an F test is significant at this level


class Clustering(NamedTuple):
    """How alike units of a category are: the estimated intraclass correlation, and p of the F test that it is 0."""

    icc: float  # estimated share of the variance between categories; below 0 for none
    p: float


class Checks(NamedTuple):
    """Lines of evidence by name, and labels."""

    details: Mapping[str, str]
    labels: tuple[str, ...]


def check(statistic: Statistic, data: Data) -> Checks:
    """Check skewness and clustering by category, as far as a statistic relies on them. Changes no verdict."""
    details: dict[str, str] = {"assumes": "; ".join((*statistic.assumes, *statistic.caveats))}
    labels = []
    for sample in statistic.varies(data) if statistic.varies is not None else ():
        if sample.values.ndim != 1 or sample.n < 3:
            continue
        if Assumption.LITTLE_SKEW in statistic.assumes and np.ptp(sample.values) > 0:
            skewness = sample.once("skewness", partial(_skewness, sample.values))
            details[f"skewness of {sample.of}"] = f"{skewness:.2g}"
        found = sample.once("clustering", partial(clustering, sample))
        if found is not None:
            details[f"clustering of {sample.of}"] = f"ICC {found.icc:.2g} by category, p = {found.p:.2g}"
            if found.p < SEEN and Assumption.INDEPENDENT in statistic.assumes:
                labels.append(found.icc)
    label = (f"clustered by category (ICC {max(labels):.2g})",) if labels else ()
    return Checks(details, label)


def _skewness(values: NDArray[np.float64]) -> float:
    """Return the skewness of at least three different values, unbiased under normality (Joanes and Gill, 1998)."""
    n, left = len(values), values - values.mean()
    return float(math.sqrt(n * (n - 1)) / (n - 2) * (left**3).mean() / (left**2).mean() ** 1.5)


def clustering(sample: Sample) -> Clustering | None:
    """Return how alike the units of a category are, by one-way analysis of variance (Fisher, 1925).

    Units without a category are ignored. None if there are no categories, one prompt in each, or no spread.
    """
    values, codes = _labelled(sample)
    sizes = np.bincount(codes)  # (categories,)
    n, k = len(values), len(sizes)
    if k < 2 or n <= k or np.ptp(values) == 0:
        return None
    means = np.bincount(codes, values) / sizes
    left = values - means[codes]
    within = float(left @ left) / (n - k)
    between = float(sizes @ (means - values.mean()) ** 2) / (k - 1)
    if within == 0:
        return Clustering(1.0, 0.0)
    size = (n - float(sizes @ sizes) / n) / (k - 1)
    icc = (between - within) / (between + (size - 1) * within)
    return Clustering(icc, float(special.fdtrc(k - 1, n - k, between / within)))


def _labelled(sample: Sample) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return the values that have a category, and the index of their category; nothing if labels are missing."""
    if len(sample.clusters) != sample.n:
        return np.empty(0), np.empty(0, dtype=np.intp)
    numbers = {name: i for i, name in enumerate(dict.fromkeys(filter(None, sample.clusters)))}
    codes = np.array([numbers.get(name, -1) for name in sample.clusters], dtype=np.intp)
    return sample.values[codes >= 0], codes[codes >= 0]
