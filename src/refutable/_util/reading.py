"""Reads what a user hands over: regular files of bounded size, UTF-8 text, and JSON without surprises.

Every reader of the user's files begins here, so that a pipe, a device, a file of gigabytes, another encoding or a
document nested a thousand deep gets one clear message, and none is special to one format.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Any

from refutable.errors import BadInput

MEGABYTE = 1024 * 1024
MAX_BYTES = 4 * MEGABYTE  # of what people write by hand
MAX_DEPTH = 200
MAX_DIGITS = 100
_POINTER = b"version https://git-lfs"  # what Git leaves in the place of a large file that it has not fetched
_IS_POINTER = "a pointer of Git LFS, not the file; run `git lfs pull`"
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_ABSENT = "check the path"


def read_bytes(path: Path, shown: str | None = None, *, most: int = MAX_BYTES, absent: str = _ABSENT) -> bytes:
    """Read a whole file.

    Args:
        path: the file.
        shown: how messages call it; the path as given when absent.
        most: the largest size that is read, in bytes.
        absent: what a user can do where there is no such file.

    Raises:
        BadInput: it is missing, not a regular file, too large, or cannot be read.
    """
    shown = shown or str(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            what = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or a device"
            raise BadInput(f"{shown}: not a file but {what}; give the path of a file")
        if status.st_size > most:
            raise BadInput(f"{shown}: {status.st_size} bytes; at most {most} are read. Split the file")
        with path.open("rb") as file:
            return file.read(most)
    except FileNotFoundError:
        raise BadInput(f"{shown}: no such file; {absent}") from None
    except OSError as error:
        raise BadInput(f"{shown}: cannot be read ({error.strerror}); check the path and its permissions") from None
    except ValueError as error:  # a path with a zero byte
        raise BadInput(f"{shown!r}: no path of a file ({error})") from None


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """Open a file that is read in parts.

    Raises:
        BadInput: it cannot be opened or read, or is what Git left in the place of a large file.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(_POINTER)) == _POINTER:
                raise BadInput(f"{path}: {_IS_POINTER}")
            file.seek(0)
            yield file
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from None


def names_in(folder: Path) -> list[str]:
    """Return the names of what lies in a folder, in their order.

    Raises:
        BadInput: it cannot be listed.
    """
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise BadInput(f"{folder}: cannot be listed ({error.strerror}); check the path and its permissions") from None


def decode(data: bytes, shown: str) -> str:
    """Return UTF-8 as text, without a byte order mark.

    Raises:
        BadInput: it is not UTF-8; the message has the offset of the first wrong byte.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{shown}: not UTF-8 text (byte {error.start}); save it as UTF-8") from None


def read_text(path: Path, shown: str | None = None, *, most: int = MAX_BYTES, absent: str = _ABSENT) -> str:
    """Read a whole text file; errors as `read_bytes` and `decode`."""
    return decode(read_bytes(path, shown, most=most, absent=absent), shown or str(path))


def read_json(path: Path, shown: str | None = None, *, most: int = MAX_BYTES, fix: str = "correct it") -> Any:
    """Read a JSON file; errors as `read_bytes` and `parse_json`."""
    shown = shown or str(path)
    return parse_json(read_text(path, shown, most=most), shown, fix=fix)


def parse_json(text: str, shown: str, *, fix: str = "correct it") -> Any:
    """Parse JSON as plain data.

    Args:
        text: the document.
        shown: how messages call it.
        fix: what a user can do about a document that is broken.

    Raises:
        BadInput: it is not JSON, repeats a key in one object, nests deeper than `MAX_DEPTH`, has a number of more than
            `MAX_DIGITS` digits, or text that UTF-8 cannot hold.
    """
    _refuse_depth(text, shown, fix)
    try:
        data = json.loads(text, object_pairs_hook=_object, parse_int=_integer)
    except json.JSONDecodeError as error:
        if text.startswith(_POINTER.decode()):
            raise BadInput(f"{shown}: {_IS_POINTER}") from None
        raise BadInput(f"{shown}: not JSON (line {error.lineno}: {error.msg}); {fix}") from None
    except (_Refused, RecursionError) as error:
        raise BadInput(f"{shown}: {str(error) or 'nested too deeply'}; {fix}") from None
    if _SURROGATE.search(text):
        try:
            json.dumps(data, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise BadInput(f"{shown}: holds half of a surrogate pair, which is no text; {fix}") from None
    return data


class _Refused(Exception):
    """A value that is JSON and is not taken."""


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Refused(f"repeats the key {key[:60]!r} in one object; keep one of the two")
        found[key] = value
    return found


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise _Refused(f"has a number of {len(digits)} digits, and at most {MAX_DIGITS} are read")
    return int(digits)


_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def _refuse_depth(text: str, shown: str, fix: str) -> None:
    """Refuse deep nesting before it is parsed: how deep the parser can go depends on the Python and its stack."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for match in _BRACKETS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match.group(), 0)
        if depth > MAX_DEPTH:
            raise BadInput(f"{shown}: nested deeper than {MAX_DEPTH} levels; {fix}")


def is_file(path: Path) -> bool:
    """Whether there is a regular file; a path that no system could have, because it is too long, has none."""
    with suppress(OSError, ValueError):
        return path.is_file()
    return False


def is_folder(path: Path) -> bool:
    """Whether there is a folder; a path that no system could have has none."""
    with suppress(OSError, ValueError):
        return path.is_dir()
    return False


def exists(path: Path) -> bool:
    """Whether there is anything at a path; nothing is where no system could have it."""
    with suppress(OSError, ValueError):
        return path.exists()
    return False
