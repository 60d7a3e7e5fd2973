"""Mathematical properties, tried on generated inputs; a counter-example is shrunk and kept.

Inputs are integers, so a property is checked exactly: rounding neither makes nor hides a counter-example. None found in
N tries proves nothing; a theorem claim is SUPPORTED only with a proof. To add one: docs/adding-a-theorem.md.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisWarning, Unsatisfiable

from refutable._util.registry import Registry


@dataclass(frozen=True, slots=True)
class Theorem:
    """A property of generated inputs, which are dictionaries of named values.

    Attributes:
        name: as claims write it.
        inputs: what it is tried on.
        holds: whether it is true of an input that satisfies the premise.
        premise: which inputs it is about.
    """

    name: str
    inputs: st.SearchStrategy[dict[str, Any]]
    holds: Callable[[dict[str, Any]], bool]
    premise: Callable[[dict[str, Any]], bool] = lambda example: True

    @property
    def doc(self) -> str:
        """The docstring of its predicate."""
        return (self.holds.__doc__ or "").strip()

    def refuted_by(self, example: dict[str, Any]) -> bool:
        """Whether an input satisfies the premise and breaks the property."""
        return self.premise(example) and not self.holds(example)


@dataclass(frozen=True, slots=True)
class Search:
    """How many inputs satisfied the premise, and the smallest one that breaks the property, or None."""

    tried: int
    counter_example: dict[str, Any] | None


THEOREMS: Registry[Theorem] = Registry("property", Theorem, "refutable.theorems")


def theorem(
    name: str,
    inputs: st.SearchStrategy[dict[str, Any]],
    premise: Callable[[dict[str, Any]], bool] = lambda example: True,
) -> Callable[[Callable[[dict[str, Any]], bool]], Theorem]:
    """Make a predicate into the theorem called `name`."""
    return lambda holds: Theorem(name, inputs, holds, premise)


def search_counter_example(subject: Theorem, examples: int) -> Search:
    """Look for a counter-example among this many generated inputs; deterministic."""
    tried = 0
    found: dict[str, Any] | None = None

    @settings(
        max_examples=examples,
        phases=(Phase.generate, Phase.shrink),  # to explain a failure, it would trace every line of every try
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(subject.inputs)
    def attempt(example: dict[str, Any]) -> None:
        nonlocal tried, found
        assume(subject.premise(example))
        tried += 1
        if not subject.holds(example):
            found = example  # the last to fail is the smallest: Hypothesis replays it after shrinking
            raise _Broken

    with warnings.catch_warnings(), contextlib.suppress(_Broken, Unsatisfiable):  # if unsatisfiable, `tried` stays 0
        warnings.simplefilter("ignore", HypothesisWarning)
        attempt()
    return Search(tried, found)


class _Broken(Exception):
    """The property failed on an input."""
