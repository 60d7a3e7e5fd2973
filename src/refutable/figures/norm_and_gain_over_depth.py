"""The figure `norm-and-gain-over-depth`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from refutable.figures import FIGURES, Figure
from refutable.figures.measured import by_subject, measured, with_trained
from refutable.figures.over_depth import BANDS, DRAWN, LayerBand, bands, draw_band, models_of, of_layers
from refutable.traces.store import Store

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from refutable.reports.journal import RunResult

QUANTITIES = {"residual_norm": "norm of a block's output", "layer_gain": "gain of a block"}


def table(run: RunResult, store: Store) -> list[LayerBand]:
    """Return how norm and gain of every block are spread over prompts, of the subjects of `with_trained`.

    `quantity` is the metric's name.
    """
    found = []
    for one in with_trained(measured(run, store)):
        for metric in QUANTITIES:
            values = of_layers(one, metric)
            found += list(bands(one, metric, values)) if values is not None else []
    return found


def draw(rows: Sequence[LayerBand], canvas: Canvas) -> None:
    """Norm of the stream and gain of each block over depth, with bands over prompts, a row a model."""
    from refutable.figures import style

    models = models_of(rows)
    grid = canvas.subplots(len(models), len(QUANTITIES), squeeze=False)
    for line, model in zip(grid, models, strict=True):
        for axes, quantity in zip(line, QUANTITIES, strict=True):
            _draw_panel(axes, [row for row in model if row.quantity == quantity], quantity)
        line[0].set_title(model[0].title + (f", {model[0].prompt_set}" if style.several_sets(rows) else ""))
        line[0].legend(loc="best", handlelength=2.2)
    for axes in grid[-1]:
        axes.set_xlabel("layer")
    sentences = (
        BANDS,
        "Raw, last token; both scales are logarithmic. Black line: 1, the norm is kept.",
        DRAWN if any(row.drawn for row in rows) else "",
        style.weights_told(rows),
    )
    style.frame(canvas, "Norm of the stream and gain of each block over depth", style.prompts_told(rows), sentences)


def _draw_panel(axes: Axes, rows: Sequence[LayerBand], quantity: str) -> None:
    from refutable.figures import style

    if quantity == "layer_gain":
        style.at_one(axes, vertical=False)
    for group in by_subject(rows):
        seeds = f", {group[0].seeds} seeds" if group[0].seeds > 1 else ""
        draw_band(axes, group, style.GREY if group[0].drawn else style.BLUE, f"{group[0].weights}{seeds}")
    axes.set_yscale("log")
    if quantity == "layer_gain":
        _leave_out_first(axes, rows)
    axes.set_ylabel(QUANTITIES[quantity])
    style.decimals(axes.yaxis)
    style.layers(axes)


def _leave_out_first(axes: Axes, rows: Sequence[LayerBand]) -> None:
    """Let the scale be that of the other layers where the first is far off it, and write the first's medians down."""
    others = [row for row in rows if row.layer > 1]
    firsts = [row for row in rows if row.layer == 1]
    if not others or max(row.median for row in firsts) < 2 * max(row.most for row in others):
        return
    axes.set_ylim(0.93 * min(1.0, *(row.least for row in others)), 1.07 * max(1.0, *(row.most for row in others)))
    told = "\n".join(f"layer 1, above the scale: {row.median:.3g} ({row.weights})" for row in firsts)
    behind = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.0}
    axes.text(0.97, 0.97, told, transform=axes.transAxes, ha="right", va="top", fontsize=7.5, bbox=behind)


def height(rows: Sequence[LayerBand]) -> float:
    """Return the height for so many models."""
    return 1.25 + 2.4 * len(models_of(rows))


FIGURES.add(Figure("norm-and-gain-over-depth", LayerBand, table, draw, height))
