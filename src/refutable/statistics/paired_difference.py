"""The difference of two metrics on the same prompts."""

from __future__ import annotations

from dataclasses import replace

from refutable.statistics import EVERY, STATISTICS, Data, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.sample import Sample
from refutable.statistics.shapes import Differenced
from refutable.statistics.student import TFit, fit_values, proofs


def paired_difference(data: Data) -> TFit:
    """The mean over units of the first metric minus the second, each unit its own control; bounds as of `mean`."""
    return replace(fit_values(_differences(data).values, data.samples[0].unit), method="paired t and flipped signs")


def _differences(data: Data) -> Sample:
    first, second = data.paired()
    return Sample(f"{first.of} - {second.of}", first.values - second.values, first.unit, first.clusters)


STATISTICS.add(
    Statistic(
        "paired_difference",
        (Assumption.INDEPENDENT, Assumption.LITTLE_SKEW),
        paired_difference,
        caveats=("it is the differences that must not be skewed",),
        takes=Differenced(),
        range=EVERY,
        least=2,
        extremes=proofs,
        skewed_from=25,
        version=2,
        varies=lambda data: (_differences(data),),
    ),
)
