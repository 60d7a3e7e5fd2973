"""Reads pytest's ini file for commands other than pytest: claims, models, reports and so on."""

from __future__ import annotations

import configparser
import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from refutable._util.text import below_here
from refutable.errors import BadInput

_SECTIONS = {"pytest.ini": "pytest", ".pytest.ini": "pytest", "tox.ini": "pytest", "setup.cfg": "tool:pytest"}
FILES = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")


def ini_path(key: str, folder: Path | None = None) -> Path | None:
    """Return the path that an ini key names, relative to its ini file; None if it is not set.

    Args:
        key: such as ``refutable_claims``.
        folder: where the search for the ini file starts, going up; like pytest's, in the current folder by default.

    Raises:
        BadInput: the ini file is malformed.
    """
    place, values = _ini(folder)
    given = str(values.get(key) or "")
    return below_here(place / given) if given else None


def ini_words(key: str, folder: Path | None = None) -> tuple[Path, list[str]]:
    """Return the ini file's folder and the words of one of its keys, none if it is not set; otherwise as `ini_path`."""
    place, values = _ini(folder)
    given = values.get(key) or []
    return place, [str(word) for word in given] if isinstance(given, list) else shlex.split(str(given))


def _ini(folder: Path | None) -> tuple[Path, Mapping[str, Any]]:
    """Return the folder and values of the ini file; without one, the starting folder and no values."""
    folder = (folder or Path()).absolute()
    for place in (folder, *folder.parents):
        for name in FILES:
            file = place / name
            if file.is_file() and (values := _values(file)) is not None:
                return place, values
    return folder, {}


def _values(file: Path) -> Mapping[str, Any] | None:
    """Return the values of a file, or None if it is not about pytest, so that the next file may be."""
    try:
        text = file.read_text(encoding="utf-8")
        return _toml(file.name, tomllib.loads(text)) if file.suffix == ".toml" else _sections(file.name, text)
    except (tomllib.TOMLDecodeError, configparser.Error, UnicodeDecodeError) as error:
        raise BadInput(f"{file.name}: cannot be read ({str(error).splitlines()[0]}); fix it") from None


def _toml(name: str, data: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if name != "pyproject.toml":
        return _mapping(data.get("pytest")) or {}
    of_pytest = _mapping(_mapping(data.get("tool")).get("pytest"))
    return (_mapping(of_pytest.get("ini_options")) or of_pytest) or None


def _sections(name: str, text: str) -> Mapping[str, Any] | None:
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    parser.read_string(text)
    if parser.has_section(_SECTIONS[name]):
        return dict(parser[_SECTIONS[name]])
    return {} if name in ("pytest.ini", ".pytest.ini") else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
