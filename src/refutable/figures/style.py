"""How every figure looks: sizes, colours, markers, head and foot. The palette is Okabe and Ito's, for every eye.

Filled markers are trained weights, hollow ones freshly drawn weights, triangles a published table.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refutable._util.text import counted
from refutable.figures.measured import Of

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure as Canvas

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
INK, GREY, LIGHT = "#222222", "#6B6B6B", "#D9D9D9"
CYCLE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK, YELLOW)
OF_WIRING = {"parallel": VERMILLION, "sequential": BLUE}
OF_NORM = {"LayerNorm": "o", "RMSNorm": "s"}
OF_VERDICT = {"SUPPORTED": GREEN, "REFUTED": VERMILLION, "INCONCLUSIVE": GREY}
MARKER_OF_VERDICT = {"SUPPORTED": "o", "REFUTED": "X", "INCONCLUSIVE": "D"}
HATCH = "////"

DPI = 200
HEAD, LEGEND, LINE, EDGE = 0.38, 0.17, 0.125, 0.08  # inches: the head, a line of the legend and of the foot, the edge
FOOT_WIDTH, LEGEND_WIDTH = 132, 100  # characters
SETTINGS: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "legend.fontsize": 8,
    "legend.frameon": True,
    "legend.edgecolor": "none",
    "legend.fancybox": False,
    "legend.framealpha": 0.8,
    "lines.linewidth": 1.4,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "text.parse_math": False,  # a dollar in a claim is a dollar
    "svg.fonttype": "none",
    "svg.hashsalt": "refutable",
}


def frame(
    canvas: Canvas,
    title: str,
    under: str,
    sentences: Iterable[str],
    legend: Sequence[Artist] = (),
    margins: Margins | None = None,
) -> None:
    """Write head and foot, and leave the rest of the canvas to the axes.

    Args:
        canvas: on which the axes are already.
        title: of the figure.
        under: on what it was measured, or what is compared with what.
        sentences: what one must know to read it; empty ones are left out.
        legend: labelled artists, shown in lines below the head.
        margins: around and between the axes; by default what their labels need, which takes longer to find.
    """
    width, height = canvas.get_size_inches()
    left, top = EDGE / width, EDGE + HEAD + 0.15 * under.count("\n")
    canvas.text(left, 1 - EDGE / height, title, ha="left", va="top", fontsize=11, fontweight="bold")
    canvas.text(left, 1 - (EDGE + 0.21) / height, under, ha="left", va="top", fontsize=8, color=GREY)
    if legend:
        columns = _columns([str(artist.get_label()) for artist in legend])
        shown: dict[str, Any] = {"ncols": columns, "handletextpad": 0.3, "columnspacing": 1.2, "borderpad": 0}
        anchor = (left, 1 - top / height)
        placed = canvas.legend(handles=legend, loc="upper left", bbox_to_anchor=anchor, borderaxespad=0, **shown)
        placed.set_in_layout(False)
        top += 0.05 + LEGEND * -(-len(legend) // columns)
    lines = textwrap.wrap(" ".join(filter(None, sentences)), FOOT_WIDTH, break_on_hyphens=False)
    canvas.text(left, EDGE / height, "\n".join(lines), ha="left", va="bottom", fontsize=7, color=GREY)
    below = EDGE + LINE * len(lines) + 0.04
    if margins is not None:
        margins.adjust(canvas, below, top)
        return
    rect = (0, below / height, 1, 1 - (below + top) / height)
    canvas.set_layout_engine("constrained", rect=rect, h_pad=0.04, w_pad=0.05)


@dataclass(frozen=True, slots=True)
class Margins:
    """Room around and between the axes of a grid, in inches."""

    left: float
    right: float
    above: float
    below: float
    across: float
    down: float
    columns: int
    rows: int

    def adjust(self, canvas: Canvas, foot: float, head: float) -> None:
        """Place the axes between foot and head, both in inches."""
        width, height = canvas.get_size_inches()
        bottom, top = foot + self.below, head + self.above
        wide = (width - self.left - self.right - self.across * (self.columns - 1)) / self.columns
        high = (height - bottom - top - self.down * (self.rows - 1)) / self.rows
        canvas.subplots_adjust(
            left=self.left / width,
            right=1 - self.right / width,
            bottom=bottom / height,
            top=1 - top / height,
            wspace=self.across / wide,
            hspace=self.down / high,
        )


def _columns(labels: Sequence[str]) -> int:
    """Return how many entries of a legend fit side by side."""
    widest = max(map(len, labels))
    return max(1, min(len(labels), LEGEND_WIDTH // (widest + 4)))


def label(of: Of, *, prompts: bool = False) -> str:
    """Return a subject in words: model, kind of weights, and the prompt set if asked."""
    seeds = f", {counted(of.seeds, 'seed')}" if of.seeds > 1 else ""
    dtype = f", {of.dtype}" if of.dtype not in ("float32", "as published") else ""
    told = f"{of.title}: {of.weights}{seeds}{dtype}"
    return f"{told}, {of.prompts} prompts of {of.prompt_set}" if prompts and not of.published else told


def weights_told(rows: Iterable[Of]) -> str:
    """Return which weights a figure shows, in a sentence; freshly drawn ones are never taken for a trained model's."""
    titles: dict[str, dict[str, None]] = {}
    for of in rows:
        titles.setdefault(of.detail, {}).update({} if of.published else {of.title: None})
    told = (f"{', '.join(of)} {detail}" if of else detail for detail, of in titles.items())
    return f"Weights: {'; '.join(told)}."


def several_sets(rows: Iterable[Of]) -> bool:
    """Whether a figure's subjects were measured on more than one prompt set."""
    return len({of.prompt_set for of in rows if not of.published}) > 1


def prompts_told(rows: Iterable[Of]) -> str:
    """Return on how many prompts of which set a figure is, in words."""
    found = dict.fromkeys(f"{of.prompts} prompts of {of.prompt_set}" for of in rows if not of.published)
    return "; ".join(found)


def marker(of: Of, colour: str, shape: str = "o") -> dict[str, Any]:
    """Return a marker's look: filled for trained weights, hollow for drawn ones, a triangle for a published table."""
    face = "white" if of.drawn or of.published else colour
    shape = "^" if of.published else shape
    return {"marker": shape, "markerfacecolor": face, "markeredgecolor": colour, "markeredgewidth": 1.3}


def at_one(axes: Axes, *, vertical: bool = True) -> None:
    """Draw the line at which a norm is kept."""
    draw = axes.axvline if vertical else axes.axhline
    draw(1.0, color=BLACK, linewidth=1.0, zorder=1)


def numbered(value: float) -> str:
    """Return a number as labels show it, to four significant digits."""
    return f"{value:.4g}"


def estimated(value: float, low: float | None, high: float | None) -> str:
    """Return an estimate with its interval, to as many digits as the interval's width is worth."""
    if low is None and high is None:
        return numbered(value)
    if low is None or high is None or not high > low:
        ends = ("unbounded" if end is None else numbered(end) for end in (low, high))
        return f"{numbered(value)} [{', '.join(ends)}]"
    digits = max(2 if abs(value) < 10 else 0, math.ceil(-math.log10(high - low) - 0.01) + 1)
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def colours(names: Sequence[str]) -> Mapping[str, str]:
    """Return a colour for each name, or grey for all where there are more names than colours."""
    unique = list(dict.fromkeys(names))
    if len(unique) > len(CYCLE) - 1:
        return dict.fromkeys(unique, GREY)
    return dict(zip(unique, CYCLE, strict=False))


def interval(
    axes: Axes, value: float, low: float | None, high: float | None, at: float, colour: str, **look: Any
) -> None:
    """Draw an estimate on the x axis, at a height, with its interval; a missing end is an arrow."""
    left, right = axes.get_xlim() if low is None or high is None else (0.0, 0.0)
    if low is not None or high is not None:
        span = [left if low is None else low, right if high is None else high]
        axes.plot(span, [at, at], color=colour, linewidth=1.4, solid_capstyle="butt", zorder=4)
    axes.plot([value], [at], linestyle="none", markersize=6, zorder=5, **look)


def decimals(axis: Axis) -> None:
    """Label a logarithmic axis by plain numbers, once all is drawn: at 1, 2 and 5, or closer if it is short."""
    from matplotlib.ticker import FuncFormatter, Locator, LogLocator, MaxNLocator, NullFormatter, NullLocator

    low, high = axis.get_view_interval()
    near: Locator = MaxNLocator(6) if high < 5 * low else LogLocator(subs=(1, 2, 5), numticks=8)
    axis.set_major_locator(near)
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def layers(axes: Axes) -> None:
    """Label the x axis by whole numbers of layers."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlim(left=0.5)


def beside(axes: Axes, x: float, y: float, text: str) -> None:
    """Write a text to the right of a point; the limits of the axes leave it room, not the layout."""
    behind = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
    told = axes.annotate(text, (x, y), (7, 0), textcoords="offset points", va="center", fontsize=7.5, bbox=behind)
    told.set_in_layout(False)
