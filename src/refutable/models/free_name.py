"""A name for a model that no row has, from its place."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from refutable._util.hashing import key_of


def free_name(parts: Iterable[str], taken: Collection[str]) -> str:
    """Return a name that is not taken: the last part, with parts before it where it must be longer."""
    words = [word for part in parts if (word := _word(part))]
    names = ["-".join(words[-count:]) for count in range(1, len(words) + 1)] or ["model"]
    numbered = (f"{names[-1]}-{number}" for number in range(2, len(taken) + 3))
    return next(name for name in (*names, *numbered) if name not in taken)


def _word(part: str) -> str:
    """Return a part of a path in the letters of a name; one with other letters ends in a hash, to stay itself."""
    word = re.sub(r"[^a-z0-9._-]+", "-", part.lower()).strip("._-")
    return word if part.isascii() else f"{word}-{key_of({'part': part})[:6]}".lstrip("-")
