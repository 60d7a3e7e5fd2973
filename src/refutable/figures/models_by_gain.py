"""The figure `models-by-gain`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from refutable.errors import RefutableError
from refutable.figures import FIGURES, Figure
from refutable.figures.estimates import LEVEL, mean_of
from refutable.figures.measured import Of, measured
from refutable.figures.recorded import published_gains
from refutable.metrics import evaluate
from refutable.traces.store import Store

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas
    from matplotlib.lines import Line2D

    from refutable.reports.journal import RunResult


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelGain(Of):
    """A subject's mean last gain.

    Attributes:
        wiring: ``parallel``, ``sequential`` or ``unknown``.
        norm: ``LayerNorm``, ``RMSNorm`` or ``unknown``.
        value: the mean over prompts, raw, at the last token; over seeds of freshly drawn weights.
        low, high: its bounds at 5 % each, or those of the rounding of a published number; empty where there are none.
        n, unit, method: how many of what, and how the bounds are computed.
    """

    wiring: str
    norm: str
    value: float
    low: float | None
    high: float | None
    n: int
    unit: str
    method: str


def table(run: RunResult, store: Store) -> list[ModelGain]:
    """Return the mean last gain of every subject, measured or of a published table, in ascending order."""
    return sorted((*_measured(run, store), *_published(run)), key=lambda row: (row.value, row.title))


def _measured(run: RunResult, store: Store) -> Iterator[ModelGain]:
    for one in measured(run, store):
        try:
            mean = mean_of([evaluate("last_gain", trace) for trace in one.traces])
        except RefutableError:
            continue
        if mean is not None:
            yield ModelGain(**one.facts, wiring=one.wiring, norm=one.norm, **asdict(mean))


def _published(run: RunResult) -> Iterator[ModelGain]:
    for of, estimate, wiring, norm in published_gains(run):
        yield ModelGain(
            **asdict(of),
            wiring=wiring,
            norm=norm,
            value=estimate.value,
            low=estimate.low,
            high=estimate.high,
            n=estimate.n,
            unit="number" if estimate.method == "census" else estimate.unit,
            method="rounding" if estimate.method == "census" else estimate.method,
        )


def draw(rows: Sequence[ModelGain], canvas: Canvas) -> None:
    """Every subject's mean last gain in ascending order, coloured by wiring and shaped by norm."""
    from refutable.figures import style

    axes = canvas.subplots()
    ends = [end for row in rows for end in (row.value, row.low, row.high, 1.0) if end is not None]
    span = max(ends) - min(ends) or 1
    axes.set_xlim(min(ends) - 0.05 * span, max(ends) + 0.42 * span)
    style.at_one(axes)
    for at, row in enumerate(rows):
        colour = style.OF_WIRING.get(row.wiring, style.GREY)
        look = style.marker(row, colour, style.OF_NORM.get(row.norm, "D"))
        style.interval(axes, row.value, row.low, row.high, at, colour, **look)
        right = max(end for end in (row.value, row.high) if end is not None)
        style.beside(axes, right, at, style.estimated(row.value, row.low, row.high))
    sets = style.several_sets(rows)
    axes.set_yticks(range(len(rows)), [label_of(row, sets=sets) for row in rows])
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=style.LIGHT, linewidth=0.5, zorder=0)
    axes.set_axisbelow(True)
    axes.set_xlabel("mean last gain, last token")
    sentences = (
        "Last gain: norm of the last block's output over its input's; black line: 1, the norm is kept.",
        bars_told(rows),
        "Hollow: freshly drawn weights, no trained model." if any(row.drawn for row in rows) else "",
        style.weights_told(rows),
    )
    under = style.prompts_told(rows) or "published table, nothing was measured"
    style.frame(canvas, "Models by the gain of their last block", under, sentences, _legend(rows))


def bars_told(rows: Sequence[ModelGain]) -> str:
    """Return what the bars of means are, in a sentence."""
    methods = dict.fromkeys(f"{row.method} over {row.unit}s" for row in rows if not row.published)
    measured = f"Bars: {LEVEL} intervals ({'; '.join(methods)})." if methods else ""
    rounded = "Of a published number: how far it may have been rounded." if any(row.published for row in rows) else ""
    return f"{measured} {rounded}".strip()


def label_of(row: ModelGain, *, sets: bool) -> str:
    """Return a subject in words, in two lines; with the prompt set if there are several."""
    from refutable.figures import style

    if row.published:
        return row.title
    number = "" if row.unit == "seed" else f", n = {row.n} {row.unit}s"
    where = f" of {row.prompt_set}" if sets else ""
    return f"{style.label(row).replace(': ', chr(10), 1)}{number}{where}"


def _legend(rows: Sequence[ModelGain]) -> list[Line2D]:
    from matplotlib.lines import Line2D

    from refutable.figures import style

    def line(text: str, **look: object) -> Line2D:
        return Line2D([], [], linestyle="none", markersize=6, label=text, **look)  # type: ignore[arg-type]

    handles = [
        line(wiring, marker="o", color=style.OF_WIRING.get(wiring, style.GREY))
        for wiring in dict.fromkeys(row.wiring for row in rows)
    ]
    handles += [
        line(norm, marker=style.OF_NORM.get(norm, "D"), color=style.INK)
        for norm in dict.fromkeys(row.norm for row in rows if not row.published)
    ]
    hollow = {"markerfacecolor": "white", "markeredgecolor": style.INK, "markeredgewidth": 1.3}
    if any(row.drawn for row in rows):
        handles.append(line("freshly drawn", marker="o", **hollow))
    if any(row.published for row in rows):
        handles.append(line("published table", marker="^", **hollow))
    return handles


def height(rows: Sequence[ModelGain]) -> float:
    """Return the height for so many subjects."""
    return 1.75 + sum(0.26 if row.published else 0.38 for row in rows)


FIGURES.add(Figure("models-by-gain", ModelGain, table, draw, height))
