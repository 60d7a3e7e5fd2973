"""Vacuity: would any data at all satisfy the prediction?

First by proof: the statistic cannot leave the values that its metrics can take. Else by search: among generated traces
that could be measured (`refutable.traces.synthetic`), one whose value lies outside what is predicted is looked for.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass

from refutable._util.identity_cache import ByIdentity
from refutable.claims import MeasuredTest
from refutable.errors import RefutableError
from refutable.metrics import METRICS
from refutable.statistics import STATISTICS, Fit
from refutable.statistics.sample import Sample
from refutable.traces.trace import Trace
from refutable.verdicts.falsifiability.choices import SLACK, as_samples, fit, fits_of, layers_of, of_prompts
from refutable.verdicts.verdict import Estimate, Verdict

EXAMPLES = 100
SECONDS = 5.0  # a search that takes longer says nothing


@dataclass(frozen=True, slots=True)
class Found:
    """What a search for data that break a prediction found.

    Attributes:
        verdict: SUPPORTED where there are none: any data satisfy the prediction; REFUTED where some break it;
            INCONCLUSIVE where none could be tried.
        why: the proof, what breaks it, or why nothing could be tried.
        share: of the generated data that satisfied it; None where none was tried, or not all were.
        estimate: the value farthest from what is predicted, of those tried.
    """

    verdict: Verdict
    why: str
    share: float | None = None
    estimate: Estimate | None = None


def is_vacuous(test: MeasuredTest) -> bool:
    """Whether any data would satisfy the prediction (apart from a bare end of its region).

    A cosine below 1, an entropy above 0, a cancellation ratio below 1 (the triangle inequality) are predictions of
    this kind.
    """
    return search_generated_data(test, whole=False).verdict is Verdict.SUPPORTED


_FOUND: dict[tuple[str, bool], Found] = {}
_written = ByIdentity(MeasuredTest.model_dump_json)  # a test is not written out again for every model it is tried on


def search_generated_data(test: MeasuredTest, *, whole: bool = True) -> Found:
    """Look for data that break a prediction, by more than a bare end; the same test always gives the same answer.

    Args:
        test: what is predicted.
        whole: go on after the first data that break it, for the share of them and the value farthest outside.
    """
    key = _written(test), whole
    if key not in _FOUND:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of generated data, not of anybody's
            _FOUND[key] = _proof(test) or _search_all(test, whole)
    return _FOUND[key]


def _proof(test: MeasuredTest) -> Found | None:
    """Return the proof that no data break a prediction, where the range of what it is of gives one."""
    span = _span(test)
    if not (test.region.low <= span[0] and span[1] <= test.region.high):
        return None
    what = f"{test.statistic} of {' and '.join(test.of)}"
    return Found(Verdict.SUPPORTED, f"{what} lies in [{span[0]:g}, {span[1]:g}] whatever the data")


def _span(test: MeasuredTest) -> tuple[float, float]:
    """Return the range of the statistic's value over all possible data."""
    statistic = STATISTICS[test.statistic]
    ranges = [_range(test), *(METRICS[name].range for name in test.of[1:])]
    span = statistic.takes.span(ranges, test.holds_region if test.holds else None)
    return span or statistic.range or ranges[0]


def _range(test: MeasuredTest) -> tuple[float, float]:
    """Return the values that any data could give the test's metric, or a difference of two of them."""
    low, high = METRICS[test.of[0]].range
    return (low, high) if test.against is None else (low - high, high - low)


@dataclass(slots=True)
class _Tried:
    """A search under way.

    Attributes:
        test: what is searched.
        inside: how many data satisfied the prediction.
        outside: how many did not.
        worst: how far outside the farthest of those lies, and what it is.
        stop: when it has taken too long.
    """

    test: MeasuredTest
    stop: float
    inside: int = 0
    outside: int = 0
    worst: tuple[float, Estimate | None] = (0.0, None)

    def hold(self, fit: Fit) -> float:
        """Hold a fit against the prediction; return how far outside it lies."""
        if time.process_time() > self.stop:
            raise TimeoutError
        region = self.test.region
        far = max(region.low - fit.value, fit.value - region.high) - SLACK * max(1.0, abs(region.threshold))
        if far > 0:
            self.outside += 1
            if far > self.worst[0]:
                self.worst = far, _estimate(self.test, fit.value, fit.n, fit.unit)
        else:
            self.inside += 1
        return far

    def attempt(self, samples: tuple[Sample, ...]) -> float | None:
        """Hold one choice of data against the prediction; return how far outside it lies, None where undecidable."""
        fitted = fit(self.test, samples)
        return None if fitted is None else self.hold(fitted)

    def found(self, *, whole: bool) -> Found:
        """Return the result; the share only if all choices were tried."""
        tried, (_, worst) = self.inside + self.outside, self.worst
        if not tried:
            return Found(Verdict.INCONCLUSIVE, f"{self.test.statistic} could not be fitted to generated data")
        share = self.inside / tried if whole else None
        if worst is None:
            return Found(Verdict.SUPPORTED, f"none of {tried} choices of generated data breaks it", 1.0)
        return Found(Verdict.REFUTED, f"generated data break it: {worst.statistic} = {worst.value:.4g}", share, worst)


def _estimate(test: MeasuredTest, value: float, n: int, unit: str) -> Estimate:
    return Estimate(value=value, n=n, unit=unit, method="generated data", statistic=test.statistic, of=tuple(test.of))


def _search_all(test: MeasuredTest, whole: bool) -> Found:
    statistic = STATISTICS[test.statistic]
    if test.fact is not None or not statistic.takes.only_numbers:
        return Found(Verdict.INCONCLUSIVE, "no data are generated of models with a fact, nor of categories of prompts")
    tried = _Tried(test, time.process_time() + SECONDS)
    try:
        for one in fits_of(test):
            tried.hold(one)
            if tried.outside and not whole:
                break
        if tried.inside and not tried.outside:
            _look_harder(tried)
    except TimeoutError:
        if not tried.outside:
            return Found(
                Verdict.INCONCLUSIVE, f"the search for data that break it took longer than {SECONDS:g} s of computing"
            )
    except (RefutableError, KeyError) as error:
        return Found(Verdict.INCONCLUSIVE, f"no data can be generated for it: {error}")
    return tried.found(whole=whole)


def _look_harder(tried: _Tried) -> None:
    """Let Hypothesis steer vectors towards data that break the prediction."""
    from refutable.verdicts.falsifiability.steer import steer

    test, groups = tried.test, STATISTICS[tried.test.statistic].takes.compares == "groups"
    each = 1 if test.against is None else 2

    def distance(traces: tuple[Trace, ...]) -> float | None:
        values = [of_prompts(test, *traces[at : at + each]) for at in range(0, len(traces), each)]
        if groups:
            return tried.attempt(as_samples(test, (values[0][0], values[1][0]), "model"))
        return tried.attempt(as_samples(test, values[0], "prompt"))

    steer(distance, traces=each * (2 if groups else 1), layers=layers_of(test), examples=EXAMPLES)
