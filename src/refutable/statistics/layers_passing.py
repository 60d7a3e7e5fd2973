"""The share of a model's layers where something holds: layers are a census, prompts the replicates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data, Fit, Side, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.randomisation import p_of_flips
from refutable.statistics.region import Region
from refutable.statistics.sample import Sample
from refutable.statistics.shapes import PerLayer
from refutable.statistics.skewness import in_errors, t_p_value
from refutable.statistics.stepwise import holm
from refutable.statistics.student import is_flat


@dataclass(frozen=True, slots=True)
class LayersFit:
    """Layers bracketed by those proved to pass and those not proved to fail.

    Each layer's mean over prompts is tested as by `mean`. Holm's step-down over the layers bounds the probability of
    any false proof (Holm, 1979, Scandinavian Journal of Statistics 6).

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
    method: str = "t and flipped signs a layer, Holm over layers"

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


def passing_tests(
    fits: Sequence[Fit | None], means: NDArray[np.float64], region: Region, n: int, unit: str, method: str
) -> LayersFit:
    """Return the fit to layers by the fits of their means, None for one that is proved neither way.

    Args:
        fits: of each layer.
        means: the layers' means, shape (layers,).
        region: that a layer's mean must lie in to count.
        n: number of units.
        unit: what one unit is.
        method: how each mean was fitted.
    """

    def p(fit: Fit | None, threshold: float, side: Side) -> float:
        if math.isinf(threshold):
            return 0.0 if (threshold < 0) == (side == "above") else 1.0
        return 1.0 if fit is None else fit.p_value(threshold, side)

    p_pass = np.array([max(p(fit, region.low, "above"), p(fit, region.high, "below")) for fit in fits])
    outside = np.array([min(p(fit, region.low, "below"), p(fit, region.high, "above")) for fit in fits])
    p_fail = outside if region.one_sided else np.minimum(1.0, 2 * outside)
    return LayersFit(int(region.contains(means).sum()), p_pass, p_fail, n, unit, len(fits), method)


def mean_tests(sample: Sample, region: Region) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the p-values of "this mean is outside" and "this mean is inside" the region, for each column.

    Each is the larger of those of t and of flipped signs: a column is proved where its `mean` would be.
    """
    columns = sample.once("columns", partial(_Columns.of, sample.values.reshape(sample.n, -1)))
    above, below = columns.p_above(region.low), columns.p_below(region.high)
    p_pass = np.maximum(above, below)  # to pass, both ends must be proved: intersection-union
    outside = np.minimum(columns.p_below(region.low), columns.p_above(region.high))
    p_fail = outside if region.one_sided else np.minimum(1.0, 2 * outside)  # to fail, either end will do: Bonferroni
    return p_pass, p_fail


@dataclass(frozen=True, slots=True)
class _Columns:
    """What the tests of the means of several columns of values, shape (n, columns), need.

    Attributes:
        ordered: the values, each column in ascending order.
        means: shape (columns,).
        errors: their standard errors.
        flat: whether a column has no spread, so that nothing is proved of it.
        skewness: in its standard errors.
    """

    ordered: NDArray[np.float64]
    means: NDArray[np.float64]
    errors: NDArray[np.float64]
    flat: NDArray[np.bool_]
    skewness: NDArray[np.float64]

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> _Columns:
        n, means = len(values), values.mean(axis=0)
        errors = values.std(axis=0, ddof=1) / np.sqrt(n)
        return cls(np.sort(values, axis=0), means, errors, is_flat(values), in_errors(values))

    def p_above(self, threshold: float) -> NDArray[np.float64]:
        """Return the p-value of "this mean is at most the threshold" for each column."""
        return self._p(self.means - threshold, self.ordered - threshold, "above")

    def p_below(self, threshold: float) -> NDArray[np.float64]:
        """Return the p-value of "this mean is at least the threshold" for each column."""
        return self._p(threshold - self.means, threshold - self.ordered, "below")

    def _p(self, distance: NDArray[np.float64], beyond: NDArray[np.float64], side: Side) -> NDArray[np.float64]:
        """Return the p-values of means and of values that lie this far beyond a threshold."""
        if not np.isfinite(distance).all():  # an end of a one-sided region
            return np.where(distance > 0, 0.0, 1.0)
        n, toward = len(beyond), self.skewness if side == "below" else -self.skewness
        t = np.divide(distance, self.errors, out=np.zeros_like(distance), where=~self.flat)
        p = np.array([t_p_value(one, n - 1, skewed, n) for one, skewed in zip(t, toward, strict=True)])
        return np.where(self.flat, 1.0, np.maximum(p, p_of_flips(beyond)))


def _rejected(p: NDArray[np.float64], tail: float) -> int:
    return int((holm(p) <= tail).sum())


def certain(passing: int, total: int, n: int, unit: str, whole: int, proof: float = 0.0) -> LayersFit:
    """Return a fit to `total` layers, each of which passes or fails with p-value `proof`."""
    passes = np.arange(total) < passing
    return LayersFit(passing, np.where(passes, proof, 1.0), np.where(passes, 1.0, proof), n, unit, whole)


def _extremes(n: int, region: Region) -> tuple[LayersFit, ...]:
    layers = 1000  # fine enough for any share
    proof = 0.5**n / layers  # as if there were one layer, of which n prompts agree
    return tuple(certain(round(layers * x), layers, n, "prompt", layers, proof) for x in region.extremes((0.0, 1.0)))


STATISTICS.add(
    Statistic(
        "layers_passing",
        (Assumption.INDEPENDENT, Assumption.LITTLE_SKEW),
        layers_passing,
        caveats=(
            "each layer's values over prompts are not skewed; layers may depend on each other",
            "at alpha 1 % skewed layers of 25 prompts err in 1.8 %",
        ),
        takes=PerLayer(),
        powerless="each layer has a spread of its own",
        extremes=_extremes,
        varies=lambda data: data.samples,
        skewed_from=25,
        skewed_alpha=0.05,
        version=2,
    ),
)
