"""A cache keyed by object identity, for frozen objects that have no hash."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Thing = TypeVar("Thing")
Answer = TypeVar("Answer")


class ByIdentity(Generic[Thing, Answer]):
    """A function of one frozen thing, such as a claim, computed once for each."""

    def __init__(self, make: Callable[[Thing], Answer]) -> None:
        self._make = make
        self._known: dict[int, tuple[Thing, Answer]] = {}  # keeping the thing too keeps its id unique

    def __call__(self, thing: Thing) -> Answer:
        """Return the function's value for a thing."""
        if id(thing) not in self._known:
            self._known[id(thing)] = thing, self._make(thing)
        return self._known[id(thing)][1]
