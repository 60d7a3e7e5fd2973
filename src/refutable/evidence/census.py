"""Verdicts on recorded values without replicates, true of these values only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from refutable.claims import MeasuredTest
from refutable.statistics import STATISTICS
from refutable.statistics.sample import CENSUS, Sample
from refutable.statistics.takes import Recorded
from refutable.verdicts.judge import Judgement
from refutable.verdicts.verdict import Estimate, Verdict

ONLY = "true of these recorded values only; no replicate was at hand, so there is no error rate"


def is_census(samples: Sequence[Sample]) -> bool:
    """Whether these are recorded values without replicates."""
    return bool(samples) and all(sample.unit == CENSUS for sample in samples)


def judge_census(test: MeasuredTest, samples: tuple[Sample, ...]) -> Judgement:
    """Compare a recorded value, or the share of recorded layers on which something holds, with a prediction.

    There is one sample, of shape (1,) or, for a statistic over all layers, (1, layers). The verdict is SUPPORTED if the
    value lies in the region, else REFUTED; there is no confidence interval and no p-value. A rounded value is any of
    those that are printed so: where only some of them lie in the region, the verdict is INCONCLUSIVE.
    """
    (sample,) = samples
    found = STATISTICS[test.statistic].takes.recorded(sample, test.holds_region if test.holds else None)
    return _judged(test, found, "as it is rounded")


def judge_counted_models(test: MeasuredTest, samples: Sequence[Sample]) -> Judgement:
    """Compare the number of models whose recorded value satisfies `holds` with a prediction.

    Args:
        test: of a statistic that counts models.
        samples: one for each declared model; one that was not recorded has no value, and may or may not pass.
    """
    recorded = [sample for sample in samples if sample.n]
    values, low, high = (
        np.concatenate(of)
        for of in zip(*((one.values, *(one.ends or (one.values, one.values))) for one in recorded), strict=True)
    )
    surely, possibly = test.holds_region.bracket(low, high)
    missing, passing = len(samples) - len(recorded), int(test.holds_region.contains(values).sum())
    counted = f" ({passing} of {len(recorded)} recorded models {test.holds_region})"
    found = Recorded(passing, surely, possibly + missing, len(recorded), counted)
    return _judged(test, found, "as not all are recorded" if missing else "as they are rounded")


def said_of_census(judged: Judgement, parts: Iterable[Judgement]) -> Judgement:
    """Return a judgement on several models that says so if each of those looked at is of recorded values only."""
    looked = [part.estimate for part in parts if part.verdict.looked]
    census = looked and all(estimate is not None and estimate.unit == CENSUS for estimate in looked)
    return replace(judged, why=f"{judged.why}; {ONLY}") if census else judged


def _judged(test: MeasuredTest, found: Recorded, inexact: str) -> Judgement:
    region = test.region
    if region.covers(found.low, found.high):
        verdict, relation = Verdict.SUPPORTED, "lies inside"
    elif region.misses(found.low, found.high):
        verdict, relation = Verdict.REFUTED, "lies outside"
    else:
        verdict, relation = Verdict.INCONCLUSIVE, "does not settle"
    exact = found.low == found.high
    low, high = (None, None) if exact else (found.low, float(f"{found.high:.12g}"))  # without the float before an end
    between = "" if exact else f", anywhere in [{low:.4g}, {high:.4g}] {inexact}"
    name = f"{test.statistic} of {' and '.join(test.of)}"
    estimate = Estimate(
        value=found.value,
        low=low,
        high=high,
        n=found.n,
        unit=CENSUS,
        method="census",
        statistic=test.statistic,
        of=test.of,
    )
    why = f"{name} = {found.value:.4g}{found.counted}{between}: {relation} {region}; {ONLY}"
    return Judgement(verdict, str(region), why, estimate)
