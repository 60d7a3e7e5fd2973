"""What a run is doing right now, for whoever listens; by default nobody does, and a task costs a microsecond.

::

    with task("smollm2: reading weights", total=270e6, unit="bytes") as reading:
        reading.advance(4096)

Whoever shows progress looks at `active` now and then, from a thread of its own: a task calls nobody while it advances.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

BYTES = "bytes"


@dataclass(slots=True, eq=False)
class Task:
    """Something that takes a while.

    Attributes:
        name: what it is, in words; empty for the parts of the task around it.
        total: how much there is to do; None where that is not known.
        unit: of what, in the plural; `BYTES` are shown as such, and at a rate.
        done: how much of it is done.
        share: how much of the work that is, in [0, 1]; None for `done` of `total`.
        step: the share of the work that is being done now, as one piece.
        part: how much of that piece is done, in [0, 1].
        started: when it began, on `time.monotonic`.
    """

    name: str
    total: float | None = None
    unit: str = ""
    done: float = 0.0
    share: float | None = None
    step: float = 0.0
    part: float = 0.0
    started: float = field(default_factory=time.monotonic)

    def advance(self, amount: float = 1.0) -> None:
        """Add to what is done; from any thread."""
        with _LOCK:
            self.done += amount

    @property
    def fraction(self) -> float | None:
        """How much of the work is done, in [0, 1], or None where that is not known."""
        if self.share is not None:
            return min(1.0, self.share + self.step * self.part)
        return min(1.0, self.done / self.total) if self.total else None


class Listener(Protocol):
    """Whoever shows what a run is doing."""

    def began(self, task: Task) -> None:
        """Hear that a task began."""

    def ended(self, task: Task) -> None:
        """Hear that a task ended, well or not; it is not active any more."""

    def said(self, text: str) -> None:
        """Hear a line that is to stay."""


_LOCK = threading.Lock()
_active: list[Task] = []
_listeners: list[Listener] = []


@contextmanager
def task(name: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
    """Do something that takes a while, inside whatever is being done already."""
    new = Task(name, total, unit)
    with _LOCK:
        _active.append(new)
    for listener in tuple(_listeners):
        listener.began(new)
    try:
        yield new
    finally:
        with _LOCK:
            _active.remove(new)
        for listener in tuple(_listeners):
            listener.ended(new)


def active() -> tuple[Task, ...]:
    """Return what is being done, the outermost task first."""
    with _LOCK:
        return tuple(_active)


def within(part: float) -> None:
    """Say how much is done of the piece that the innermost task works on, in [0, 1]."""
    with _LOCK:
        if _active:
            _active[-1].part = part


def say(text: str) -> None:
    """Say a line that is to stay; nothing where nobody listens."""
    for listener in tuple(_listeners):
        listener.said(text)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Let somebody listen meanwhile."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextmanager
def unheard() -> Iterator[None]:
    """Let nobody listen meanwhile but who begins to, such as a run of pytest inside another command."""
    kept = _listeners[:]
    _listeners.clear()
    try:
        yield
    finally:
        _listeners[:] = kept
