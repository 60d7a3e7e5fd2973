"""Predictions: `< x`, `<= x`, `> x`, `>= x`, `within [a, b]`, parsed into a region."""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

GRAMMAR = '"< x", "<= x", "> x", ">= x" or "within [a, b]"'

_NUMBER = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
_ONE_SIDED = re.compile(rf"\s*(<=|>=|<|>)\s*{_NUMBER}\s*")
_WITHIN = re.compile(rf"\s*within\s*\[\s*{_NUMBER}\s*,\s*{_NUMBER}\s*\]\s*")


@dataclass(frozen=True, slots=True)
class Region:
    """The values a claim allows: an interval of the real line, and which of its ends belong to it."""

    low: float
    high: float
    low_closed: bool
    high_closed: bool
    text: str

    @property
    def one_sided(self) -> bool:
        """Whether one end is infinite."""
        return math.isinf(self.low) or math.isinf(self.high)

    @property
    def threshold(self) -> float:
        """The finite end of a one-sided region; the middle of a two-sided one."""
        if math.isinf(self.low):
            return self.high
        if math.isinf(self.high):
            return self.low
        return (self.low + self.high) / 2

    def __contains__(self, value: float) -> bool:
        return bool(self.contains(np.asarray(value)))

    def contains(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which values lie in the region; same shape as `values`."""
        above = values >= self.low if self.low_closed else values > self.low
        below = values <= self.high if self.high_closed else values < self.high
        return above & below

    def covers(self, low: float, high: float) -> bool:
        """Whether every value of the closed interval [low, high] lies in the region."""
        return low in self and high in self

    def misses(self, low: float, high: float) -> bool:
        """Whether no value of the closed interval [low, high] lies in the region; False if an end is NaN."""
        if math.isnan(low) or math.isnan(high):
            return False
        above = low > self.high or (low == self.high and not self.high_closed)
        below = high < self.low or (high == self.low and not self.low_closed)
        return above or below

    def bracket(self, low: NDArray[np.float64], high: NDArray[np.float64]) -> tuple[int, int]:
        """Return how many of the closed intervals [low, high] lie in the region, and how many reach into it."""
        ends = list(zip(low.tolist(), high.tolist(), strict=True))
        return sum(self.covers(*each) for each in ends), sum(not self.misses(*each) for each in ends)

    def extremes(self, bounds: tuple[float, float] | None = None) -> tuple[float, ...]:
        """Return the values most favourable to a high value, to a low one and, if two-sided, to the region's middle.

        Within `bounds`, the smallest and the largest possible value; without these, from beyond either end.
        """
        ends = [end for end in (self.low, self.high) if math.isfinite(end)]
        low, high = bounds or (min(ends) - 1 - abs(min(ends)), max(ends) + 1 + abs(max(ends)))
        return (high, low) if self.one_sided else (high, low, min(max(self.threshold, low), high))

    def __str__(self) -> str:
        return self.text


@functools.lru_cache(maxsize=4096)
def parse_region(text: str) -> Region:
    """Read a prediction in one of the forms of `GRAMMAR`.

    Raises:
        ValueError: it is none of them, `within` names an empty interval, or a number cannot be held.
    """
    if match := _ONE_SIDED.fullmatch(text):
        sign, x = match[1], _finite(match[2], text)
        if sign.startswith("<"):
            return Region(-math.inf, x, True, sign == "<=", f"{sign} {match[2]}")
        return Region(x, math.inf, sign == ">=", True, f"{sign} {match[2]}")
    if match := _WITHIN.fullmatch(text):
        low, high = _finite(match[1], text), _finite(match[2], text)
        if low > high:
            raise ValueError(f"{text!r} is empty: {match[1]} is above {match[2]}")
        return Region(low, high, True, True, f"within [{match[1]}, {match[2]}]")
    raise ValueError(f"cannot read {text!r}; write {GRAMMAR}")


def _finite(number: str, text: str) -> float:
    if math.isinf(value := float(number)):
        raise ValueError(f"{text!r} has a number too large to be finite: {number}")
    if value == 0 and re.search("[1-9]", re.split("[eE]", number)[0]):
        raise ValueError(f"{text!r} has a number too small to be told from 0: {number}")
    return value


PATTERN = rf"^(?:{_ONE_SIDED.pattern}|{_WITHIN.pattern})$"  # for editors, whose message it is; ours is `parse_region`'s
RegionText = Annotated[
    str,
    AfterValidator(lambda text: parse_region(text).text),
    Field(description=GRAMMAR, json_schema_extra={"pattern": PATTERN, "examples": ["> 1", "within [0.9, 1.1]"]}),
]
"""A prediction in YAML, in its normal form."""
