"""The experiment's result as data and as lines: every cell against its own, step 0 beside it, and the causal claims."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from twins.claims import MARGIN, verdicts
from twins.design import CELLS
from twins.effects import Values, contrast, difference, holm, judge, outcomes
from twins.errors import TwinsError


def report(folders: Sequence[Path], size: str) -> dict[str, Any]:
    """Return the comparisons and verdicts of one size; numbers that do not exist are None."""
    trained, first = outcomes(folders, size), outcomes(folders, size, "step 0")
    rows = [row for cell in CELLS if (row := _row(cell.name, cell.against, cell.factor, trained, first)) is not None]
    for row, adjusted in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["holm"] = adjusted
    return {
        "size": size,
        "cells": [_cell(name, trained, first) for name in trained["last_gain"]],
        "effects_on_log_last_gain": rows,
        "claims": [{"claim": one.id, "verdict": one.decision, "why": one.why} for one in verdicts(trained, size)],
    }


def lines(told: dict[str, Any]) -> list[str]:
    """Return a report as lines of text."""
    result = [f"# {told['size']}", "", "cell                        seeds  last gain   sd   step 0  loss"]
    result += [
        f"{c['cell']:28}{c['seeds']:3}  {c['last_gain']:9.4f}  {c['sd'] or math.nan:.4f}"
        f"  {c['step_0']:.4f}  {c['loss']:.3f}"
        for c in told["cells"]
    ]
    result += [
        "",
        "effect on log last gain       against                  mean   95 % interval        Holm   within 0.02",
    ]
    result += [
        f"{e['cell']:28}  {e['against']:20}  {e['value']:+.4f}  [{_number(e['low'])}, {_number(e['high'])}]"
        f"  {e['holm']:.4f}  {e['equivalent']}"
        for e in told["effects_on_log_last_gain"]
    ]
    return [*result, "", *(f"{c['verdict']:13} {c['claim']}: {c['why']}" for c in told["claims"]), ""]


def _cell(name: str, trained: dict[str, Values], first: dict[str, Values]) -> dict[str, Any]:
    gains = np.array(list(trained["last_gain"][name].values()))
    return {
        "cell": name,
        "seeds": len(gains),
        "last_gain": float(np.exp(gains.mean())),
        "sd": float(gains.std(ddof=1)) if len(gains) > 1 else None,
        "step_0": float(np.exp(np.mean(list(first["last_gain"][name].values())))),
        "loss": float(np.mean(list(trained["held_out_loss"][name].values()))),
    }


def _row(
    cell: str, against: str, factor: str, trained: dict[str, Values], first: dict[str, Values]
) -> dict[str, Any] | None:
    """Return a cell's difference from its own, two-sided and against the margin; None if it cannot be taken."""
    if cell == against:
        return None
    weights = difference(cell, against)
    try:
        values = contrast(trained["last_gain"], weights)
        above, below = judge(values, "> 0"), judge(values, "< 0")
        margin = judge(values, MARGIN)
    except TwinsError:
        return None
    return {
        "cell": cell,
        "against": against,
        "factor": factor,
        "value": above.value,
        "low": _finite(above.low),
        "high": _finite(above.high),
        "n": above.n,
        "p": min(1.0, 2 * min(above.p, below.p)),
        "equivalent": margin.decision,
        "step_0": float(contrast(first["last_gain"], weights).mean()),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(value: float | None) -> str:
    return "unproved" if value is None else f"{value:+.4f}"
