"""Whether any data at all would satisfy a prediction: then it says nothing, however surely it is SUPPORTED.

First by proof: the statistic cannot leave the values that its metrics can take. Else by search: among generated traces
that could be measured (`refutable.generated`), one whose value lies outside what is predicted is looked for.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from refutable.claims import MeasuredTest
from refutable.errors import RefutableError, Undecidable
from refutable.generated import pool
from refutable.metrics import METRICS
from refutable.predicate import Region
from refutable.sample import Sample
from refutable.sampling import samples_of
from refutable.statistics import STATISTICS, Data
from refutable.trace import Trace
from refutable.verdict import Estimate, Verdict

UNITS = (6, 24)  # how many generated prompts; the second where a statistic cannot do with the first
EXAMPLES = 100
SECONDS = 5.0  # a search that takes longer says nothing
SLACK = 1e-6  # of rounding: a norm of two updates that nearly cancel is known to half the digits
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Found:
    """What a search for data that break a prediction found.

    Attributes:
        verdict: SUPPORTED where there are none: any data satisfy the prediction; REFUTED where some break it;
            INCONCLUSIVE where none could be tried.
        why: the proof, what breaks it, or why nothing could be tried.
        share: of the generated data that satisfied it; None where none was tried.
        estimate: the value farthest from what is predicted.
    """

    verdict: Verdict
    why: str
    share: float | None = None
    estimate: Estimate | None = None


def is_vacuous(test: MeasuredTest) -> bool:
    """Whether the prediction holds, but for a bare end, whatever the data.

    A cosine below 1, an entropy above 0, a cancellation ratio below 1 (the triangle inequality) are predictions of
    this kind.
    """
    return search(test).verdict is Verdict.SUPPORTED


_FOUND: dict[str, Found] = {}
_ASKED: dict[int, tuple[MeasuredTest, Found]] = {}  # a test is not written out again for every model it is tried on


def search(test: MeasuredTest) -> Found:
    """Look for data that break a prediction, by more than a bare end; the same test always gives the same answer."""
    asked = _ASKED.get(id(test))
    if asked is not None and asked[0] is test:
        return asked[1]
    key = test.model_dump_json()
    if key not in _FOUND:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of generated data, not of anybody's
            _FOUND[key] = _proof(test) or _search(test)
    _ASKED[id(test)] = test, _FOUND[key]
    return _FOUND[key]


def _proof(test: MeasuredTest) -> Found | None:
    """Return the proof that no data break a prediction, where the range of what it is of gives one."""
    span = _span(test)
    if not (test.region.low <= span[0] and span[1] <= test.region.high):
        return None
    what = f"{test.statistic} of {' and '.join(test.of)}"
    return Found(Verdict.SUPPORTED, f"{what} lies in [{span[0]:g}, {span[1]:g}] whatever the data")


def _span(test: MeasuredTest) -> tuple[float, float]:
    """Return where the statistic's value must lie whatever the data."""
    low, high = _range(test)
    statistic = STATISTICS[test.statistic]
    if statistic.takes_models:
        return 0.0, np.inf
    if test.holds is not None and statistic.metrics == 1:  # a share; of two, `boundary`, the difference of two shares
        holds = test.holds_region
        return (1.0, 1.0) if holds.low <= low and high <= holds.high else (0.0, 1.0)
    if statistic.needs_groups or statistic.needs_categories:
        return low - high, high - low
    return statistic.range or (low, high)


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

    def attempt(self, samples: tuple[Sample, ...]) -> float | None:
        """Hold one choice of data against the prediction; return how far outside it lies, None where undecidable."""
        if time.process_time() > self.stop:
            raise TimeoutError
        test, statistic = self.test, STATISTICS[self.test.statistic]
        try:
            fit = statistic.fit(Data(samples, _widened(test.holds_region) if test.holds else None))
        except Undecidable:
            return None
        far = max(test.region.low - fit.value, fit.value - test.region.high)
        far -= SLACK * max(1.0, abs(test.region.threshold))
        if far > 0:
            self.outside += 1
            if far > self.worst[0]:
                self.worst = far, _estimate(test, fit.value, fit.n, fit.unit)
        else:
            self.inside += 1
        return far

    def found(self, generated: str) -> Found:
        """Return what it comes to."""
        tried, (_, worst) = self.inside + self.outside, self.worst
        if not tried:
            return Found(Verdict.INCONCLUSIVE, f"{self.test.statistic} could not be fitted to generated data")
        share = self.inside / tried
        if worst is None:
            return Found(Verdict.SUPPORTED, f"none of {tried} {generated} breaks it", share)
        return Found(Verdict.REFUTED, f"generated data break it: {worst.statistic} = {worst.value:.4g}", share, worst)


def _estimate(test: MeasuredTest, value: float, n: int, unit: str) -> Estimate:
    return Estimate(value, None, None, None, n, unit, None, None, "generated data", test.statistic, tuple(test.of))


def _search(test: MeasuredTest) -> Found:
    statistic = STATISTICS[test.statistic]
    if test.fact is not None or statistic.takes_models or statistic.pools or statistic.needs_categories:
        return Found(Verdict.INCONCLUSIVE, "no data are generated of models with a fact, nor of categories of prompts")
    tried = _Tried(test, time.process_time() + SECONDS)
    try:
        values = _values(test, pool(_layers(test)))
        if test.against is not None:  # of any prompt's numbers under the intervention, and of any as it is
            other = np.random.default_rng(2).permutation(len(values[0]))
            values = tuple(of - of[other] for of in values)
        for units in UNITS:
            for samples in _choices(test, values, units):
                tried.attempt(samples)
            if tried.inside or tried.outside:
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
    return tried.found("choices of generated data")


def _layers(test: MeasuredTest) -> int:
    return max(3, test.layer) if isinstance(test.layer, int) else 3


def _values(test: MeasuredTest, *traces: Trace) -> tuple[NDArray[np.float64], ...]:
    """Return each sample's values of generated prompts, those left out that have no number (0/0).

    Of two traces, the values of the first minus those of the second.
    """
    made = [[sample.values for name in test.of for sample in samples_of(test, name, trace)] for trace in traces]
    finite = np.ones(len(traces[0]), dtype=bool)
    for values in (values for of in made for values in of):
        finite &= np.isfinite(values).reshape(len(finite), -1).all(axis=1)
    return tuple(of[0][finite] - of[1][finite] if len(of) == 2 else of[0][finite] for of in zip(*made, strict=True))


def _choices(test: MeasuredTest, values: tuple[NDArray[np.float64], ...], units: int) -> Iterator[tuple[Sample, ...]]:
    """Yield choices of generated prompts as samples: the most extreme ones, those that count, and random ones."""
    rows = _extreme_rows(test, values, units)
    if not STATISTICS[test.statistic].needs_groups:
        yield from (_samples(test, tuple(of[row] for of in values), "prompt") for row in rows)
        return
    chosen = list(rows)
    for one in chosen[:6]:
        for other in chosen[:6]:
            yield _samples(test, (values[0][one], values[0][other]), "model")


def _samples(test: MeasuredTest, values: tuple[NDArray[np.float64], ...], unit: str) -> tuple[Sample, ...]:
    names = test.of if len(test.of) == len(values) else test.of * len(values)
    clusters = tuple(f"category {index % 3}" for index in range(len(values[0])))
    return tuple(Sample(name, of, unit, clusters) for name, of in zip(names, values, strict=True))


def _extreme_rows(test: MeasuredTest, values: tuple[NDArray[np.float64], ...], units: int) -> Iterator[Indices]:
    scores = [of.reshape(len(of), -1).mean(axis=1) for of in values]
    if STATISTICS[test.statistic].needs_parts:
        with np.errstate(divide="ignore", invalid="ignore"):
            scores = [np.nan_to_num(values[0] / values[1])]
    for score in scores:
        order = np.unique(np.round(score, 12), return_index=True)[1]  # alike ones left out: none can be fitted to them
        yield from (order[:units], order[-units:], order[np.linspace(0, len(order) - 1, units).astype(np.intp)])
    if len(scores) == 2:
        yield from (np.repeat(pair, units // 2) for pair in _lines(*scores))
    if test.holds:
        counts = test.holds_region.contains(values[0]).reshape(len(values[0]), -1).mean(axis=1)
        order = np.argsort(counts, kind="stable")
        yield from (order[:units], order[-units:])
    rng = np.random.default_rng(1)
    yield from (rng.choice(len(values[0]), units, replace=False) for _ in range(20))


def _lines(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[Indices, Indices]:
    """Return the two prompts of which one has most more of both metrics, and the two that oppose each other most."""
    ranks = [stats.rankdata(np.round(of, 12)) for of in (x, y)]
    agreement = np.subtract.outer(ranks[0], ranks[0]) * np.subtract.outer(ranks[1], ranks[1])  # (pool, pool)
    most, least = (np.unravel_index(at, agreement.shape) for at in (agreement.argmax(), agreement.argmin()))
    return np.array(most), np.array(least)


def _look_harder(tried: _Tried) -> None:
    """Let Hypothesis steer vectors towards data that break the prediction."""
    from refutable.vacuity_search import steer

    test, groups = tried.test, STATISTICS[tried.test.statistic].needs_groups
    each = 1 if test.against is None else 2

    def distance(traces: tuple[Trace, ...]) -> float | None:
        values = [_values(test, *traces[at : at + each]) for at in range(0, len(traces), each)]
        if groups:
            return tried.attempt(_samples(test, (values[0][0], values[1][0]), "model"))
        return tried.attempt(_samples(test, values[0], "prompt"))

    steer(distance, traces=each * (2 if groups else 1), layers=_layers(test), examples=EXAMPLES)


def _widened(region: Region) -> Region:
    """Return a region with its bare ends, and with as much as rounding may add."""
    slack = SLACK * max(1.0, abs(region.threshold))
    return replace(region, low=region.low - slack, high=region.high + slack, low_closed=True, high_closed=True)
