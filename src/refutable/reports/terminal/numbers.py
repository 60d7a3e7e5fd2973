"""Estimates in words."""

from __future__ import annotations

from collections.abc import Sequence

from refutable._util.text import counted
from refutable.verdicts.row import USUAL_ALPHA, VerdictRow
from refutable.verdicts.verdict import Estimate


def interval_text(estimate: Estimate) -> str:
    """Return ``value [low, high]``, or only the value if there is no interval."""
    if estimate.level is None and (estimate.low is None or estimate.high is None):
        return f"{estimate.value:.4g}"
    return f"{estimate.value:.4g} {estimate.ends}"


def spread(estimates: Sequence[Estimate | None], of: str) -> str:
    """Return from where to where the estimates of several cases lie: ``9 models from 0.41 to 0.71``."""
    values = sorted(one.value for one in estimates if one is not None)
    told = counted(len(estimates), of)
    if not values:
        return f"{told}, no interval"
    ends = dict.fromkeys(f"{value:.4g}" for value in (values[0], values[-1]))
    without = len(estimates) - len(values)
    return (
        f"{told} {'from ' * (len(ends) > 1)}{' to '.join(ends)}{f', {without} without an interval' if without else ''}"
    )


def alpha_text(row: VerdictRow) -> str:
    """Return a claim's alpha if it is unusual, to follow its interval."""
    alpha = row.about["alpha"]
    return f", alpha {alpha:g}" if alpha != USUAL_ALPHA else ""


def answer(row: VerdictRow) -> str:
    """Return what was found on one subject: its interval, what was seen, or, without either, why."""
    if row.estimate is not None:
        return interval_text(row.estimate) + alpha_text(row)
    return row.details.get("seen", row.why)
