"""The figure of the experiment's effects: how far each cell's last gain lies from that of the cell beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refutable.experiments.table import load_experiment
from refutable.figures import Figure
from refutable.traces.store import Store
from refutable.twins.report import MARGIN, report

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

    from refutable.reports.journal import RunResult

SIZES = {"small": "1.8 M parameters", "medium": "7.4 M", "large": "51 M"}
LOOKS = {"small": ("o", 0.2), "medium": ("s", 0.0), "large": ("D", -0.2)}
WIDEST = 0.2  # of the axis, either way


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectRow:
    """A cell's difference in log last gain from the cell beside it, within seeds.

    Attributes:
        factor: in what the two differ.
        cell, against: the two.
        size: of the networks.
        value: mean over seeds.
        low, high: bounds at 5 % each.
        n: number of seeds.
        at_start: the same difference of the first weights.
    """

    factor: str
    cell: str
    against: str
    size: str
    value: float
    low: float
    high: float
    n: int
    at_start: float


def table(run: RunResult | None = None, store: Store | None = None) -> list[EffectRow]:
    """Return the effects of the packaged experiment; they are of no run."""
    found = load_experiment("twins")
    rows = [
        EffectRow(
            factor=each.factor,
            cell=each.cell,
            against=each.against,
            size=size,
            value=each.value,
            low=each.low,
            high=each.high,
            n=each.n,
            at_start=each.at_start,
        )
        for size in SIZES
        for each in report(found, size).effects
    ]
    return sorted(rows, key=lambda row: _order(rows).index((row.factor, row.cell)))


def _order(rows: Sequence[EffectRow]) -> list[tuple[str, str]]:
    factors = list(dict.fromkeys(row.factor for row in rows))
    pairs = dict.fromkeys((row.factor, row.cell) for row in rows)
    return sorted(pairs, key=lambda pair: factors.index(pair[0]))


def draw(rows: Sequence[EffectRow], canvas: Canvas) -> None:
    """What each factor does to the last gain of twins: differences from the cell beside, within seeds."""
    from matplotlib.lines import Line2D

    from refutable.figures import style

    axes = canvas.subplots()
    pairs = list(dict.fromkeys((row.factor, row.cell, row.against) for row in rows))
    at = {pair: len(pairs) - 1 - number for number, pair in enumerate(pairs)}
    axes.axvspan(-MARGIN, MARGIN, color=style.LIGHT, zorder=0)
    axes.axvline(0, color=style.BLACK, linewidth=1.0, zorder=1)
    axes.set_xlim(-WIDEST, WIDEST)
    for row in rows:
        shape, shift = LOOKS[row.size]
        height, colour = at[row.factor, row.cell, row.against] + shift, _colour(row)
        low, high = max(row.low, -WIDEST), min(row.high, WIDEST)
        axes.plot([low, high], [height, height], color=colour, linewidth=1.2, zorder=3)
        axes.plot([row.value], [height], shape, color=colour, markersize=4.5, zorder=4)
        axes.plot([row.at_start], [height], "|", color=style.GREY, markersize=6, zorder=2)
    axes.set_yticks(list(at.values()), [f"{cell} \N{MINUS SIGN} {against}" for _, cell, against in pairs])
    axes.set_ylim(-0.6, len(pairs) - 0.4)
    axes.tick_params(axis="y", length=0, labelsize=7.5)
    axes.set_xlabel("difference in log last gain (0.02 is 2 %)")
    previous = pairs[0][0]
    for pair in pairs:
        if pair[0] != previous:
            axes.axhline(at[pair] + 0.5, color=style.LIGHT, linewidth=0.6, zorder=0)
            previous = pair[0]
    legend = [
        Line2D([], [], linestyle="none", marker=shape, color=style.INK, markersize=4.5, label=SIZES[size])
        for size, (shape, _) in LOOKS.items()
    ]
    legend.append(Line2D([], [], linestyle="none", marker="|", color=style.GREY, label="before training"))
    sentences = (
        "Bar: 90 % interval over training seeds (t, no narrower than flipped signs allow); 6 or 8 seeds a cell, taken"
        " within a seed. Grey band: within 0.02, the margin declared before. Vermillion: the interval leaves out 0.",
        "Weights: twins, trained from scratch by this project.",
    )
    style.frame(canvas, "What each factor does to the last gain", "twins that differ in one factor", sentences, legend)


def _colour(row: EffectRow) -> str:
    from refutable.figures import style

    return style.VERMILLION if row.low > 0 or row.high < 0 else style.BLUE


def height(rows: Sequence[EffectRow]) -> float:
    """Return the height for so many cells, in inches."""
    return 1.5 + 0.19 * len({row.cell for row in rows})


FIGURE = Figure("twin-effects", EffectRow, table, draw, height)
