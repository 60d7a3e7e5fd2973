"""Bands over prompts at each layer, and how they are drawn: what the figures over depth share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from refutable.errors import RefutableError
from refutable.figures.measured import Measured, Of
from refutable.metrics import Values, evaluate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INNER = (0.1, 0.9)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerBand(Of):
    """How a quantity is spread over prompts at one layer (of freshly drawn weights, over prompts of every seed).

    Attributes:
        quantity: which.
        layer: from 1.
        median: over prompts.
        low, high: the 10th and the 90th percentile.
        least, most: the smallest and the largest value.
        n: number of values: prompts times seeds.
    """

    quantity: str
    layer: int
    median: float
    low: float
    high: float
    least: float
    most: float
    n: int


def bands(one: Measured, quantity: str, values: Values) -> Iterator[LayerBand]:
    """Yield the bands of values of shape (n, layers); a layer with a value that is not finite is left out."""
    for layer, column in enumerate(values.T, start=1):
        if len(column) and np.isfinite(column).all():
            low, median, high = np.quantile(column, (INNER[0], 0.5, INNER[1]))
            yield LayerBand(
                **one.facts,
                quantity=quantity,
                layer=layer,
                median=float(median),
                low=float(low),
                high=float(high),
                least=float(column.min()),
                most=float(column.max()),
                n=len(column),
            )


def of_layers(one: Measured, metric: str) -> Values | None:
    """Return a metric's values at every layer, raw, last token, shape (prompts of every seed, layers).

    None if the model has no such quantity.
    """
    try:
        found = np.concatenate([evaluate(metric, trace).values for trace in one.traces])
    except RefutableError:
        return None
    return found


def draw_band(axes: Axes, rows: Sequence[LayerBand], colour: str, label: str) -> None:
    """Draw a line with its bands: plain for trained weights; dashed, hollow and unfilled for freshly drawn ones."""
    from refutable.figures import style

    layers = [row.layer for row in rows]
    drawn = rows[0].drawn
    look = style.marker(rows[0], colour) | {"markersize": 3.2, "markeredgewidth": 0.9}
    dashes: dict[str, Any] = {"linestyle": (0, (4, 2)), "linewidth": 1.0} if drawn else {}
    if drawn:
        band: dict[str, Any] = {
            "facecolor": "none",
            "edgecolor": colour,
            "hatch": style.HATCH,
            "linewidth": 0,
            "alpha": 0.35,
        }
    else:
        axes.fill_between(
            layers, [row.least for row in rows], [row.most for row in rows], color=colour, alpha=0.13, linewidth=0
        )
        band = {"color": colour, "alpha": 0.25, "linewidth": 0}
    axes.fill_between(layers, [row.low for row in rows], [row.high for row in rows], **band)
    axes.plot(layers, [row.median for row in rows], color=colour, label=label, **dashes, **look)


def models_of(rows: Sequence[LayerBand]) -> list[list[LayerBand]]:
    """Return the rows of each model and prompt set: trained and drawn weights of one model are seen together."""
    groups: dict[tuple[str, str], list[LayerBand]] = {}
    for row in rows:
        groups.setdefault((row.model, row.prompt_set), []).append(row)
    return list(groups.values())


BANDS = (
    "Lines: medians over prompts. Dark bands: 10th to 90th percentile; light ones: smallest to largest."
    " These are spreads over prompts, no intervals."
)
DRAWN = "Dashed, hollow and hatched: freshly drawn weights, no trained model."
