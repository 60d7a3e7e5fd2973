"""Vacuity: would any data at all satisfy the prediction?

First by proof: the statistic's range, given those of its metrics, lies inside the prediction. Otherwise by search among
generated traces that could be measured (`traces.synthetic`) for one whose value lies outside it.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass

from refutable._util.identity_cache import ByIdentity
from refutable.claims import MeasuredTest
from refutable.errors import RefutableError
from refutable.metrics import METRICS
from refutable.statistics import EVERY, STATISTICS, Fit
from refutable.traces.trace import Trace
from refutable.verdicts.falsifiability.choices import (
    LEAST_DEPTH,
    SLACK,
    as_samples,
    fit,
    fits_of,
    layers_of,
    of_prompts,
)
from refutable.verdicts.verdict import Estimate, Verdict

EXAMPLES = 100
OF_PROMPTS = ("token ids", "prompt set")  # taps that no model has a say in: generated data would be generated prompts
SECONDS = 5.0  # a longer search is abandoned


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a search for data that break a prediction.

    Attributes:
        verdict: SUPPORTED if there are none: any data satisfy the prediction; REFUTED if some break it; INCONCLUSIVE if
            none could be tried.
        why: the proof, what breaks it, or why nothing could be tried.
        share: the share of generated data that satisfied it; None unless all were tried.
        estimate: of the values tried, the one farthest outside the prediction.
    """

    verdict: Verdict
    why: str
    share: float | None = None
    estimate: Estimate | None = None


def is_vacuous(test: MeasuredTest, depth: int = LEAST_DEPTH, vocabulary: float | None = None) -> bool:
    """Whether any data of a model of that many layers and tokens would satisfy the prediction, its ends included.

    For example, a cosine below 1, an entropy above 0, or a cancellation ratio below 1 (the triangle inequality).
    """
    return search_generated_data(test, depth, vocabulary, whole=False).verdict is Verdict.SUPPORTED


_FOUND: dict[tuple[str, int, float | None, bool], Found] = {}
_written = ByIdentity(MeasuredTest.model_dump_json)  # once per test, not for every model it is tried on


def search_generated_data(
    test: MeasuredTest, depth: int = LEAST_DEPTH, vocabulary: float | None = None, *, whole: bool = True
) -> Found:
    """Look for data that break a prediction by more than touching its end; deterministic, and cached by test and depth.

    Args:
        test: with the prediction.
        depth: layers of the model: metrics that differ on it may coincide on a shallower one.
        vocabulary: tokens of the model, which bound an entropy; None if they are not known.
        whole: whether to go on after the first data that break it, to find their share and the value farthest outside.
    """
    if test.against is not None or all(METRICS[name].of_vocabulary is None for name in test.of):
        vocabulary = None  # it bounds nothing, or another model, which may know more tokens, is subtracted
    key = _written(test), depth, vocabulary, whole
    if key not in _FOUND:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they would be about generated data
            _FOUND[key] = _proof(test, vocabulary) or _search_all(test, depth, whole)
    return _FOUND[key]


def _proof(test: MeasuredTest, vocabulary: float | None) -> Found | None:
    """Return the proof that no data break a prediction, if the statistic's range gives one."""
    span = _span(test, vocabulary)
    if not (test.region.low <= span[0] and span[1] <= test.region.high):
        return None
    what = f"{test.statistic} of {' and '.join(test.of)}"
    return Found(Verdict.SUPPORTED, f"{what} lies in [{span[0]:g}, {span[1]:g}] whatever the data")


def _span(test: MeasuredTest, vocabulary: float | None) -> tuple[float, float]:
    """Return the range of the statistic's value over all possible data."""
    statistic = STATISTICS[test.statistic]
    (low, high), *others = (METRICS[name].range_for(vocabulary) for name in test.of)
    if test.layer == "trend":
        low, high = low - high, high - low
    first = (low, high) if test.against is None else (low - high, high - low)
    if test.along is not None:
        first = (-1.0, 1.0) if test.along.take == "spearman" else EVERY
        others = [first for _ in others]
    span = statistic.takes.span([first, *others], test.holds_region if test.holds else None)
    return span or statistic.range or first


@dataclass(slots=True)
class _Tried:
    """A search under way: until when, how many data satisfied the prediction or not, and the fit farthest outside."""

    test: MeasuredTest
    stop: float
    inside: int = 0
    outside: int = 0
    worst: tuple[float, Fit | None] = (0.0, None)

    def hold(self, fit: Fit) -> float:
        """Compare a fit with the prediction; return how far outside it lies."""
        if time.process_time() > self.stop:
            raise TimeoutError
        region = self.test.region
        far = max(region.low - fit.value, fit.value - region.high) - SLACK * max(1.0, abs(region.threshold))
        if far > 0:
            self.outside += 1
            if far > self.worst[0]:
                self.worst = far, fit
        else:
            self.inside += 1
        return far

    def found(self, *, whole: bool) -> Found:
        """Return the result, with a share only if all choices were tried."""
        tried, (_, worst), name = self.inside + self.outside, self.worst, self.test.statistic
        if not tried:
            return Found(Verdict.INCONCLUSIVE, f"{name} could not be fitted to generated data")
        if worst is None:
            return Found(Verdict.SUPPORTED, f"none of {tried} choices of generated data breaks it", 1.0)
        estimate = Estimate(
            value=worst.value, n=worst.n, unit=worst.unit, method="generated data", statistic=name, of=self.test.of
        )
        share = self.inside / tried if whole else None
        return Found(Verdict.REFUTED, f"generated data break it: {name} = {worst.value:.4g}", share, estimate)


def _search_all(test: MeasuredTest, depth: int, whole: bool) -> Found:
    statistic = STATISTICS[test.statistic]
    if all(METRICS[name].tap in OF_PROMPTS for name in test.of):
        return Found(
            Verdict.INCONCLUSIVE, f"{' and '.join(test.of)} is a number of the prompts, whatever the model does"
        )
    if test.trajectory:
        return Found(Verdict.INCONCLUSIVE, "no data are generated of checkpoints of a model")
    if test.fact is not None or not statistic.takes.only_numbers:
        return Found(Verdict.INCONCLUSIVE, "no data are generated of models with a fact, nor of categories of prompts")
    tried = _Tried(test, time.process_time() + SECONDS)
    try:
        for one in fits_of(test, depth):
            tried.hold(one)
            if tried.outside and not whole:
                break
        if tried.inside and not tried.outside:
            _look_harder(tried, depth)
    except TimeoutError:
        if not tried.outside:
            return Found(
                Verdict.INCONCLUSIVE, f"the search for data that break it took longer than {SECONDS:g} s of computing"
            )
    except (RefutableError, KeyError) as error:
        return Found(Verdict.INCONCLUSIVE, f"no data can be generated for it: {error}")
    return tried.found(whole=whole)


def _look_harder(tried: _Tried, depth: int) -> None:
    """Let Hypothesis steer vectors towards data that break the prediction."""
    from refutable.verdicts.falsifiability.steer import steer

    test, groups = tried.test, STATISTICS[tried.test.statistic].takes.compares == "groups"
    each = 2 if test.apart else 1

    def distance(traces: tuple[Trace, ...]) -> float | None:
        values = [of_prompts(test, *traces[at : at + each]) for at in range(0, len(traces), each)]
        if groups:
            fitted = fit(test, as_samples(test, (values[0][0], values[1][0]), "model"))
        else:
            fitted = fit(test, as_samples(test, values[0], "prompt"))
        return None if fitted is None else tried.hold(fitted)

    steer(distance, traces=each * (2 if groups else 1), layers=layers_of(test, depth), examples=EXAMPLES)
