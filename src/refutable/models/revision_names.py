"""Names of revisions: globs among them, their natural order, and the name of a model at one of them."""

from __future__ import annotations

import re

_GLOB = frozenset("*?[")
_PARTS = re.compile(r"(\d+)")


def is_glob(revision: str) -> bool:
    """Whether a revision is a pattern, which no branch, tag or commit can be called."""
    return not _GLOB.isdisjoint(revision)


def natural(name: str) -> tuple[tuple[bool, int, str], ...]:
    """Return a key that sorts numbers in names by their size: step2 before step10."""
    parts = (part for part in _PARTS.split(name) if part)
    return tuple((part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts)


def split_name(name: str) -> tuple[str, str]:
    """Return a model's name and its revision, which is empty without one: ``pythia-160m@step1000``."""
    model, _, revision = name.partition("@")
    return model, revision


def model_of(name: str) -> str:
    """Return a model's name without its revision."""
    return split_name(name)[0]


def in_id(name: str) -> str:
    """Return a name as it stands in the id of a test, where ``-k`` knows no ``@``: ``pythia-160m-step1000``."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).rstrip("-")
