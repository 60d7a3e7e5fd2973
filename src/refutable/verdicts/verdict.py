"""What a verdict is, and what was found: the words that reports, controls and verdicts share."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """What became of a claim."""

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
        """Whether somebody looked: SUPPORTED, REFUTED or INCONCLUSIVE."""
        return self.decided or self is Verdict.INCONCLUSIVE


@dataclass(frozen=True, slots=True)
class Estimate:
    """What was found, with its inputs.

    Attributes:
        value: point estimate.
        low: lower end of the interval; None for facts, which have none.
        high: upper end of the interval.
        level: confidence of the interval, 1 minus the error probabilities of both ends.
        n: number of units.
        unit: unit of replication.
        p: p-value of the alternative that the claim predicts; None where there is no test.
        effect_size: standardised distance from the threshold.
        method: how the interval is made.
        statistic: name of the statistic.
        of: metrics it is of.
        p_refuted: p-value of the alternative that contradicts the claim; None where there is no test.
    """

    value: float
    low: float | None
    high: float | None
    level: float | None
    n: int
    unit: str
    p: float | None
    effect_size: float | None
    method: str
    statistic: str
    of: tuple[str, ...]
    p_refuted: float | None = None


def estimate_as_dict(estimate: Estimate | None) -> dict[str, Any] | None:
    """Return an estimate as JSON values: an infinite one (an interval without an end) has no JSON form and is null."""
    if estimate is None:
        return None
    numbers = dataclasses.asdict(estimate)
    finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in numbers.items()}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in finite.items()}


def estimate_from(data: Mapping[str, Any] | None) -> Estimate | None:
    """Read an estimate back.

    Raises:
        KeyError, TypeError: the data are no estimate.
    """
    return Estimate(**{**data, "of": tuple(data["of"])}) if data is not None else None
