"""How messages word things: plurals, counts, short lists, long values and paths."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePosixPath


def plural(word: str) -> str:
    """Return the plural of a word."""
    return f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"


def shortened(text: str, most: int = 60) -> str:
    """Return a text of at most so many characters, the rest replaced by an ellipsis."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def below_here(path: Path) -> Path:
    """Return a path relative to the current folder if it lies below it, else as given."""
    absolute, here = path.absolute(), Path.cwd()
    return absolute.relative_to(here) if absolute.is_relative_to(here) else path


def size_text(size: float) -> str:
    """Return bytes as text: ``1.2 GB``."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size:.0f} B"


def few(names: Sequence[str], most: int = 4) -> str:
    """Return the first names of a list as text, and how many more there are."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def counted(number: int, word: str) -> str:
    """Return a count with its noun: ``1 claim``, ``2 claims``."""
    return f"{number} {word if number == 1 else plural(word)}"


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its type where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def whole_reason(error: BaseException) -> str:
    """Return all that a library's error says, in one line of at most 1000 characters; its type where that is a key."""
    said, kind = " ".join(str(error).split()), type(error).__name__
    if isinstance(error, KeyError) and said:
        said = f"{kind}: {said}"
    return printable(shortened(said or kind, most=1000))


def printable(text: str) -> str:
    """Return a text whose control characters are written out, so that no terminal obeys them; lines and tabs stay."""
    return "".join(repr(one)[1:-1] if _is_control(one) else one for one in text)


def unfit(text: str) -> str:
    """Return why a text cannot be taken, or an empty string: half of a surrogate pair, or a control character."""
    if not is_utf8(text):
        return "holds half of a surrogate pair, which is no text"
    control = next(filter(_is_control, text), None)
    return "" if control is None else f"holds the control character U+{ord(control):04X}; remove it"


def _is_control(one: str) -> bool:
    return unicodedata.category(one) == "Cc" and one not in "\t\n\r\x85"


def is_utf8(text: str) -> bool:
    """Whether UTF-8 can hold a text: it has no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def leaves_folder(path: str) -> bool:
    """Whether a path that a file names is absolute, leads upwards, or is none on every system."""
    parts = PurePosixPath(path)
    return "\\" in path or "\0" in path or parts.is_absolute() or ".." in parts.parts


def slug(text: str) -> str:
    """Return text as a word of small letters, digits and hyphens, ``-`` if it has none."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "-"
