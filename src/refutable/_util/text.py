"""Plurals, counts and short lists in words."""

from __future__ import annotations

from collections.abc import Sequence


def plural(word: str) -> str:
    """Return the word for several of a thing."""
    return f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"


def few(names: Sequence[str], most: int = 4) -> str:
    """Return names as text, the rest of a long list counted."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def counted(number: int, word: str) -> str:
    """Return a number of things in words: ``1 claim``, ``2 claims``."""
    return f"{number} {word if number == 1 else plural(word)}"


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its type where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
