"""The share of a model's layers where something holds: layers are a census, prompts the replicates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import special

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data, Side, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.region import Region
from refutable.statistics.sample import Sample
from refutable.statistics.shapes import PerLayer
from refutable.statistics.student import is_flat


@dataclass(frozen=True, slots=True)
class LayersFit:
    """Layers bracketed by those proved to pass and those not proved to fail.

    Each layer's mean over prompts is tested by t. Holm's step-down over the layers bounds the probability of any false
    proof (Holm, 1979, Scandinavian Journal of Statistics 6).

    Attributes:
        passing: number of layers whose mean lies in the region.
        p_pass: p-value, for each layer, of "this layer does not pass", shape (layers,).
        p_fail: p-value, for each layer, of "this layer passes", shape (layers,).
        n: number of prompts.
        whole: divisor of the number that pass: the number of layers for a share, 1 for a count.
    """

    passing: int
    p_pass: NDArray[np.float64]
    p_fail: NDArray[np.float64]
    n: int
    unit: str
    whole: int
    method: str = "t a layer, Holm over layers"

    @property
    def layers(self) -> int:
        """Number of layers."""
        return int(self.p_pass.shape[0])

    @property
    def value(self) -> float:
        """Share (or count) of layers whose mean lies in the region."""
        return self.passing / self.whole

    def lower(self, tail: float) -> float:
        """Return the share of layers proved to pass."""
        return _rejected(self.p_pass, tail) / self.whole

    def upper(self, tail: float) -> float:
        """Return the share of layers not proved to fail."""
        return (self.layers - _rejected(self.p_fail, tail)) / self.whole

    def p_value(self, threshold: float, side: Side) -> float:
        """Return the smallest error probability at which the bound reaches the threshold."""
        for proved, p in enumerate([0.0, *np.sort(holm(self.p_pass if side == "above" else self.p_fail))]):
            share = (proved if side == "above" else self.layers - proved) / self.whole
            if share >= threshold if side == "above" else share <= threshold:
                return float(p)
        return 1.0

    def effect_size(self, threshold: float) -> None:
        """Return None: the share itself is the effect."""


def layers_passing(data: Data) -> LayersFit:
    """The share of these layers whose mean over prompts satisfies `holds`; layers are a census, prompts replicate."""
    (sample,) = data.samples
    assert data.holds is not None
    values = sample.values  # (prompts, layers)
    if sample.n < 2:
        raise Undecidable(f"one prompt has no spread: layers_passing needs at least 2, here {sample.n}")
    p_pass, p_fail = mean_tests(sample, data.holds)
    passing = int(data.holds.contains(values.mean(axis=0)).sum())
    return LayersFit(passing, p_pass, p_fail, sample.n, sample.unit, values.shape[1])


def mean_tests(sample: Sample, region: Region) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the p-values of "this mean is outside" and "this mean is inside" the region, by t, for each column."""
    n = sample.n
    means, error, flat = sample.once("columns", partial(_columns, sample.values))
    with np.errstate(divide="ignore", invalid="ignore"):
        above_low, below_high = (means - region.low) / error, (region.high - means) / error  # t of either end
    # to pass, both ends must be proved: intersection-union
    p_pass = np.maximum(special.stdtr(n - 1, -above_low), special.stdtr(n - 1, -below_high))
    outside = np.minimum(special.stdtr(n - 1, above_low), special.stdtr(n - 1, below_high))
    p_fail = outside if region.one_sided else np.minimum(1.0, 2 * outside)  # to fail, either end will do: Bonferroni
    return np.where(flat, 1.0, p_pass), np.where(flat, 1.0, p_fail)  # without spread nothing is proved


def _columns(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return each column's mean and standard error, and whether it has no spread, for values of (n, layers)."""
    return values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(values)), is_flat(values)


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Holm's adjusted p-values, in the shape and order of `p`.

    By hand, because statsmodels' version runs the garbage collector on each call (50 ms, even without torch loaded).
    """
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


def _rejected(p: NDArray[np.float64], tail: float) -> int:
    return int((holm(p) <= tail).sum())


def certain(passing: int, total: int, n: int, unit: str, whole: int, proof: float = 0.0) -> LayersFit:
    """Return a fit to `total` layers, each of which passes or fails with p-value `proof`."""
    passes = np.arange(total) < passing
    return LayersFit(passing, np.where(passes, proof, 1.0), np.where(passes, 1.0, proof), n, unit, whole)


def _extremes(n: int, region: Region) -> tuple[LayersFit, ...]:
    layers = 1000  # fine enough for any share
    proof = 0.0 if n > 1 else 1.0  # one prompt proves nothing
    return tuple(certain(round(layers * x), layers, n, "prompt", layers, proof) for x in region.extremes((0.0, 1.0)))


STATISTICS.add(
    Statistic(
        "layers_passing",
        (Assumption.INDEPENDENT, Assumption.LITTLE_SKEW),
        layers_passing,
        caveats=("each layer's values over prompts are not skewed; layers may depend on each other",),
        takes=PerLayer(),
        powerless="each layer has a spread of its own",
        extremes=_extremes,
    ),
)
