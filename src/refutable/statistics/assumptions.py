"""Assumptions of statistics, and the data shapes that break each of them.

`python -m benchmarks.calibration` tests every statistic on data that meet its assumptions, and reports how it does on
data that do not.
"""

from __future__ import annotations

from enum import StrEnum


class Assumption(StrEnum):
    """An assumption about the data; a statistic's error rates do not cover shapes of data that break it."""

    INDEPENDENT = "units are independent"
    LITTLE_SKEW = "values are not skewed"
    LIGHT_TAILS = "values have no heavy tails"
    INDEPENDENT_INSIDE = "units are independent inside their category"
    INDEPENDENT_CATEGORIES = "categories are independent"
    EQUAL_SPREAD = "groups differ by a shift alone"
    STABLE = "the same boundary is found whichever unit is left out"
    BALANCED = "no group of fewer than 5 against a larger one"


class Shape(StrEnum):
    """A shape of data that the calibration draws; its value says how."""

    NORMAL = "normal"
    SKEWED = "lognormal"
    HEAVY = "t with 3 degrees of freedom"
    CLUSTERED = "normal in 5 categories, ICC 0.4"
    UNANIMOUS = "k = n: one unit in 4 n dissents"
    UNEQUAL = "normal, the smaller group with 3 times the spread"
    LOPSIDED = "normal, 2 against the rest"
    UNRELATED = "normal, unrelated to where the boundary is looked for"
    SIGNS = "y = x with random signs"
    TWO_ENDS = "at two ends, beta(0.1, 0.1)"
    ONE_HEAVY = "normal, three units at 50 or -50"
    ROUNDED = "normal, rounded to whole standard deviations"
    LEVER = "one error in ten at 50, one unit far out"
    FEW_PROMPTS = "normal, models of 50 prompts and of 2"
    REAL = "like recorded last gains, a fifth apart"

    @property
    def breaks(self) -> frozenset[Assumption]:
        """The assumptions that data of this shape break."""
        return BROKEN_BY.get(self, frozenset())


BROKEN_BY = {
    Shape.SKEWED: frozenset({Assumption.LITTLE_SKEW}),
    Shape.HEAVY: frozenset({Assumption.LIGHT_TAILS}),
    Shape.CLUSTERED: frozenset({Assumption.INDEPENDENT}),
    Shape.UNEQUAL: frozenset({Assumption.EQUAL_SPREAD}),
    Shape.UNRELATED: frozenset({Assumption.STABLE}),
    Shape.LOPSIDED: frozenset({Assumption.BALANCED}),
    Shape.ONE_HEAVY: frozenset({Assumption.LIGHT_TAILS}),
    Shape.REAL: frozenset({Assumption.LITTLE_SKEW}),
}
