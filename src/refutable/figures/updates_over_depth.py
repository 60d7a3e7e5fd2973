"""The figure `updates-over-depth`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from refutable.figures import FIGURES, Figure
from refutable.figures.measured import by_subject, measured, with_trained
from refutable.figures.over_depth import BANDS, DRAWN, LayerBand, bands, draw_band, models_of, of_layers
from refutable.traces.store import Store

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from refutable.reports.journal import RunResult

ANGLE = "angle"
LENGTHS = {"attention_growth": "attention", "mlp_growth": "MLP"}


def table(run: RunResult, store: Store) -> list[LayerBand]:
    """Return how both updates' lengths and the angle between them are spread over prompts at every block.

    The subjects are those of `with_trained`. `quantity` is ``attention_growth`` or ``mlp_growth``, the update's norm
    over the norm of the block's input, or ``angle`` in degrees, from 0 (alike) to 180 (opposed).
    """
    found = []
    for one in with_trained(measured(run, store)):
        for metric in (*LENGTHS, "cos_attention_mlp"):
            values = of_layers(one, metric)
            if values is None:
                continue
            if metric == "cos_attention_mlp":
                metric, values = ANGLE, np.degrees(np.arccos(np.clip(values, -1.0, 1.0)))
            found += list(bands(one, metric, values))
    return found


def draw(rows: Sequence[LayerBand], canvas: Canvas) -> None:
    """Lengths of attention's and the MLP's updates, and the angle between them, over depth, a row a model."""
    from refutable.figures import style

    models = models_of(rows)
    grid = canvas.subplots(len(models), 2, squeeze=False)
    for line, model in zip(grid, models, strict=True):
        _draw_lengths(line[0], [row for row in model if row.quantity != ANGLE])
        _draw_angle(line[1], [row for row in model if row.quantity == ANGLE])
        line[0].set_title(model[0].title + (f", {model[0].prompt_set}" if style.several_sets(rows) else ""))
    for axes in grid[-1]:
        axes.set_xlabel("layer")
    sentences = (
        BANDS,
        "Raw, last token. Left: norm of an update over the norm of the block's input, on a logarithmic scale. Right:"
        " 90 degrees, the black line, is neither help nor opposition; above it the two updates oppose each other.",
        DRAWN if any(row.drawn for row in rows) else "",
        style.weights_told(rows),
    )
    style.frame(canvas, "What attention and the MLP add, over depth", style.prompts_told(rows), sentences)


def _draw_lengths(axes: Axes, rows: Sequence[LayerBand]) -> None:
    from refutable.figures import style

    for group in by_subject(rows):
        for quantity, name in LENGTHS.items():
            chosen = [row for row in group if row.quantity == quantity]
            if chosen:
                colour = {"attention": style.BLUE, "MLP": style.VERMILLION}[name]
                draw_band(axes, chosen, colour, f"{name}, {group[0].weights}")
    axes.set_yscale("log")
    style.decimals(axes.yaxis)
    axes.set_ylabel("norm of an update / of the stream", fontsize=8.5)
    style.layers(axes)
    axes.legend(loc="best", handlelength=2.2, fontsize=7)


def _draw_angle(axes: Axes, rows: Sequence[LayerBand]) -> None:
    from refutable.figures import style

    axes.axhline(90, color=style.BLACK, linewidth=1.0, zorder=1)
    for group in by_subject(rows):
        draw_band(axes, group, style.GREY if group[0].drawn else style.PURPLE, group[0].weights)
    axes.set_ylim(0, 180)
    axes.set_yticks(range(0, 181, 30))
    axes.set_ylabel("angle between updates, degrees", fontsize=8.5)
    style.layers(axes)
    axes.legend(loc="best", handlelength=2.2, fontsize=7)


def height(rows: Sequence[LayerBand]) -> float:
    """Return the height for so many models."""
    return 1.35 + 2.5 * len(models_of(rows))


FIGURES.add(Figure("updates-over-depth", LayerBand, table, draw, height))
