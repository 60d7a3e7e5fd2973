"""The mean over a population of models, of which those at hand are a sample: random-effects meta-analysis."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data, Side, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.student import is_flat


@dataclass(frozen=True, slots=True)
class RandomEffectsFit:
    """Mean of the models' true means, each weighted by how surely it is known and by how far models differ.

    Attributes:
        value: the weighted mean.
        error: its standard error, Hartung and Knapp's, never below the one that takes the variances for known.
        between: standard deviation between models (tau), Paule and Mandel's estimate.
        n: number of models.
    """

    value: float
    error: float
    between: float
    n: int
    unit: str = "model"
    method: str = "random effects, Paule-Mandel with Hartung-Knapp t"

    def lower(self, tail: float) -> float:
        """Return the lower bound at error probability `tail`."""
        return self.value - float(stats.t.isf(tail, self.n - 1)) * self.error

    def upper(self, tail: float) -> float:
        """Return the upper bound at error probability `tail`."""
        return self.value + float(stats.t.isf(tail, self.n - 1)) * self.error

    def p_value(self, threshold: float, side: Side) -> float:
        """Return the one-sided p-value against `threshold`."""
        t = (self.value - threshold) / self.error
        return float(stats.t.sf(t if side == "above" else -t, self.n - 1))

    def effect_size(self, threshold: float) -> float | None:
        """Return the distance in standard deviations between models; None where they do not differ."""
        return (self.value - threshold) / self.between if self.between > 0 else None


def random_effects(data: Data) -> RandomEffectsFit:
    """Mean over the models that these are a sample of; a model with few or noisy prompts counts for less.

    Takes one sample a model (`for: pooled`), each of at least two units whose values differ. Paule and Mandel's
    variance between models; Hartung and Knapp's standard error with Student's t on one degree less than there are
    models, held from below by the ordinary one (Roever, Knapp and Friede, 2015, BMC Med Res Methodol 15:99).
    """
    from statsmodels.stats.meta_analysis import combine_effects

    samples = [sample.values for sample in data.samples]
    if len(samples) < 2:
        raise Undecidable(f"one model has no spread between models: at least 2 are needed, here {len(samples)}")
    for values in samples:
        if len(values) < 2 or is_flat(values):
            raise Undecidable("a model's values do not vary: how surely its mean is known cannot be said")
    means = np.array([values.mean() for values in samples])
    variances = np.array([values.var(ddof=1) / len(values) for values in samples])
    result = combine_effects(means, variances, method_re="iterated")
    error = max(float(result.sd_eff_w_re_hksj), float(result.sd_eff_w_re))
    return RandomEffectsFit(float(result.mean_effect_re), error, math.sqrt(max(0.0, float(result.tau2))), len(samples))


STATISTICS.add(
    "random_effects",
    Statistic(
        "random_effects",
        (Assumption.INDEPENDENT, Assumption.LITTLE_SKEW, Assumption.LIGHT_TAILS),
        random_effects,
        caveats=(
            "models are independent draws of one population: families share data and code, and are not",
            "each model's own variance is near known",
        ),
        least=2,
        pools=True,
    ),
)
