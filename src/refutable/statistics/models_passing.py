"""How many of several models pass, each tested over its prompts."""

from __future__ import annotations

import numpy as np

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.layers_passing import LayersFit, certain, mean_tests
from refutable.statistics.region import Region
from refutable.statistics.shapes import PerModel


def models_passing(data: Data) -> LayersFit:
    """How many of these models have a mean over prompts that satisfies `holds`; they are a census, prompts replicate.

    At least those proved to pass, at most all but those proved to fail, with Holm over the models. A model that was not
    measured, or has one prompt, is proved neither way.
    """
    assert data.holds is not None
    if not any(sample.n for sample in data.samples):
        raise Undecidable("no model was measured: there is nothing to count")
    tests = [mean_tests(s, data.holds) if s.n > 1 else (1.0, 1.0) for s in data.samples]
    p_pass, p_fail = np.array([[float(np.squeeze(p)) for p in pair] for pair in tests]).T
    passing = sum(bool(float(s.values.mean()) in data.holds) for s in data.samples if s.n)
    method = "t and flipped signs a model, Holm over models"
    return LayersFit(passing, p_pass, p_fail, len(data.samples), "model", 1, method)


def _extremes(n: int, region: Region) -> tuple[LayersFit, ...]:
    return tuple(certain(round(x), n, n, "model", 1) for x in region.extremes((0.0, float(n))))


STATISTICS.add(
    Statistic(
        "models_passing",
        (Assumption.INDEPENDENT, Assumption.LITTLE_SKEW),
        models_passing,
        caveats=("each model's values over prompts are not skewed; models may depend on each other",),
        takes=PerModel(),
        extremes=_extremes,
        powerless="each model has a spread of its own",
        varies=lambda data: data.samples,
        skewed_from=25,
        version=2,
    ),
)
