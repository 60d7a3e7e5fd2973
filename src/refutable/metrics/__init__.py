"""Metrics: pure functions of a trace, one (or one tight family) per file, named as claims write them.

A metric reads primitives at some positions and returns one value per row, or one per row and layer. `evaluate` takes
the mean over a prompt's positions, which leaves one value per prompt. To add one: docs/adding-a-metric.md.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from refutable._util.registry import Registry
from refutable.errors import BadInput, NoSuchTap, UnknownName
from refutable.statistics.sample import Sample
from refutable.traces.passes import PASSES, First, beside, paired
from refutable.traces.scale_folding import InputNorm, fold
from refutable.traces.trace import FIRST_TOKEN, Position, Trace, View

Per = Literal["prompt", "layer"]
Gauge = Literal["norm-scale", "mean-shift", "value-output"]  # rewrites of the weights that do not change the function
GAUGES: tuple[Gauge, ...] = get_args(Gauge)
ALL_BUT_MEAN: tuple[Gauge, ...] = ("norm-scale", "value-output")
LayerChoice = Literal["first", "last", "mean", "trend", "greatest", "least", "each"] | int | None
SEVERAL_LAYERS = ("mean", "trend", "greatest", "least")  # those that make one number of all of a model's layers
Part = Literal["numerator", "denominator"]
PARTS: tuple[Part, ...] = get_args(Part)
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as the registry holds it.

    Attributes:
        name: as claims write it.
        unit: one of `RANGES`.
        per: "prompt" (one value per position) or "layer" (one value per position and layer).
        tap: where it is read, for the report.
        last_only: whether it is read at the last position only.
        invariant: the rewrites of the weights (`measurement.gauge`) that do not change its raw form; each of the
            others changes it on some model.
        invariant_centred: the same for its mean-centred form.
        compute: the function; its docstring is the metric's documentation.
        version: raised when the same trace would give other values, so that claims locked under the old one say so.
        parts: for a ratio of two lengths, the function that returns its numerator and denominator; else None.
        reads: the pass whose trace it is a function of (`traces.passes`).
        of_vocabulary: its range for a vocabulary of a given size, where that narrows its unit's.
    """

    name: str
    unit: str
    per: Per
    tap: str
    last_only: bool
    invariant: tuple[Gauge, ...]
    invariant_centred: tuple[Gauge, ...]
    compute: Callable[[View], Values]
    version: int = 1
    parts: Callable[[View], tuple[Values, Values]] | None = None
    reads: str = "forward"
    of_vocabulary: Callable[[float], tuple[float, float]] | None = None

    @property
    def range(self) -> tuple[float, float]:
        """Its possible values, from its unit."""
        return RANGES[self.unit]

    def range_for(self, vocabulary: float | None) -> tuple[float, float]:
        """Return its possible values in a model that knows so many tokens; as `range` if that is not known."""
        if vocabulary is None or self.of_vocabulary is None:
            return self.range
        return self.of_vocabulary(vocabulary)

    @property
    def is_ratio(self) -> bool:
        """Whether it is a ratio of two lengths, which can be taken apart."""
        return self.parts is not None

    @property
    def has_norm(self) -> bool:
        """Whether its raw and mean-centred forms differ; a metric invariant under mean shifts has only one form."""
        return "mean-shift" not in self.invariant

    @property
    def doc(self) -> str:
        """What it is, its range and its degenerate cases."""
        return (self.compute.__doc__ or "").strip()


RANGES: dict[str, tuple[float, float]] = {
    "blocks": (0.0, math.inf),
    "code": (-math.inf, math.inf),
    "cosine": (-1.0, 1.0),
    "cosine distance": (0.0, 2.0),
    "directions": (1.0, math.inf),
    "explained share": (-math.inf, 1.0),
    "nats": (0.0, math.inf),
    "nats a block": (-math.inf, math.inf),
    "norm": (0.0, math.inf),
    "probability": (0.0, 1.0),
    "ratio": (0.0, math.inf),
    "share": (0.0, 1.0),
    "tokens": (1.0, math.inf),
}

METRICS: Registry[Metric] = Registry("metric", Metric, "refutable.metrics")


def metric(
    unit: str,
    tap: str,
    per: Per = "prompt",
    *,
    invariant: tuple[Gauge, ...],
    invariant_centred: tuple[Gauge, ...] | None = None,
    last_only: bool = False,
    version: int = 1,
    parts: Callable[[View], tuple[Values, Values]] | None = None,
    reads: str = "forward",
    of_vocabulary: Callable[[float], tuple[float, float]] | None = None,
) -> Callable[[Callable[[View], Values]], Metric]:
    """Make a metric of a function of a View, under the function's name.

    Args are the attributes of `Metric`, except for these defaults: `invariant_centred` is `invariant` with
    ``mean-shift``, and `last_only` is True for every pass but ``forward``.

    Raises:
        UnknownName: there is no such unit.
    """
    if unit not in RANGES:
        raise UnknownName("unit", unit, RANGES)
    last_only = last_only or reads != "forward"
    centred = tuple(g for g in GAUGES if g in (*invariant, "mean-shift"))
    centred = centred if invariant_centred is None else invariant_centred

    def make(function: Callable[[View], Values]) -> Metric:
        name = function.__name__
        return Metric(
            name, unit, per, tap, last_only, invariant, centred, function, version, parts, reads, of_vocabulary
        )

    return make


def ratio_metric(
    *, unit: str = "ratio", tap: str, per: Per = "prompt", invariant: tuple[Gauge, ...], last_only: bool = False
) -> Callable[[Callable[[View], tuple[Values, Values]]], Metric]:
    """Make a metric of a function of a View that returns a numerator and a denominator; the metric is their ratio.

    Both parts remain available to statistics such as `ratio_of_means`. Args are the attributes of `Metric`.
    """

    def make(function: Callable[[View], tuple[Values, Values]]) -> Metric:
        @functools.wraps(function)
        def divided(view: View) -> Values:
            numerator, denominator = function(view)
            return numerator / denominator

        return metric(unit, tap, per, invariant=invariant, last_only=last_only, parts=function)(divided)

    return make


def read(view: View, stem: str) -> Values:
    """Return a column that a pass writes in two forms, mean-centred if the view is, else raw; with the first token or
    without it, if the pass writes both.
    """
    return view.column(beside(paired(stem)[view.centred], view.first_token))


def evaluate(
    name: str,
    trace: Trace,
    *,
    position: Position = "last",
    norm: Literal["raw", "centred"] = "raw",
    layer: LayerChoice = None,
    first_token: First | None = None,
    first_block: First | None = None,
    folded: InputNorm | None = None,
    part: Part | None = None,
) -> Sample:
    """Return a metric of a trace, with one row for each prompt that has such a position.

    Args:
        position: which token. ``all`` is the mean over every position but the first; ``whole`` takes the prompt as the
            matrix of all its tokens, the first included (Frobenius norms). `first_token` changes either.
        norm: raw vectors, or vectors less their mean over the width.
        layer: which layer of a metric that has one value per layer; None or ``each`` keeps them all; ``mean``,
            ``trend``, ``greatest`` and ``least`` take them together, for each prompt.
        first_token: whether the first token counts, in a metric over several tokens; None for the default of the
            position (`FIRST_TOKEN`) or of the pass. Metrics of one token ignore it.
        first_block: whether the first block counts where layers are taken together; None for with it.
        folded: how the model normalises what its modules read; if given, norms are taken before the learned scale.
        part: only the numerator or the denominator of a ratio.

    Raises:
        UnknownName: no such metric.
        NoSuchTap: the architecture has no such quantity, or the model no such layer.
        NonFiniteError: a primitive it reads is NaN or infinite.
        BadInput: `part` is given for a metric that is no ratio.
    """
    chosen = METRICS[name]
    usual = first_token_of(chosen, position)
    first_token = None if usual is None or first_token == usual else first_token
    asked = (chosen.compute, chosen.parts, name, position, norm, layer, first_token, first_block, folded, part)
    if asked in trace.derived:
        found: Sample = trace.derived[asked]
        return found
    view = trace.view(position, centred=norm == "centred", first_token=first_token)
    if folded is not None:
        view = fold(view, folded)
    if chosen.per == "layer":
        view = replace(view, only=_index(layer, trace))
    with np.errstate(divide="ignore", invalid="ignore"):  # 0/0 is NaN, which no statistic takes
        raw = chosen.compute(view) if part is None else _part(chosen, part, view)
    kept, values = _mean_over_positions(raw, view.prompt, len(trace))
    if chosen.per == "layer" and view.only is not None:
        values = values[:, view.only].copy()  # the sample is kept, the other layers are not
    elif chosen.per == "layer" and layer in SEVERAL_LAYERS:
        values = over_layers(values, layer, str(trace.meta["model"]), first_block)
    values.setflags(write=False)  # the sample is cached
    categories, texts = (_of_prompts(column, trace, kept) for column in ("category", "text"))
    trace.derived[asked] = sample = Sample(chosen.name, values, "prompt", categories, texts, chosen.unit)
    return sample


def first_token_of(chosen: Metric, position: Position) -> First | None:
    """Return whether a metric counts the first token unless a claim says otherwise; None if it is of one token."""
    return PASSES[chosen.reads].first_token or FIRST_TOKEN.get(position)


def over_layers(values: Values, layer: object, model: str, first_block: First | None) -> Values:
    """Return one number of a model's layers, shape (n,), of values of shape (n, layers), as `SEVERAL_LAYERS` names it.

    The greatest of many layers is above what it would be without noise, the least below; NaN in one layer is NaN.

    Raises:
        NoSuchTap: no layer counts; or, for a trend, fewer than two.
    """
    match layer:
        case "mean":
            return mean_over_layers(values, model, first_block)
        case "trend":
            return trend_over_layers(values, model, first_block)
    counted = _counted(values, model, first_block)
    extreme: Values = counted.max(axis=1) if layer == "greatest" else counted.min(axis=1)
    return extreme


def mean_over_layers(values: Values, model: str, first_block: First | None) -> Values:
    """Return the means over a model's layers, shape (n,), of values of shape (n, layers).

    Raises:
        NoSuchTap: the first block is left out, and there is no other.
    """
    means: Values = _counted(values, model, first_block).mean(axis=1)
    return means


def trend_over_layers(values: Values, model: str, first_block: First | None) -> Values:
    """Return Theil's slopes over a model's layers, shape (n,), of values of shape (n, layers).

    The median over all pairs of layers of the difference of their values over that of their numbers: the change from
    one layer to the next. It depends on no single layer, as the first or the last of many models would decide a line
    by least squares. Rising in most pairs of layers gives a positive slope.

    Raises:
        NoSuchTap: there are not two layers.
    """
    counted = _counted(values, model, first_block)
    if counted.shape[1] < 2:
        raise NoSuchTap(f"{model} has one block that counts; a trend over layers takes two")
    i, j = np.triu_indices(counted.shape[1], 1)
    slopes: Values = np.median((counted[:, j] - counted[:, i]) / (j - i), axis=1)
    return slopes


def _counted(values: Values, model: str, first_block: First | None) -> Values:
    counted = values[:, 1:] if first_block == "without" else values
    if not counted.shape[1]:
        raise NoSuchTap(f"{model} has one block; without the first there is none")
    return counted


def _of_prompts(column: str, trace: Trace, kept: NDArray[np.bool_]) -> tuple[str, ...]:
    """Return a column of the table of prompts, for the prompts kept; converted to Python once per trace."""
    if column not in trace.derived:
        trace.derived[column] = tuple(trace.prompts[column].to_pylist())
    return tuple(itertools.compress(trace.derived[column], kept))


def _part(chosen: Metric, part: Part, view: View) -> Values:
    if chosen.parts is None:
        raise BadInput(f"metric {chosen.name!r} is no ratio of two lengths: it has no {part}")
    return chosen.parts(view)[PARTS.index(part)]


def _mean_over_positions(values: Values, prompt: NDArray[np.int64], prompts: int) -> tuple[NDArray[np.bool_], Values]:
    """Return which prompts have any position, shape (prompts,), and the means of these."""
    counts = np.bincount(prompt, minlength=prompts)  # (prompts,)
    kept = counts > 0
    if not kept.any():
        return kept, values[:0]
    starts = np.cumsum(counts[kept]) - counts[kept]  # the rows of a prompt are consecutive
    return kept, np.add.reduceat(values, starts, axis=0) / counts[kept].reshape(-1, *[1] * (values.ndim - 1))


def _index(layer: LayerChoice, trace: Trace) -> int | None:
    """Return the index of the layer asked for, or None if there are several."""
    layers = int(trace.meta["layers"])
    match layer:
        case None | "each" | "mean" | "trend" | "greatest" | "least":
            return None
        case "first":
            return 0
        case "last":
            return layers - 1
    if not 1 <= layer <= layers:
        raise NoSuchTap(f"{trace.meta['model']} has {layers} layers; there is no layer {layer}")
    return layer - 1
