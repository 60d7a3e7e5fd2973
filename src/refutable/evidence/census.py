"""Verdicts on recorded values without replicates, true of these values only."""

from __future__ import annotations

from refutable.claims import MeasuredTest
from refutable.statistics import STATISTICS
from refutable.statistics.sample import CENSUS, Sample
from refutable.verdicts.judge import Judgement
from refutable.verdicts.verdict import Estimate, Verdict

ONLY = "true of these recorded values only; no replicate was at hand"


def is_census(samples: tuple[Sample, ...]) -> bool:
    """Whether these are recorded values without replicates."""
    return all(sample.unit == CENSUS for sample in samples)


def judge_census(test: MeasuredTest, samples: tuple[Sample, ...]) -> Judgement:
    """Compare a recorded value, or the share of recorded layers on which something holds, with a prediction.

    There is one sample, of shape (1,) or, for a statistic over all layers, (1, layers). The verdict is SUPPORTED if the
    value lies in the region, else REFUTED; there is no interval and no p-value.
    """
    statistic = STATISTICS[test.statistic]
    value, n, counted = statistic.takes.recorded(samples[0].values[0], test.holds_region if test.holds else None)
    verdict = Verdict.SUPPORTED if value in test.region else Verdict.REFUTED
    name = f"{test.statistic} of {samples[0].of}"
    relation = "lies inside" if verdict is Verdict.SUPPORTED else "lies outside"
    why = f"{name} = {value:.4g}{counted}: {relation} {test.region}; {ONLY}"
    estimate = Estimate(value=value, n=n, unit=CENSUS, method="census", statistic=test.statistic, of=test.of)
    return Judgement(verdict, str(test.region), why, estimate)
