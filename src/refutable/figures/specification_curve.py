"""The figure `specification-curve`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refutable.errors import BadInput
from refutable.figures import FIGURES, Figure
from refutable.models.subject import WeightsKind
from refutable.statistics.region import Region, parse_region
from refutable.traces.store import Store
from refutable.verdicts.robustness import Variation
from refutable.verdicts.row import VerdictRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from refutable.reports.journal import RunResult

AS_CLAIMED = "as claimed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecificationEstimate:
    """A claim's estimate under one specification: as claimed, or with some of its choices changed.

    Attributes:
        case: the test's id: one claim on one subject.
        statement: the claim's.
        subject: the model.
        weights: which weights.
        detail: the rest of the story of the weights.
        predicts: the prediction.
        rank: the specification's place, by ascending estimate, from 1.
        choices: what it changes, as ``axis value`` joined by commas; ``as claimed`` where nothing.
        verdict: of the claim under it.
        value: the estimate.
        low, high: its interval; empty at an end without a bound.
        level: of the interval.
        n, unit, method, statistic: how many of what, how the interval is computed, and of which statistic.
    """

    case: str
    statement: str
    subject: str
    weights: str
    detail: str
    predicts: str
    rank: int
    choices: str
    verdict: str
    value: float
    low: float | None
    high: float | None
    level: float | None
    n: int
    unit: str
    method: str
    statistic: str


def table(run: RunResult, store: Store) -> list[SpecificationEstimate]:
    """Return one case's estimates, in ascending order.

    Of several cases with variations that were looked at: a fragile one before others, then the one with most of them,
    then the first by id. `refutable figure specification-curve RUN --case ID` chooses.
    """
    rows = [row for row in run.rows if row.verdict.looked and row.estimate is not None and _looked_at(row)]
    if not rows:
        return []
    row = min(rows, key=lambda row: ("fragile" not in row.labels, -len(_looked_at(row)), row.id))
    return _estimates(row)


def _looked_at(row: VerdictRow) -> Mapping[str, Variation]:
    return {
        name: one
        for name, one in row.variations.items()
        if one.verdict.looked and one.estimate is not None and math.isfinite(one.estimate.value)
    }


def _estimates(row: VerdictRow) -> list[SpecificationEstimate]:
    own = Variation(row.verdict, row.why, row.estimate)
    found = sorted(
        {AS_CLAIMED: own, **_looked_at(row)}.items(),
        key=lambda item: (item[1].estimate.value if item[1].estimate is not None else math.nan, item[0]),
    )
    rows = []
    for rank, (name, one) in enumerate(found, start=1):
        assert one.estimate is not None
        rows.append(
            SpecificationEstimate(
                case=row.id,
                statement=row.about["statement"],
                subject=row.subject,
                weights=row.weights_kind,
                detail=row.weights.get("weights_detail", ""),
                predicts=row.predicts,
                rank=rank,
                choices=name,
                verdict=str(one.verdict.value),
                value=one.estimate.value,
                low=one.estimate.low,
                high=one.estimate.high,
                level=one.estimate.level,
                n=one.estimate.n,
                unit=one.estimate.unit,
                method=one.estimate.method,
                statistic=one.estimate.statistic,
            )
        )
    return rows


def draw(rows: Sequence[SpecificationEstimate], canvas: Canvas) -> None:
    """One claim under every variation of its multiverse, by ascending estimate, and which choices made each."""
    from refutable._util.text import counted, shortened
    from refutable.figures import style

    choices = choices_of(rows)
    top, below = canvas.subplots(2, 1, sharex=True, height_ratios=[2.4, 0.2 + 0.19 * len(choices)])
    region = _region(rows[0].predicts)
    _draw_estimates(top, rows, region)
    _draw_choices(below, rows, choices)
    first, counts = rows[0], _counts(rows)
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    levels = dict.fromkeys(f"{100 * row.level:g} %" for row in rows if row.level is not None)
    units = " or ".join(counted(n, unit) for n, unit in dict.fromkeys((row.n, row.unit) for row in rows))
    methods = "; ".join(dict.fromkeys(row.method for row in rows))
    sentences = (
        f"“{first.statement}”",
        f"Bars: intervals at {' or '.join(levels)} ({methods}), n = {units}." if levels else f"n = {units}.",
        "Grey area: what the claim allows. Ringed: as claimed.",
        f"Weights: {first.detail}." if first.detail else "",
        "Freshly drawn weights: no trained model." if first.weights == WeightsKind.INITIALISATION else "",
    )
    under = f"{shortened(first.subject)}, {first.weights}; predicts {first.predicts}: {told}"
    style.frame(canvas, shortened(first.case), under, sentences)


def choices_of(rows: Sequence[SpecificationEstimate]) -> list[str]:
    """Return every choice that some specification makes, `as claimed` first."""
    found = dict.fromkeys(choice for row in rows for choice in row.choices.split(", ") if row.choices != AS_CLAIMED)
    return [AS_CLAIMED, *sorted(found)]


def _region(predicts: str) -> Region | None:
    try:
        return parse_region(predicts)
    except (ValueError, BadInput):
        return None


def _counts(rows: Sequence[SpecificationEstimate]) -> dict[str, int]:
    verdicts = [row.verdict for row in rows]
    return {verdict: verdicts.count(verdict) for verdict in dict.fromkeys(sorted(verdicts, key=_order))}


def _order(verdict: str) -> int:
    return ("REFUTED", "INCONCLUSIVE", "SUPPORTED").index(verdict)


def _draw_estimates(axes: Axes, rows: Sequence[SpecificationEstimate], region: Region | None) -> None:
    from refutable.figures import style

    ends = [end for row in rows for end in (row.value, row.low, row.high) if end is not None]
    ends += [end for end in (region.low, region.high) if math.isfinite(end)] if region is not None else []
    room = 0.07 * (max(ends) - min(ends) or 1)
    low, high = min(ends) - room, max(ends) + room
    axes.set_ylim(low, high)
    if region is not None:
        axes.axhspan(max(region.low, low), min(region.high, high), color="#EFEFEF", zorder=0)
        for end in (region.low, region.high):
            if math.isfinite(end):
                axes.axhline(end, color=style.BLACK, linewidth=1.0, zorder=1)
    for row in rows:
        colour = style.OF_VERDICT[row.verdict]
        span = [low if row.low is None else row.low, high if row.high is None else row.high]
        if row.level is not None:
            axes.plot([row.rank] * 2, span, color=colour, linewidth=1.4, solid_capstyle="butt", zorder=2)
        if row.choices == AS_CLAIMED:
            axes.plot(row.rank, row.value, "o", markersize=11, markerfacecolor="none", markeredgecolor=style.INK)
    for verdict in sorted({row.verdict for row in rows}, key=_order):
        chosen = [row for row in rows if row.verdict == verdict]
        axes.plot(
            [row.rank for row in chosen],
            [row.value for row in chosen],
            linestyle="none",
            marker=style.MARKER_OF_VERDICT[verdict],
            color=style.OF_VERDICT[verdict],
            markersize=5.5,
            label=verdict,
            zorder=3,
        )
    axes.legend(loc="best", ncols=3, handletextpad=0.1)
    axes.set_ylabel("estimate")
    axes.set_xlim(0.4, len(rows) + 0.6)
    axes.tick_params(axis="x", length=0, labelbottom=False)


def _draw_choices(axes: Axes, rows: Sequence[SpecificationEstimate], choices: Sequence[str]) -> None:
    from refutable.figures import style

    for at, choice in enumerate(choices):
        made = [row for row in rows if choice in row.choices.split(", ")]
        axes.axhline(at, color=style.LIGHT, linewidth=0.5, zorder=0)
        for row in made:
            axes.plot(row.rank, at, "s", markersize=4, color=style.OF_VERDICT[row.verdict])
    axes.set_yticks(range(len(choices)), choices, fontsize=7.5)
    axes.set_ylim(len(choices) - 0.4, -0.6)
    axes.tick_params(length=0, labelbottom=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.set_xlabel("specifications, by estimate")


def height(rows: Sequence[SpecificationEstimate]) -> float:
    """Return the height for so many choices."""
    return 4.1 + 0.19 * len(choices_of(rows))


FIGURES.add(Figure("specification-curve", SpecificationEstimate, table, draw, height))
