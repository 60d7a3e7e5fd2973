"""Layers one by one, beside a mean over them: a mean may hide its opposite."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from refutable.claims import MeasuredTest
from refutable.errors import Undecidable
from refutable.evidence.specification import fit_of
from refutable.statistics.sample import Sample
from refutable.statistics.stepwise import holm
from refutable.verdicts.judge import p_values

LAYERS_DISAGREE = "layers-disagree"


@dataclass(frozen=True, slots=True)
class Layers:
    """A claim's own statistic in each layer; a layer to which it cannot be fitted has NaN and proves nothing.

    Attributes:
        first: the number of the first layer, 2 if the first block is left out.
        values: the statistic in each layer, shape (layers,).
        p_inside: p-values, adjusted by Holm over the layers, of "this layer is as predicted", shape (layers,).
        p_outside: the same of its opposite.
    """

    first: int
    values: NDArray[np.float64]
    p_inside: NDArray[np.float64]
    p_outside: NDArray[np.float64]

    def disagree(self, alpha: float) -> bool:
        """Whether some layer is significantly as predicted, and another significantly not.

        If all layers are truly on one side, the probability is at most alpha, whatever the layers share: it takes one
        false proof, and Holm's step-down bounds the probability of any.
        """
        return bool((self.p_inside <= alpha).any() and (self.p_outside <= alpha).any())

    def told(self, alpha: float) -> str:
        """Return how many layers lie on either side, and from where to where they run, in words."""
        inside, outside = (int((p <= alpha).sum()) for p in (self.p_inside, self.p_outside))
        sides = f"{inside} of {len(self.values)} lie inside, {outside} outside"
        if np.isnan(self.values).all():
            return sides
        ends = (int(np.nanargmin(self.values)), int(np.nanargmax(self.values)))
        least, greatest = (f"{self.values[at]:.4g} (layer {at + self.first})" for at in ends)
        return f"{sides}, each by its own test (Holm over layers); from {least} to {greatest}"


def layer_by_layer(test: MeasuredTest, samples: tuple[Sample, ...]) -> Layers:
    """Return a test's statistic in each layer that its mean over layers counts.

    Args:
        test: of a mean over layers.
        samples: its own, but with every layer: shape (prompts, layers); of a metric without layers (prompts,).
    """
    first = 2 if test.first_block == "without" else 1
    found = np.array([_tested(test, one) for one in _each(samples, first)])  # (layers, 3)
    values, p_inside, p_outside = found.T
    return Layers(first, values, holm(p_inside), holm(p_outside))


def _each(samples: tuple[Sample, ...], first: int) -> Iterator[tuple[Sample, ...]]:
    """Yield the samples of each layer from the first that counts."""
    layers = next(sample.values.shape[1] for sample in samples if sample.values.ndim == 2)
    for at in range(first - 1, layers):
        yield tuple(replace(s, values=s.values[:, at]) if s.values.ndim == 2 else s for s in samples)


def _tested(test: MeasuredTest, samples: tuple[Sample, ...]) -> tuple[float, float, float]:
    """Return the value of a test's statistic, and the p-values of its prediction and of the opposite."""
    try:
        fit = fit_of(test, samples)
    except Undecidable:
        return np.nan, 1.0, 1.0
    return fit.value, *p_values(fit, test.region)
