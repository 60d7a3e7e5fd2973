"""The figure `parallel-against-sequential`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from refutable._util.text import counted
from refutable.figures import FIGURES, Figure, models_by_gain
from refutable.figures.estimates import LEVEL, fitted
from refutable.figures.models_by_gain import ModelGain, bars_told, label_of
from refutable.statistics.sample import Sample
from refutable.traces.store import Store

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from refutable.reports.journal import RunResult

WIRINGS = ("parallel", "sequential")
State = Literal["dampens", "expands", "not settled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WiringGain(ModelGain):
    """A subject's mean last gain, or the difference of the two wirings' means over models.

    Attributes:
        kind: ``model``, or ``difference``: parallel less sequential, of models whose weights are of one class, on one
            prompt set; the model is then empty, and the title says of how many models.
        class_of: ``trained``, ``freshly drawn`` or ``published table``: what is never mixed in a difference.
        state: what the interval says: ``dampens`` if all of it is below 1 (of a difference, below 0), ``expands`` if
            all of it is above, else ``not settled``.
    """

    kind: Literal["model", "difference"]
    class_of: str
    state: State


def table(run: RunResult, store: Store) -> list[WiringGain]:
    """Return every subject of known wiring, parallel ones first, and the difference between the wirings.

    Empty unless there are models of both wirings.
    """
    rows = [row for row in models_by_gain.table(run, store) if row.wiring in WIRINGS]
    if {row.wiring for row in rows} != set(WIRINGS):
        return []
    told = [
        WiringGain(**asdict(row), kind="model", class_of=_class(row), state=_state(row.low, row.high, 1.0))
        for row in sorted(rows, key=lambda row: (WIRINGS.index(row.wiring), _class(row), row.value))
    ]
    return [*told, *_differences(told)]


def _class(row: ModelGain) -> str:
    return "published table" if row.published else "freshly drawn" if row.drawn else "trained"


def _state(low: float | None, high: float | None, threshold: float) -> State:
    if high is not None and high < threshold:
        return "dampens"
    return "expands" if low is not None and low > threshold else "not settled"


def _differences(rows: Sequence[WiringGain]) -> Iterator[WiringGain]:
    for class_of, prompt_set in dict.fromkeys((row.class_of, row.prompt_set) for row in rows):
        inside = [row for row in rows if (row.class_of, row.prompt_set) == (class_of, prompt_set)]
        one_each = {row.model: row for row in reversed(inside)}.values()
        groups = [[row.value for row in one_each if row.wiring == wiring] for wiring in WIRINGS]
        if not all(groups):
            continue
        found = fitted("permutation_difference", *(Sample("last_gain", np.array(g), "model") for g in groups))
        if found is not None:
            told: dict[str, Any] = {
                "model": "",
                "title": f"{len(groups[0])} parallel less {counted(len(groups[1]), 'sequential model')}",
                "wiring": "parallel less sequential",
                "norm": "",
                "kind": "difference",
                "state": _state(found.low, found.high, 0.0),
            }
            yield replace(inside[0], **asdict(found), **told)


def draw(rows: Sequence[WiringGain], canvas: Canvas) -> None:
    """Parallel against sequential models by their last gain; what is written beside each follows its interval."""
    from refutable.figures import style

    models = [row for row in rows if row.kind == "model"]
    counts = [sum(row.wiring == wiring for row in models) for wiring in WIRINGS]
    panels = canvas.subplots(2, 1, sharex=True, height_ratios=[max(2, count) for count in counts])
    ends = [end for row in models for end in (row.value, row.low, row.high, 1.0) if end is not None]
    span = max(ends) - min(ends) or 1
    for axes, wiring in zip(panels, WIRINGS, strict=True):
        axes.set_xlim(min(ends) - 0.05 * span, max(ends) + 0.36 * span)
        _draw_wiring(axes, [row for row in models if row.wiring == wiring], sets=style.several_sets(rows))
        axes.set_title(f"{wiring} blocks", color=style.OF_WIRING[wiring])
    panels[1].set_xlabel("mean last gain, last token")
    sentences = (
        "Last gain: norm of the last block's output over its input's; black line: 1, the norm is kept.",
        bars_told(models),
        "Hollow: freshly drawn weights, no trained model." if any(row.drawn for row in rows) else "",
        "Triangles: a published table, nothing was measured." if any(row.published for row in rows) else "",
        style.weights_told(models),
    )
    on = style.prompts_told(models) or "published table, nothing was measured"
    under = "\n".join((on, *(_told(row) for row in rows if row.kind == "difference")))
    style.frame(canvas, "Parallel against sequential blocks", under, sentences)


def _told(row: WiringGain) -> str:
    """Return a difference in words, which follow its interval."""
    from refutable.figures import style

    says = {"dampens": "parallel ones have the lower gain", "expands": "parallel ones have the higher gain"}
    bounds = row.method if row.low is not None or row.high is not None else "too few models to bound it"
    return (
        f"{row.title}, {row.class_of}: {style.estimated(row.value, row.low, row.high)} at"
        f" {LEVEL} ({bounds}): {says.get(row.state, 'not settled')}"
    )


def _says(row: WiringGain) -> str:
    """Return what an interval says of a model; rounding alone says nothing of other prompts."""
    if row.published:
        return {"dampens": "below 1 as printed", "expands": "above 1 as printed"}.get(row.state, "1 as printed")
    return row.state


def _draw_wiring(axes: Axes, rows: Sequence[WiringGain], *, sets: bool) -> None:
    from refutable.figures import style

    style.at_one(axes)
    for at, row in enumerate(rows):
        colour = style.OF_WIRING[row.wiring]
        style.interval(axes, row.value, row.low, row.high, at, colour, **style.marker(row, colour))
        right = max(end for end in (row.value, row.high) if end is not None)
        style.beside(axes, right, at, f"{style.numbered(row.value)} {_says(row)}")
    axes.set_yticks(range(len(rows)), [label_of(row, sets=sets) for row in rows])
    axes.set_ylim(-0.6, max(2, len(rows)) - 0.4)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=style.LIGHT, linewidth=0.5)
    axes.set_axisbelow(True)


def height(rows: Sequence[WiringGain]) -> float:
    """Return the height for so many subjects."""
    counts = [sum(row.wiring == wiring for row in rows) for wiring in WIRINGS]
    return 2.5 + 0.36 * sum(max(2, count) for count in counts)


FIGURES.add(Figure("parallel-against-sequential", WiringGain, table, draw, height))
