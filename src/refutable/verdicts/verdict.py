"""The five verdicts, and the estimate behind a verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import PlainSerializer


def _finite(number: float | None) -> float | None:
    return float(number) if number is not None and math.isfinite(number) else None


Finite = Annotated[float | None, PlainSerializer(_finite)]
"""A number that may be infinite, such as the end of an interval; JSON has no form for it and gets null."""


UNVERIFIED_FACT = "unverified-fact"
"""The label of a verdict that turns on a fact which fewer than two independent public sources state."""


class Verdict(StrEnum):
    """The outcome of a claim."""

    SUPPORTED = "SUPPORTED"
    REFUTED = "REFUTED"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_MEASURED = "NOT_MEASURED"
    ERROR = "ERROR"

    @property
    def decided(self) -> bool:
        """Whether it is SUPPORTED or REFUTED."""
        return self in (Verdict.SUPPORTED, Verdict.REFUTED)

    @property
    def looked(self) -> bool:
        """Whether the claim was looked at: SUPPORTED, REFUTED or INCONCLUSIVE."""
        return self.decided or self is Verdict.INCONCLUSIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What was found, with its inputs.

    Attributes:
        value: point estimate.
        low: lower end of the interval; None for facts, which have none.
        high: upper end of the interval.
        level: confidence of the interval, 1 minus the error probabilities of both ends.
        n: number of units.
        unit: unit of replication.
        p: p-value of the alternative that the claim predicts; None without a test.
        effect_size: standardised distance from the threshold.
        method: how the interval is computed.
        statistic: name of the statistic.
        of: its metrics.
        p_refuted: p-value of the alternative that contradicts the claim; None without a test.
        e: e-value of the alternative that the claim predicts, at most the largest float; None unless the statistic's
            rates hold at every look. Those of independent samples may be multiplied.
        e_refuted: e-value of the alternative that contradicts the claim.
    """

    value: Annotated[float, PlainSerializer(_finite)]
    low: Finite = None
    high: Finite = None
    level: Finite = None
    n: int
    unit: str
    p: Finite = None
    effect_size: Finite = None
    method: str
    statistic: str
    of: tuple[str, ...]
    p_refuted: Finite = None
    e: Finite = None
    e_refuted: Finite = None

    @property
    def ends(self) -> str:
        """The interval as ``[low, high]``; an end that is missing, or infinite in JSON, is ``unbounded``."""
        low, high = ("unbounded" if end is None else f"{end:.4g}" for end in (self.low, self.high))
        return f"[{low}, {high}]"

    @property
    def at_level(self) -> str:
        """The interval with `` at 90 %`` if it has a level; empty without both ends."""
        if self.low is None or self.high is None:
            return ""
        return f"{self.ends} at {100 * self.level:.4g} %" if self.level is not None else self.ends
