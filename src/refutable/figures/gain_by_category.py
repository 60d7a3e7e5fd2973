"""The figure `gain-by-category`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from refutable.errors import RefutableError
from refutable.figures import FIGURES, Figure
from refutable.figures.estimates import LEVEL, fitted
from refutable.figures.measured import Measured, Of, by_subject, measured
from refutable.metrics import evaluate
from refutable.statistics.sample import Sample
from refutable.traces.store import Store

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from refutable.reports.journal import RunResult


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryGain(Of):
    """A prompt's last gain, or a category's mean.

    Attributes:
        kind: ``prompt`` or ``mean``.
        category: of the prompt set.
        prompt: of a prompt, its text.
        value: the last gain, raw, at the last token.
        low, high: of a mean, the bounds at 5 % each; empty where there are none.
        n, method: of a mean: how many prompts, and how the bounds are computed.
    """

    kind: Literal["prompt", "mean"]
    category: str
    prompt: str = ""
    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
    method: str = ""


def table(run: RunResult, store: Store) -> list[CategoryGain]:
    """Return the last gain of every prompt of trained models, and each category's mean, in the prompt set's order.

    Freshly drawn weights are left out, and prompts without a category.
    """
    return [row for one in measured(run, store) if not one.of.drawn for row in _of_subject(one)]


def _of_subject(one: Measured) -> Iterator[CategoryGain]:
    (trace,) = one.traces
    try:
        sample = evaluate("last_gain", trace)
    except RefutableError:
        return
    for category, chosen in sample.by_category().items():
        values = sample.values[chosen]
        if not np.isfinite(values).all():
            continue
        texts = [text for text, inside in zip(sample.prompts, chosen, strict=True) if inside]
        for value, prompt in zip(values.tolist(), texts, strict=True):
            yield CategoryGain(**one.facts, kind="prompt", category=category, prompt=prompt, value=value)
        mean = fitted("mean", Sample(sample.of, values, "prompt"))
        yield CategoryGain(
            **one.facts,
            kind="mean",
            category=category,
            value=float(values.mean()),
            low=mean.low if mean is not None else None,
            high=mean.high if mean is not None else None,
            n=len(values),
            method=mean.method if mean is not None else "no interval: too few prompts",
        )


def draw(rows: Sequence[CategoryGain], canvas: Canvas) -> None:
    """The last block's gain by prompt category, every prompt shown, with each category's mean and interval."""
    from refutable.figures import style

    groups = by_subject(rows)
    ratios = [_lines(group) for group in groups]
    axes = canvas.subplots(len(groups), 1, squeeze=False, sharex=True, height_ratios=ratios)[:, 0]
    values = [1.0, *(row.value for row in rows if row.kind == "prompt")]
    margin = 0.04 * (max(values) - min(values) or 1)
    axes[0].set_xlim(min(values) - margin, max(values) + margin)  # of all subjects, who share the axis
    for each, group in zip(axes, groups, strict=True):
        _draw_subject(each, group)
        each.set_title(style.label(group[0], prompts=style.several_sets(rows)), fontweight="normal", fontsize=8.5)
    axes[-1].set_xlabel("last gain: norm of the last block's output over its input's, last token")
    methods = "; ".join(dict.fromkeys(row.method for row in rows if row.kind == "mean"))
    sentences = (
        f"Circles: prompts. Dot and bar: a category's mean and its {LEVEL} interval, where its prompts bound it"
        f" ({methods} over prompts). Black line: 1, the norm is kept. Dotted: the mean of all prompts.",
        style.weights_told(rows),
    )
    style.frame(canvas, "The last block's gain by prompt category", style.prompts_told(rows), sentences)


def _draw_subject(axes: Axes, rows: Sequence[CategoryGain]) -> None:
    from refutable.figures import style

    categories = list(dict.fromkeys(row.category for row in rows))
    colours = style.colours(categories)
    at = {category: len(categories) - 1 - index for index, category in enumerate(categories)}
    prompts = [row for row in rows if row.kind == "prompt"]
    style.at_one(axes)
    axes.axvline(float(np.mean([row.value for row in prompts])), color=style.GREY, linestyle=":", linewidth=1.1)
    for category in categories:
        values = [row.value for row in prompts if row.category == category]
        axes.plot(
            values,
            [at[category] - 0.17] * len(values),
            "o",
            color=colours[category],
            markerfacecolor="none",
            markersize=4.5,
        )
    for row in rows:
        if row.kind == "mean":
            look = style.marker(row, colours[row.category])
            style.interval(axes, row.value, row.low, row.high, at[row.category] + 0.17, colours[row.category], **look)
    counts = {row.category: row.n for row in rows if row.kind == "mean"}
    axes.set_yticks(list(at.values()), [f"{category} (n = {counts[category]})" for category in at])
    axes.set_ylim(-0.6, len(categories) - 0.4)
    axes.tick_params(axis="y", length=0)


def _lines(rows: Sequence[CategoryGain]) -> int:
    return len({row.category for row in rows})


def height(rows: Sequence[CategoryGain]) -> float:
    """Return the height for so many categories."""
    groups = by_subject(rows)
    return 1.45 + sum(0.4 + max(0.2, 0.38 - 0.01 * _lines(group)) * _lines(group) for group in groups)


FIGURES.add(Figure("gain-by-category", CategoryGain, table, draw, height))
