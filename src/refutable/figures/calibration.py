"""The figure `calibration`."""

from __future__ import annotations

import csv
import functools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Literal

from refutable._util.text import counted
from refutable.figures import FIGURES, Figure
from refutable.statistics import STATISTICS
from refutable.traces.store import Store

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from refutable.reports.journal import RunResult

FILE = "calibration.csv"
ALPHA, ALLOWED = 5.0, 7.4  # per cent: the level of the packaged table, and what Monte-Carlo error leaves of it
COLUMNS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRate:
    """How often a statistic's verdicts err on data that lie on a prediction's boundary, or how often a run uses it.

    Attributes:
        statistic: its name.
        kind: ``rate`` from the packaged table of the calibration benchmark, or ``run``: this run's verdicts.
        data: of a rate, the shape of the data that were drawn.
        inside: of a rate, whether the shape meets what the statistic assumes, so that it promises to keep alpha.
        n: number of units.
        supported: of a rate, how often it is SUPPORTED when false, per cent.
        refuted: of a rate, how often it is REFUTED when true, per cent.
        errs: of a rate, the larger of both; alpha is 5 per cent.
        verdicts: of a run, how many of its verdicts at that n turn on the statistic.
        calibrated_from: the fewest units from which the statistic promises its rates.
    """

    statistic: str
    kind: Literal["rate", "run"]
    data: str = ""
    inside: bool | None = None
    n: int
    supported: float | None = None
    refuted: float | None = None
    errs: float | None = None
    verdicts: int | None = None
    calibrated_from: int = 1


def table(run: RunResult, store: Store) -> list[ErrorRate]:
    """Return the error rates of every statistic by which this run decided something, and at which n it did.

    Statistics with most verdicts come first; those that the benchmark does not have are left out.
    """
    used: Counter[tuple[str, int]] = Counter()
    for row in run.rows:
        if row.has_p and row.estimate is not None:
            used[row.estimate.statistic, row.estimate.n] += 1
    total: Counter[str] = Counter()
    for (statistic, _), verdicts in used.items():
        total[statistic] += verdicts
    known = {rate.statistic for rate in packaged_rates()}
    order = sorted((name for name in total if name in known), key=lambda name: (-total[name], name))
    return [row for name in order for row in _of_statistic(name, used)]


def _of_statistic(name: str, used: Counter[tuple[str, int]]) -> Iterator[ErrorRate]:
    yield from (rate for rate in packaged_rates() if rate.statistic == name)
    calibrated = STATISTICS[name].calibrated_from if name in STATISTICS else 1
    for (statistic, n), verdicts in sorted(used.items()):
        if statistic == name:
            yield ErrorRate(statistic=name, kind="run", n=n, verdicts=verdicts, calibrated_from=calibrated)


@functools.cache
def packaged_rates() -> tuple[ErrorRate, ...]:
    """Return the rates that docs/calibration.md shows, which are packaged: alpha 5 %, 5, 25 and 100 units."""
    text = resources.files("refutable.data").joinpath(FILE).read_text(encoding="utf-8")
    return tuple(map(_rate, csv.DictReader(text.splitlines())))


def _rate(line: dict[str, str]) -> ErrorRate:
    statistic = line["statistic"].partition(" (")[0]
    variant = line["statistic"].removeprefix(statistic).strip(" ()")
    supported, refuted = float(line["supported"]), float(line["refuted"])
    return ErrorRate(
        statistic=statistic,
        kind="rate",
        data=f"{line['data']}; {variant}" if variant else line["data"],
        inside=not line["outcome"].startswith("outside"),
        n=int(line["n"]),
        supported=supported,
        refuted=refuted,
        errs=max(supported, refuted),
        calibrated_from=STATISTICS[statistic].calibrated_from if statistic in STATISTICS else 1,
    )


def draw(rows: Sequence[ErrorRate], canvas: Canvas) -> None:
    """How often the verdicts of this run's statistics err, by number of units, inside and outside what they assume."""
    from refutable.figures import style

    names = list(dict.fromkeys(row.statistic for row in rows))
    columns = min(COLUMNS, len(names))
    grid = canvas.subplots(-(-len(names) // columns), columns, squeeze=False, sharey=True)
    for axes, name in zip(grid.flat, names, strict=False):
        _draw_statistic(axes, [row for row in rows if row.statistic == name])
    for axes in list(grid.flat)[len(names) :]:
        axes.set_axis_off()
    for line in grid:
        line[0].set_ylabel("verdicts that err, %")
    for axes in list(grid.flat)[max(0, len(names) - columns) : len(names)]:
        axes.set_xlabel("units")
    sentences = (
        "Errs: the larger of SUPPORTED when false and REFUTED when true. Blue: data that meet what the statistic",
        "assumes, where it promises alpha; grey, dashed: data that do not, the worst of them named. Black line: alpha;",
        f"dotted: {ALLOWED} %, what Monte-Carlo error leaves of it. Bars at the foot: at how many units this run's",
        "verdicts were reached, wider for more. Shaded: fewer units than rates are promised for. No weights take part.",
    )
    under = f"data drawn so that the truth lies on a prediction's boundary; alpha {ALPHA:g} %, 2,000 samples a point"
    margins = style.Margins(0.5, 0.1, 0.36, 0.42, 0.2, 0.58, columns, len(grid))
    style.frame(canvas, "How often verdicts err, by the statistics of this run", under, sentences, margins=margins)


def _draw_statistic(axes: Axes, rows: Sequence[ErrorRate]) -> None:
    from matplotlib.ticker import NullLocator

    from refutable.figures import style

    axes.set_xscale("log")
    if rows[0].calibrated_from > 1:
        axes.axvspan(1, rows[0].calibrated_from, color="#F0F0F0", zorder=0)
    axes.axhline(ALPHA, color=style.BLACK, linewidth=1.0, zorder=1)
    axes.axhline(ALLOWED, color=style.BLACK, linewidth=0.8, linestyle=":", zorder=1)
    shapes = dict.fromkeys(row.data for row in rows if row.kind == "rate")
    for data in shapes:
        of = [row for row in rows if row.kind == "rate" and row.data == data]
        _draw_shape(axes, of)
    _draw_points(axes, [row for row in rows if row.kind == "rate"])
    for row in rows:
        if row.kind == "run" and row.verdicts is not None:
            width = min(6.0, 1.2 + 0.4 * row.verdicts)
            axes.plot(
                [row.n, row.n], [0.0, 0.07], transform=axes.get_xaxis_transform(), color=style.ORANGE, linewidth=width
            )
    axes.set_xlim(3, 300)
    axes.set_ylim(-2.5, None)
    axes.set_xticks([5, 25, 100], ["5", "25", "100"])
    axes.xaxis.set_minor_locator(NullLocator())
    verdicts = sum(row.verdicts or 0 for row in rows)
    axes.set_title(f"{rows[0].statistic}\n{counted(verdicts, 'verdict')} here", fontsize=7.5, fontweight="normal")


def _draw_shape(axes: Axes, rows: Sequence[ErrorRate]) -> None:
    """Draw the line of one shape of data, blue where all its sizes are inside what is assumed."""
    from refutable.figures import style

    inside = all(row.inside for row in rows)
    x, y = [row.n for row in rows], [row.errs for row in rows]
    look = {"color": style.BLUE} if inside else {"color": style.GREY, "linestyle": (0, (3, 2))}
    axes.plot(x, y, linewidth=0.9, alpha=0.65, zorder=2, **look)  # type: ignore[arg-type]


def _draw_points(axes: Axes, rows: Sequence[ErrorRate]) -> None:
    """Draw the points, and name the data that err most if that is more than chance."""
    from refutable.figures import style

    for inside, colour, face in ((True, style.BLUE, style.BLUE), (False, style.GREY, "white")):
        chosen = [row for row in rows if row.inside == inside]
        look = {"markersize": 3, "markerfacecolor": face, "markeredgecolor": colour}
        axes.plot([row.n for row in chosen], [row.errs or 0.0 for row in chosen], "o", **look, zorder=3)  # type: ignore[arg-type]
    worst = max(rows, key=lambda row: row.errs or 0.0)
    if (worst.errs or 0.0) > ALLOWED:
        told = worst.data if len(worst.data) <= 30 else f"{worst.data[:28]}..."
        shown = axes.annotate(
            told,
            (worst.n, worst.errs or 0.0),
            (-4 if worst.n > 25 else 4, 2),
            textcoords="offset points",
            fontsize=6.5,
            ha="right" if worst.n > 25 else "left",
            color=style.GREY,
        )
        shown.set_in_layout(False)


def height(rows: Sequence[ErrorRate]) -> float:
    """Return the height for so many statistics."""
    names = len({row.statistic for row in rows})
    return 1.6 + 1.75 * -(-names // COLUMNS)


FIGURES.add(Figure("calibration", ErrorRate, table, draw, height))
