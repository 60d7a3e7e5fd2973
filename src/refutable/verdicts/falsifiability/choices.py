"""Generated data to compare a prediction with; a statistic is fitted to them once for all predictions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import scipy
from numpy.typing import NDArray

from refutable.claims import MeasuredTest
from refutable.claims.sampling import samples_of
from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data, Fit
from refutable.statistics.region import Region
from refutable.statistics.sample import Sample
from refutable.traces.synthetic import pool
from refutable.traces.trace import Trace

UNITS = (6, 24)  # how many generated prompts; the second if a statistic cannot be fitted to the first
SLACK = 1e-6  # for rounding: a norm of two updates that nearly cancel has only half its digits
Indices = NDArray[np.intp]

LEAST_DEPTH = 3  # layers of generated data where no deeper model is asked about
_FITS: dict[
    tuple[str, int], Iterator[Fit]
] = {}  # by test and depth; never advanced, only copied, so that each starts at the first fit


def fits_of(test: MeasuredTest, depth: int = LEAST_DEPTH) -> Iterator[Fit]:
    """Return the fits of a test's statistic to generated data, which do not depend on its prediction.

    A fit is computed when first needed, and then kept for other predictions.

    Raises:
        RefutableError, KeyError: no data can be generated for it.
    """
    key = test.model_dump_json(exclude={"predicts"}), depth
    if key not in _FITS:
        values = of_prompts(test, pool(layers_of(test, depth)))
        if test.apart:
            # any prompt's numbers under the intervention, or of one model, minus any prompt's of the other
            other = np.random.default_rng(2).permutation(len(values[0]))
            values = tuple(of - of[other] for of in values)
        _FITS[key] = _fits(test, values)
    _FITS[key], fits = itertools.tee(_FITS[key])
    return fits


def fit(test: MeasuredTest, samples: tuple[Sample, ...]) -> Fit | None:
    """Return the fit of a test's statistic to samples, or None if they leave it undecidable."""
    data = Data(samples, _widened(test.holds_region) if test.holds else None, test.holds_above)
    try:
        fitted = STATISTICS[test.statistic].fit(data)
    except Undecidable:
        return None
    return fitted if math.isfinite(fitted.value) else None


def _fits(test: MeasuredTest, values: tuple[NDArray[np.float64], ...]) -> Iterator[Fit]:
    for units in UNITS:
        some = False
        for samples in _choices(test, values, units):
            fitted = fit(test, samples)
            if fitted is not None:
                some = True
                yield fitted
        if some:
            return


def layers_of(test: MeasuredTest, depth: int = LEAST_DEPTH) -> int:
    """Return how many layers generated data have: those of the model; a layer asked for by number is not their last."""
    return max(depth, *(one.layer + 1 for one in test.readings if isinstance(one.layer, int)), LEAST_DEPTH)


def of_prompts(test: MeasuredTest, *traces: Trace) -> tuple[NDArray[np.float64], ...]:
    """Return each sample's values over generated prompts, except for prompts without a number (0/0).

    With two traces, return the values of the first minus those of the second.
    """
    made = [_values(test, trace) for trace in traces]
    finite = np.ones(len(traces[0]), dtype=bool)
    for values in (values for of in made for values in of):
        finite &= np.isfinite(values).reshape(len(finite), -1).all(axis=1)
    return tuple(of[0][finite] - of[1][finite] if len(of) == 2 else of[0][finite] for of in zip(*made, strict=True))


def _values(test: MeasuredTest, trace: Trace) -> list[NDArray[np.float64]]:
    """Return each sample's values of a trace, less those of the test's other reading if it has one."""
    readings = (test,) if test.apart else test.readings
    read = [[sample.values for name in test.of for sample in samples_of(one, name, trace)] for one in readings]
    return read[0] if len(read) == 1 else [own - other for own, other in zip(*read, strict=True)]


def _choices(test: MeasuredTest, values: tuple[NDArray[np.float64], ...], units: int) -> Iterator[tuple[Sample, ...]]:
    """Yield choices of generated prompts as samples: extreme ones, those that count, and random ones."""
    rows = _extreme_rows(test, values, units)
    if STATISTICS[test.statistic].takes.compares != "groups":
        yield from (as_samples(test, tuple(of[row] for of in values), "prompt") for row in rows)
        return
    for one, other in itertools.product(list(rows)[:6], repeat=2):
        yield as_samples(test, (values[0][one], values[0][other]), "model")


def as_samples(test: MeasuredTest, values: tuple[NDArray[np.float64], ...], unit: str) -> tuple[Sample, ...]:
    """Return generated values as the samples that a test's statistic takes."""
    names = test.of if len(test.of) == len(values) else test.of * len(values)
    clusters = tuple(f"category {index % 3}" for index in range(len(values[0])))
    return tuple(Sample(name, of, unit, clusters) for name, of in zip(names, values, strict=True))


def _extreme_rows(test: MeasuredTest, values: tuple[NDArray[np.float64], ...], units: int) -> Iterator[Indices]:
    scores = [of.reshape(len(of), -1).mean(axis=1) for of in values]
    if STATISTICS[test.statistic].takes.parts:
        with np.errstate(divide="ignore", invalid="ignore"):
            scores = [np.nan_to_num(values[0] / values[1])]
    for score in scores:
        order = np.unique(np.round(score, 12), return_index=True)[1]  # no duplicates, to which nothing can be fitted
        yield from (order[:units], order[-units:], order[np.linspace(0, len(order) - 1, units).astype(np.intp)])
        yield np.unique(_rounded(score), return_index=True)[1][:units]  # a deep stream may be shorter than 1e-12
    if len(scores) == 2:
        order = np.argsort(scores[0] - scores[1], kind="stable")
        yield from (order[:units], order[-units:])
        yield from (np.repeat(pair, units // 2) for pair in _pairs(*scores))
        yield from _slopes(scores[0], scores[1], units)
    if test.holds:
        counts = test.holds_region.contains(values[0]).reshape(len(values[0]), -1).mean(axis=1)
        order = np.argsort(counts, kind="stable")
        yield from (order[:units], order[-units:])
    rng = np.random.default_rng(1)
    yield from (rng.choice(len(values[0]), units, replace=False) for _ in range(20))


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values to 12 significant digits, however small they are."""
    mantissa, exponent = np.frexp(values)
    rounded: NDArray[np.float64] = np.ldexp(np.round(mantissa, 12), exponent)
    return rounded


def _pairs(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[Indices, Indices]:
    """Return the two prompts that agree most on the order of both metrics, and the two that disagree most."""
    ranks = [scipy.stats.rankdata(np.round(of, 12)) for of in (x, y)]
    agreement = np.subtract.outer(ranks[0], ranks[0]) * np.subtract.outer(ranks[1], ranks[1])  # (pool, pool)
    most, least = (np.unravel_index(at, agreement.shape) for at in (agreement.argmax(), agreement.argmin()))
    return np.array(most), np.array(least)


def _slopes(y: NDArray[np.float64], x: NDArray[np.float64], units: int) -> tuple[Indices, Indices]:
    """Return the neighbours in x over which y rises most steeply, and those over which it falls most steeply."""
    order = np.argsort(x, kind="stable")
    across, up = (np.lib.stride_tricks.sliding_window_view(of[order], units) for of in (x, y))  # (windows, units)
    across = across - across.mean(axis=1, keepdims=True)
    squared = (across**2).sum(axis=1)
    slopes = np.where(squared > 0, (across * up).sum(axis=1) / np.where(squared > 0, squared, 1.0), 0.0)
    return order[slopes.argmax() :][:units], order[slopes.argmin() :][:units]


def _widened(region: Region) -> Region:
    """Return a region with closed ends, widened by what rounding may add."""
    slack = SLACK * max(1.0, abs(region.threshold))
    return replace(region, low=region.low - slack, high=region.high + slack, low_closed=True, high_closed=True)
