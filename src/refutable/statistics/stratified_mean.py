"""The mean over prompts of these categories, and of their layers: categories are fixed, prompts vary inside them."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from numpy.typing import NDArray

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.geometric_mean import GeometricMeanFit, logarithms
from refutable.statistics.layers_passing import LayersFit, passing_tests
from refutable.statistics.randomisation import resigned
from refutable.statistics.sample import Sample
from refutable.statistics.shapes import PerLayer
from refutable.statistics.skewness import in_errors
from refutable.statistics.student import TFit, fewest_signs, is_flat
from refutable.statistics.takes import Takes

METHOD = "stratified t and random signs"


def stratified_mean(data: Data) -> TFit:
    """The mean over prompts of these categories, which are not taken for a sample of others.

    Every category counts as often as it has prompts. Only the variances inside categories enter the error, each with
    its own degrees of freedom (Satterthwaite, 1946, Biometrics Bulletin 2). The bounds are no narrower than those of
    deviations with random signs, for long or short tails, and wider where deviations are skewed. Prompts without a
    category are ignored.
    """
    (sample,) = data.samples
    return _fit(sample)


def stratified_geometric_mean(data: Data) -> GeometricMeanFit:
    """The geometric mean over prompts of these categories: `stratified_mean` of the logarithms, transformed."""
    logs, centre = logarithms(data.samples[0])
    return GeometricMeanFit(_fit(logs), centre, f"{METHOD}, of logarithms")


def stratified_layers_passing(data: Data) -> LayersFit:
    """The share of these layers whose mean over prompts of these categories satisfies `holds`, Holm over layers."""
    (sample,) = data.samples
    assert data.holds is not None
    labelled, _ = strata(sample)
    fits = [_fit_column(column, sample) for column in sample.values.T]
    means = sample.values[labelled].mean(axis=0)
    return passing_tests(fits, means, data.holds, int(labelled.sum()), sample.unit, f"{METHOD}, a layer, Holm")


def _fit_column(column: NDArray[np.float64], sample: Sample) -> TFit | None:
    try:
        return _fit(Sample(sample.of, column, sample.unit, sample.clusters))
    except Undecidable:
        return None


def strata(sample: Sample) -> tuple[NDArray[np.bool_], list[NDArray[np.bool_]]]:
    """Return which units have a category, and which are in each.

    Raises:
        Undecidable: there is no category, or one of a single unit, which shows no spread.
    """
    inside = [*sample.by_category().values()]
    if not inside:
        raise Undecidable(f"these {sample.unit}s have no category")
    if min(int(one.sum()) for one in inside) < 2:
        raise Undecidable(f"a category has one {sample.unit}: how much it varies inside that category cannot be said")
    return np.any(inside, axis=0), inside


def _fit(sample: Sample) -> TFit:
    labelled, inside = strata(sample)
    groups = [sample.values[one] for one in inside]
    if all(is_flat(group) for group in groups):
        raise Undecidable(f"{sample.of} does not vary inside any category: without spread a t bound says nothing")
    n = int(labelled.sum())
    parts = np.array([len(g) / n**2 * np.var(g, ddof=1) for g in groups])  # (categories,), of the mean's variance
    error = math.sqrt(float(parts.sum()))
    freedom = float(parts.sum() ** 2 / (parts**2 / [len(g) - 1 for g in groups]).sum())
    mean = float(sample.values[labelled].mean())
    left = np.concatenate([group - group.mean() for group in groups])
    least = np.concatenate([np.full(len(g), len(g) / (len(g) - 1)) for g in groups])  # less its leverage on its mean
    flips = resigned(mean, left * least / n)
    return TFit(
        mean,
        error,
        freedom,
        error * math.sqrt(n),
        n,
        sample.unit,
        METHOD,
        flips,
        float(in_errors(left)),
        fewest_signs,
    )


def _inside(sample: Sample) -> Sample:
    """Return the deviations from the categories' means."""
    labelled, inside = strata(sample)
    left = sample.values.copy()
    for one in inside:
        left[one] -= left[one].mean(axis=0)
    return Sample(f"{sample.of} inside its category", left[labelled], sample.unit)


ASSUMED = (Assumption.INDEPENDENT_INSIDE, Assumption.LITTLE_SKEW, Assumption.LIGHT_TAILS)
CAVEATS = (
    "it says nothing of other categories than these",
    "three heavy prompts of 25 err in 12 % at alpha 10 %, and in no more than alpha below that",
)

stratified = partial(Statistic, assumes=ASSUMED, takes=Takes(by_category=True), least=2, calibrated_from=10)

for statistic in (
    stratified(
        "stratified_mean",
        fit=stratified_mean,
        caveats=CAVEATS,
        varies=lambda data: tuple(map(_inside, data.samples)),
    ),
    stratified(
        "stratified_geometric_mean",
        fit=stratified_geometric_mean,
        caveats=(*CAVEATS, "it is the logarithms that must not be skewed"),
        varies=lambda data: (_inside(logarithms(data.samples[0])[0]),),
    ),
    stratified(
        "stratified_layers_passing",
        fit=stratified_layers_passing,
        caveats=(*CAVEATS, "layers may depend on each other"),
        takes=PerLayer(by_category=True),
        extremes=STATISTICS["layers_passing"].extremes,
        varies=lambda data: tuple(map(_inside, data.samples)),
        powerless="each layer has a spread of its own",
    ),
):
    STATISTICS.add(statistic)
