"""What the data say about a statistic's assumptions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from refutable.statistics import Data, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.over import units_over
from refutable.statistics.sample import Sample
from refutable.statistics.skewness import SEEN, skewness, standard_error

CLUSTERED = 0.05  # clustering is reported if an F test is significant at this level


class Clustering(NamedTuple):
    """How alike units of a category are: the estimated intraclass correlation, and p of the F test that it is 0."""

    icc: float  # estimated share of the variance between categories; below 0 for none
    p: float


LINES = ("slope", "power_law_exponent")  # least squares, which one unit far along the line decides alone
SMALL = 8  # so few units that one often lies far from the others
LEVER = 0.5  # leverage, of 1 at most, from which a unit counts for more than all others together
UNCALIBRATED = "uncalibrated below"  # how a label begins that says from which n the error rates are known


class Checks(NamedTuple):
    """Lines of evidence by name, and labels."""

    details: Mapping[str, str]
    labels: tuple[str, ...]


def check(statistic: Statistic, data: Data) -> Checks:
    """Check skewness and clustering by category, as far as a statistic relies on them. Changes no verdict.

    Of a value per layer, what is told is the range of skewness over layers, and the layer that goes most by category.
    """
    details: dict[str, str] = {"assumes": "; ".join((*statistic.assumes, *statistic.caveats))}
    far = _leverage(statistic, data)
    if far:
        details["leverage"] = f"{far:.2g} of 1: a unit lies far from the others along the line"
    few = 0 < units_of(statistic.name, data.samples[0]) < statistic.calibrated_from
    clustered, skewed = [], []
    for sample in statistic.varies(data) if statistic.varies is not None else ():
        if sample.n < 3:
            continue
        if Assumption.LITTLE_SKEW in statistic.assumes and np.ptp(sample.values) > 0:
            found = sample.once("skewness", partial(_skewness_of_columns, sample.values))
            low, high = float(found.min()), float(found.max())
            layers = f" to {high:.2g} over layers" if found.size > 1 else ""
            details[f"skewness of {sample.of}"] = f"{low:.2g}{layers}"
            skewed += [x for x in (low, high) if abs(x) > SEEN * standard_error(sample.n)]
        most = sample.once("clustering", partial(_clustering_of_columns, sample))
        if most is not None:
            layer = " of the layer that goes most by it" if sample.values.ndim > 1 else ""
            details[f"clustering of {sample.of}"] = f"ICC {most.icc:.2g} by category{layer}, p = {most.p:.2g}"
            if most.p < CLUSTERED and Assumption.INDEPENDENT in statistic.assumes:
                clustered.append(most.icc)
    labels = [f"{UNCALIBRATED} n = {statistic.calibrated_from}"] if few else []
    labels += [f"clustered by category (ICC {max(clustered):.2g})"] if clustered else []
    labels += [f"skewed ({max(skewed, key=abs):.2g})"] if skewed else []
    labels += [f"one-unit-decides (leverage {far:.2g})"] if far else []
    return Checks(details, tuple(labels))


def _leverage(statistic: Statistic, data: Data) -> float:
    """Return the leverage of the unit that pulls hardest at a line, less what all n units share; 0 if none does.

    Of units as they come, n of them, none is likely to pull as hard as all others together.
    """
    if statistic.name not in LINES or statistic.varies is None:
        return 0.0
    x = statistic.varies(data)[-1].values
    across = (x - x.mean()) ** 2
    most = float(across.max() / across.sum()) if len(x) > SMALL and across.any() else 0.0
    return most if most > LEVER else 0.0


def units_of(statistic: str, sample: Sample) -> int:
    """Return how many units a statistic has of a sample: its own, or their categories."""
    return units_over(statistic, sample.n, len({name for name in sample.clusters if name}))


def _skewness_of_columns(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return skewness(values.reshape(len(values), -1))


def _clustering_of_columns(sample: Sample) -> Clustering | None:
    """Return the clustering of the column that has the smallest p, times the number of columns (Bonferroni)."""
    columns = sample.values.reshape(sample.n, -1).T
    found = [one for column in columns if (one := clustering(replace(sample, values=column))) is not None]
    if not found:
        return None
    most = min(found, key=lambda one: one.p)
    return most._replace(p=min(1.0, len(found) * most.p))


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
