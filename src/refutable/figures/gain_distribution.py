"""The figure `gain-distribution`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from refutable.errors import RefutableError
from refutable.figures import FIGURES, Figure
from refutable.figures.estimates import LEVEL, mean_of
from refutable.figures.measured import Measured, Of, by_subject, measured, pooled
from refutable.figures.recorded import recorded_gains
from refutable.metrics import Values, evaluate
from refutable.traces.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from refutable.reports.journal import RunResult

BINS = 24
ROW = 0.85  # inches a subject


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptGain(Of):
    """A prompt's last gain, a subject's mean, or a value that a claim's author recorded.

    Attributes:
        kind: ``prompt``, ``mean`` or ``recorded``.
        value: the last gain, raw, at the last token.
        low, high: of the mean, the bounds at 5 % each; empty where there are none.
        n, unit, method: of the mean: how many of what, and how the bounds are computed.
        prompt, category: of a prompt.
    """

    kind: Literal["prompt", "mean", "recorded"]
    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
    unit: str = ""
    method: str = ""
    prompt: str = ""
    category: str = ""


def table(run: RunResult, store: Store) -> list[PromptGain]:
    """Return the last gain of every prompt of every subject, each subject's mean, and what was recorded of it."""
    recorded = recorded_gains(run)
    return [row for one in measured(run, store) for row in _of_subject(one, recorded.get(one.of.model, ()))]


def _of_subject(one: Measured, recorded: Sequence[float]) -> Iterator[PromptGain]:
    try:
        samples = [evaluate("last_gain", trace) for trace in one.traces]
    except RefutableError:
        return
    every, mean = pooled(samples), mean_of(samples)
    if mean is None:
        return
    for value, prompt, category in zip(every.values.tolist(), every.prompts, every.clusters, strict=True):
        yield PromptGain(**one.facts, kind="prompt", value=value, prompt=prompt, category=category or "")
    yield PromptGain(
        **one.facts,
        kind="mean",
        value=mean.value,
        low=mean.low,
        high=mean.high,
        n=mean.n,
        unit=mean.unit,
        method=mean.method,
    )
    for value in recorded if not one.of.drawn else ():
        yield PromptGain(**one.facts, kind="recorded", value=value)


def draw(rows: Sequence[PromptGain], canvas: Canvas) -> None:
    """How the last block's gain is spread over prompts, a row a subject, around 1 and the subject's mean."""
    from refutable.figures import style

    groups = by_subject(rows)
    sets = style.several_sets(rows)
    values = np.array([row.value for row in rows])
    edges = np.linspace(min(0.98, values.min()), max(1.02, values.max()), BINS + 1)
    axes = canvas.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0]
    for each, group in zip(axes, groups, strict=True):
        _draw_subject(each, group, edges, sets=sets)
    axes[-1].set_xlabel("last gain: norm of the last block's output over its input's, last token")
    means = [row for row in rows if row.kind == "mean"]
    methods = "; ".join(dict.fromkeys(f"{row.method} over {row.unit}s" for row in means))
    sentences = (
        f"Black line: 1, the norm is kept. Dot and bar: the mean and its {LEVEL} interval ({methods}). Ticks: prompts.",
        "Dashed: recorded by the claim's author." if any(row.kind == "recorded" for row in rows) else "",
        "Hatched and hollow: freshly drawn weights, no trained model." if any(row.drawn for row in rows) else "",
        style.weights_told(rows),
    )
    style.frame(canvas, "The last block's gain over prompts", style.prompts_told(rows), sentences)


def _draw_subject(axes: Axes, rows: Sequence[PromptGain], edges: Values, *, sets: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    from refutable.figures import style

    values = [row.value for row in rows if row.kind == "prompt"]
    colour = style.GREY if rows[0].drawn else style.BLUE
    look: dict[str, Any] = (
        {"facecolor": "white", "edgecolor": colour, "hatch": style.HATCH} if rows[0].drawn else {"color": colour}
    )
    counts, _ = np.histogram(values, edges)
    axes.stairs(counts, edges, fill=True, alpha=1 if rows[0].drawn else 0.55, linewidth=0.6, **look)
    top = float(counts.max())
    axes.plot(values, np.full(len(values), -0.10 * top), "|", color=colour, markersize=5, markeredgewidth=0.7)
    style.at_one(axes)
    for row in rows:
        if row.kind == "recorded":
            axes.axvline(row.value, color=style.VERMILLION, linestyle=(0, (4, 2)), linewidth=1.1, zorder=3)
        if row.kind == "mean":
            style.interval(axes, row.value, row.low, row.high, 1.16 * top, style.INK, **style.marker(row, style.INK))
            told = f"mean {style.estimated(row.value, row.low, row.high)}"
            told += "" if sets and row.unit == "prompt" else f", n = {row.n} {row.unit}s"
            axes.set_title(style.label(row, prompts=sets), fontweight="normal", fontsize=7.5)
            axes.set_title(told, loc="right", fontweight="normal", fontsize=7.5)
    axes.set_ylim(-0.22 * top, 1.32 * top)
    axes.set_ylabel("prompts", fontsize=8)
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True, min_n_ticks=2))


def height(rows: Sequence[PromptGain]) -> float:
    """Return the height for so many subjects."""
    return 1.35 + ROW * max(2, len(by_subject(rows)))


FIGURES.add(Figure("gain-distribution", PromptGain, table, draw, height))
