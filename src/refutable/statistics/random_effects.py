"""The mean over a population of models, by random-effects meta-analysis."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.randomisation import flips_about_mean
from refutable.statistics.sample import Sample
from refutable.statistics.shapes import Pooled
from refutable.statistics.skewness import in_errors
from refutable.statistics.student import TFit, fewest_signs, is_flat, proofs

METHOD = "random effects, Paule-Mandel with Hartung-Knapp t, and flipped signs of the models' means"


def random_effects(data: Data) -> TFit:
    """The mean over the population that these models are a sample of; few or noisy prompts lower a model's weight.

    Takes one sample per model (`for: pooled`), each with at least two units that differ. The variance between models is
    Paule and Mandel's, and its root is the unit of effect sizes. The standard error is Hartung and Knapp's, with
    Student's t on one degree of freedom less than there are models, but no smaller than the ordinary one (Roever, Knapp
    and Friede, 2015, BMC Med Res Methodol 15:99), and widened because the weights are estimated (Meier, 1953,
    Biometrics 9). The bounds are no narrower than those of flipping the signs of the models' means, which hold however
    unequal the numbers of prompts are (models of 50 prompts and of 2 erred in 12 % by t alone), and need five models.
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
    centre, scale = float(means.mean()), math.sqrt(float(variances.mean() + means.var()))
    with np.errstate(divide="ignore"):  # models with equal means: an unused share of variance is 0/0
        result = combine_effects((means - centre) / scale, variances / scale**2, method_re="iterated")
    between = max(0.0, float(result.tau2)) * scale**2
    error = scale * max(float(result.sd_eff_w_re_hksj), float(result.sd_eff_w_re))
    error *= math.sqrt(_of_weights(variances, np.array([len(values) - 1 for values in samples]), between))
    n, mean = len(samples), centre + scale * float(result.mean_effect_re)
    flips, skewed = flips_about_mean(means), float(in_errors(means))
    return TFit(mean, error, n - 1, math.sqrt(between), n, "model", METHOD, flips, skewed, fewest_signs)


def _of_weights(variances: NDArray[np.float64], freedom: NDArray[np.int64], between: float) -> float:
    """Return the factor by which estimating the weights widens the variance of the mean (Meier, 1953)."""
    weights = 1 / (variances + between)
    shares = weights / weights.sum()
    moved = variances * weights  # relative change of a weight per relative change of its variance
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
        extremes=proofs,
        varies=lambda data: (Sample("models' means", np.array([s.values.mean() for s in data.samples]), "model"),),
        version=3,
    ),
)
