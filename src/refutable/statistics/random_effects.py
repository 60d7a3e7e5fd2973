"""The mean over a population of models, by random-effects meta-analysis."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data, Side, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.shapes import Pooled
from refutable.statistics.student import TFit, is_flat, t_quantile


@dataclass(frozen=True, slots=True)
class RandomEffectsFit:
    """Mean of the models' true means, each weighted by how surely it is known and by how far models differ.

    Attributes:
        value: the weighted mean.
        error: its standard error, Hartung and Knapp's or the ordinary one, whichever is larger, times Meier's factor.
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
        return self.value - t_quantile(tail, self.n - 1) * self.error

    def upper(self, tail: float) -> float:
        """Return the upper bound at error probability `tail`."""
        return self.value + t_quantile(tail, self.n - 1) * self.error

    def p_value(self, threshold: float, side: Side) -> float:
        """Return the one-sided p-value against `threshold`."""
        t = (self.value - threshold) / self.error
        return float(special.stdtr(self.n - 1, -t if side == "above" else t))

    def effect_size(self, threshold: float) -> float | None:
        """Return the distance in standard deviations between models; None where they do not differ."""
        return (self.value - threshold) / self.between if self.between > 0 else None

    def power(self, threshold: float, side: Side, tail: float, value: float, n: int) -> float:
        """Return how often the bound would lie beyond `threshold`, were `value` true and n models as far apart."""
        sd = self.error * math.sqrt(self.n)
        return TFit(self.value, self.error, self.n - 1, sd, self.n, self.unit).power(threshold, side, tail, value, n)


def random_effects(data: Data) -> RandomEffectsFit:
    """Mean over the models that these are a sample of; a model with few or noisy prompts counts for less.

    Takes one sample a model (`for: pooled`), each of at least two units whose values differ. Paule and Mandel's
    variance between models; Hartung and Knapp's standard error with Student's t on one degree less than there are
    models, held from below by the ordinary one (Roever, Knapp and Friede, 2015, BMC Med Res Methodol 15:99), and made
    wider for weights that are themselves estimated (Meier, 1953, Biometrics 9).
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
    with np.errstate(divide="ignore"):  # models of one mean: the share of variance between them, unused here, is 0/0
        result = combine_effects(means, variances, method_re="iterated")
    between = max(0.0, float(result.tau2))
    error = max(float(result.sd_eff_w_re_hksj), float(result.sd_eff_w_re))
    error *= math.sqrt(_of_weights(variances, np.array([len(values) - 1 for values in samples]), between))
    return RandomEffectsFit(float(result.mean_effect_re), error, math.sqrt(between), len(samples))


def _of_weights(variances: NDArray[np.float64], freedom: NDArray[np.int64], between: float) -> float:
    """Return by what factor the weighted mean varies more than it would, were its weights known (Meier, 1953).

    Args:
        variances: of each model's mean, as seen; shape (models,).
        freedom: degrees of freedom of each; shape (models,).
        between: variance between models, which no single model's prompts move.
    """
    weights = 1 / (variances + between)
    shares = weights / weights.sum()
    moved = variances * weights  # by how much a weight moves with its variance, both relative
    return float(1 + 4 * (moved**2 * shares * (1 - shares) / freedom).sum())


STATISTICS.add(
    Statistic(
        "random_effects",
        (Assumption.INDEPENDENT, Assumption.LITTLE_SKEW),
        random_effects,
        caveats=(
            "models are independent draws of one population: families share data and code, and are not",
            "neither the models' means nor the prompts of one model are skewed",
        ),
        least=2,
        takes=Pooled(),
        version=2,
    ),
)
