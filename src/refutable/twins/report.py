"""The experiment's result as data and as lines: every cell, its first weights beside it, and its own difference."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from refutable.errors import NotMeasured, Undecidable
from refutable.experiments.table import START, TRAINED, Experiment
from refutable.statistics.stepwise import holm
from refutable.statistics.student import fit_values
from refutable.twins.design import CELLS, Cell, cells_of

LEVEL = 0.9
MARGIN = 0.02  # in log gain; the claims catalogue's
GAIN, LOSS = "log_last_gain", "held_out_loss"


@dataclass(frozen=True, slots=True)
class CellResult:
    """A cell: its seeds, the geometric mean of its last gain, the spread of its log over seeds, and its loss."""

    cell: str
    seeds: int
    last_gain: float
    sd: float
    at_start: float
    loss: float


@dataclass(frozen=True, slots=True)
class Effect:
    """How far a cell's log last gain lies from that of the cell beside it, within seeds.

    Attributes:
        cell, against: the two cells.
        factor: in what they differ.
        value: mean over seeds.
        low, high: bounds at `LEVEL`; infinite if so few seeds prove nothing at it.
        n: number of seeds.
        p: two-sided, of Student's t alone: signs of so few seeds cannot stand the adjustment over forty effects.
        holm: adjusted over all effects of the size.
        within: whether both one-sided bounds at 5 % lie within `MARGIN`.
        at_start: the same difference of the first weights.
    """

    cell: str
    against: str
    factor: str
    value: float
    low: float
    high: float
    n: int
    p: float
    holm: float
    within: bool
    at_start: float


@dataclass(frozen=True, slots=True)
class SizeReport:
    """What came of a size."""

    size: str
    cells: tuple[CellResult, ...]
    effects: tuple[Effect, ...]


def report(experiment: Experiment, size: str) -> SizeReport:
    """Return every cell of a size, and its difference from the cell beside which it stands."""
    cells = [cell for cell in cells_of(size) if experiment.seeds(size, cell.name)]
    pairs = [cell for cell in cells if (cell.against, cell.name) not in {(c.name, c.against) for c in _before(cell)}]
    effects = [found for cell in pairs if (found := _effect(experiment, cell, size)) is not None]
    adjusted = holm(np.array([effect.p for effect in effects])).tolist()
    return SizeReport(
        size,
        tuple(_cell(experiment, cell.name, size) for cell in cells),
        tuple(_with_holm(effect, p) for effect, p in zip(effects, adjusted, strict=True)),
    )


def lines(told: SizeReport) -> list[str]:
    """Return a report as lines of text."""
    result = [f"# {told.size}", "", "cell                        seeds  last gain   sd   at start  loss"]
    result += [
        f"{c.cell:28}{c.seeds:3}  {c.last_gain:9.4f}  {c.sd:.4f}  {c.at_start:.4f}  {c.loss:.3f}" for c in told.cells
    ]
    result += [
        "",
        "effect on log last gain       against                  mean   90 % interval        Holm   within 0.02",
    ]
    result += [
        f"{e.cell:28}  {e.against:20}  {e.value:+.4f}  [{e.low:+.4f}, {e.high:+.4f}]  {e.holm:.4f}"
        f"  {'yes' if e.within else 'not shown'}"
        for e in told.effects
    ]
    return [*result, ""]


def _cell(experiment: Experiment, cell: str, size: str) -> CellResult:
    gains = experiment.contrast(GAIN, {cell: 1.0}, size)
    return CellResult(
        cell,
        len(gains),
        float(np.exp(gains.mean())),
        float(gains.std(ddof=1)) if len(gains) > 1 else math.nan,
        float(np.exp(experiment.contrast(GAIN, {cell: 1.0}, size, START).mean())),
        float(experiment.contrast(LOSS, {cell: 1.0}, size).mean()),
    )


def _effect(experiment: Experiment, cell: Cell, size: str) -> Effect | None:
    """Return a cell's difference from its own; None where there is no other cell, or too few seeds."""
    if cell.name == cell.against:
        return None
    weights = {cell.name: 1.0, cell.against: -1.0}
    try:
        fit = fit_values(experiment.contrast(GAIN, weights, size, TRAINED), "seed")
    except (NotMeasured, Undecidable):
        return None
    tail, alone = (1 - LEVEL) / 2, replace(fit, beside=None, skewness=None)
    return Effect(
        cell.name,
        cell.against,
        cell.factor,
        fit.value,
        fit.lower(tail),
        fit.upper(tail),
        fit.n,
        2 * min(alone.p_value(0.0, "above"), alone.p_value(0.0, "below")),
        math.nan,
        max(fit.p_value(-MARGIN, "above"), fit.p_value(MARGIN, "below")) <= tail,
        float(experiment.contrast(GAIN, weights, size, START).mean()),
    )


def _before(cell: Cell) -> tuple[Cell, ...]:
    """Return the cells that the design names before this one: a pair that stands beside each other is shown once."""
    return CELLS[: CELLS.index(cell)] if cell in CELLS else ()


def _with_holm(effect: Effect, p: float) -> Effect:
    return replace(effect, holm=p)


__all__ = ["CellResult", "Effect", "SizeReport", "lines", "report"]
