"""The figure `contraction-map`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from refutable.errors import RefutableError
from refutable.figures import FIGURES, WIDTH, Figure
from refutable.figures.measured import Of, by_subject, measured, with_trained
from refutable.metrics import Values, evaluate
from refutable.traces.store import Store

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure as Canvas
    from matplotlib.image import AxesImage

    from refutable.reports.journal import RunResult

LARGEST = 1.5  # the colour scale ends at this gain and at one over it: first blocks lengthen the stream many times
COLUMNS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerGain(Of):
    """The gain of one block on one prompt.

    Attributes:
        seed: of freshly drawn weights, of which only the first seed is shown; empty for others.
        index: the prompt's place in the prompt set, from 1.
        prompt, category: the prompt's.
        layer: from 1.
        gain: norm of the block's output over its input's, raw, last token; below 1 the block contracts.
    """

    seed: int | None
    index: int
    prompt: str
    category: str
    layer: int
    gain: float


def table(run: RunResult, store: Store) -> list[LayerGain]:
    """Return the gain of every block on every prompt, of the subjects of `with_trained`; a gain must be finite."""
    found = []
    for one in with_trained(measured(run, store)):
        trace = one.traces[0]
        try:
            sample = evaluate("layer_gain", trace)
        except RefutableError:
            continue
        facts, seed = one.facts, trace.meta.get("seed") if one.of.drawn else None
        for index, gains in enumerate(sample.values.tolist()):
            prompt, category = sample.prompts[index], sample.clusters[index] or ""
            found += [
                LayerGain(**facts, seed=seed, index=index + 1, prompt=prompt, category=category, layer=layer, gain=gain)
                for layer, gain in enumerate(gains, start=1)
                if np.isfinite(gain)
            ]
    return found


def draw(rows: Sequence[LayerGain], canvas: Canvas) -> None:
    """Which blocks contract on which prompts: gain by layer and prompt, blue below 1 and orange above."""
    from matplotlib.colors import LinearSegmentedColormap

    from refutable.figures import style

    shades = ["#00436B", style.BLUE, "white", style.VERMILLION, "#7A3300"]
    colours = LinearSegmentedColormap.from_list("gain", shades).with_extremes(bad="#BBBBBB")
    groups = by_subject(rows)
    columns = min(COLUMNS, len(groups))
    grid = canvas.subplots(-(-len(groups) // columns), columns, squeeze=False)
    shown: AxesImage | None = None
    for axes, group in zip(grid.flat, groups, strict=False):
        shown = _draw_subject(axes, group, colours)
        seed = f", seed {group[0].seed}" if group[0].seed is not None else ""
        below = np.mean([row.gain < 1 for row in group])
        axes.set_title(
            f"{group[0].title}: {group[0].weights}{seed}\n{100 * below:.0f} % of {len(group):,} gains below 1",
            fontsize=8,
            fontweight="normal",
        )
    for axes in list(grid.flat)[len(groups) :]:
        axes.set_axis_off()
    assert shown is not None
    bar = canvas.colorbar(shown, ax=grid, extend="both", fraction=0.03, pad=0.015, aspect=30)
    ticks = np.array([1 / 1.5, 1 / 1.2, 1, 1.2, 1.5])
    bar.set_ticks(np.log(ticks).tolist(), labels=[f"{tick:.2g}" for tick in ticks])
    bar.set_label("gain of the block")
    sentences = (
        "Blue: the block shortens the stream; orange: it lengthens it; the scale is logarithmic and ends at"
        f" {LARGEST} and 1/{LARGEST}. Raw, last token. Prompts in the prompt set's order.",
        "Freshly drawn weights are of no trained model; the first seed is shown." if any(r.drawn for r in rows) else "",
        style.weights_told(rows),
    )
    style.frame(canvas, "Which blocks contract, on which prompts", style.prompts_told(rows), sentences)


def _draw_subject(axes: Axes, rows: Sequence[LayerGain], colours: Colormap) -> AxesImage:
    from refutable.figures import style

    reach = float(np.log(LARGEST))
    image = axes.imshow(
        np.log(_grid(rows)),
        aspect="auto",
        cmap=colours,
        vmin=-reach,
        vmax=reach,
        interpolation="nearest",
    )
    layers = max(row.layer for row in rows)
    starts: dict[str, list[int]] = {}
    for row in rows:
        starts.setdefault(row.category, []).append(row.index - 1)
    blocks = len(starts) <= 12 and all(max(at) - min(at) + 1 == len(set(at)) for at in starts.values())
    if blocks and len(starts) > 1:
        axes.set_yticks([float(np.mean(at)) for at in starts.values()], list(starts))
        for at in list(starts.values())[1:]:
            axes.axhline(min(at) - 0.5, color=style.INK, linewidth=0.6)
        axes.tick_params(axis="y", length=0)
    else:
        axes.set_ylabel("prompt")
    axes.set_xticks(_ticks(layers), [str(tick + 1) for tick in _ticks(layers)])
    axes.set_xlabel("layer")
    return image


def _grid(rows: Sequence[LayerGain]) -> Values:
    """Return the gains, shape (prompts, layers), NaN where there is none."""
    grid = np.full((max(row.index for row in rows), max(row.layer for row in rows)), np.nan)
    for row in rows:
        grid[row.index - 1, row.layer - 1] = row.gain
    return grid


def _ticks(layers: int) -> list[int]:
    step = max(1, round(layers / 6))
    return sorted({0, *range(step - 1, layers, step)})


def height(rows: Sequence[LayerGain]) -> float:
    """Return the height for so many subjects."""
    groups = by_subject(rows)
    return 1.3 + (WIDTH * 0.38 if len(groups) == 1 else 2.6 * -(-len(groups) // COLUMNS))


FIGURES.add(Figure("contraction-map", LayerGain, table, draw, height))
