"""Reads pytest's ini file for commands that are not pytest: claims, models, reports and so on."""

from __future__ import annotations

import configparser
import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from refutable.errors import BadInput

_SECTIONS = {"pytest.ini": "pytest", ".pytest.ini": "pytest", "tox.ini": "pytest", "setup.cfg": "tool:pytest"}
FILES = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")


def ini_path(key: str, folder: Path | None = None) -> Path | None:
    """Return the path that an ini key names, below the folder of its ini file; None where it is not set.

    Args:
        key: such as ``refutable_claims``.
        folder: where to begin, and to go up from: the current one by default, as pytest does.

    Raises:
        BadInput: the ini file is not TOML, or not of its format.
    """
    place, values = _ini(folder)
    given = str(values.get(key) or "")
    return _shown(place / given) if given else None


def ini_words(key: str, folder: Path | None = None) -> tuple[Path, list[str]]:
    """Return the folder of the ini file and the words of one of its keys, none where it is not set; as `ini_path`."""
    place, values = _ini(folder)
    given = values.get(key) or []
    return place, [str(word) for word in given] if isinstance(given, list) else shlex.split(str(given))


def _ini(folder: Path | None) -> tuple[Path, Mapping[str, Any]]:
    """Return the folder and the values of the ini file; of none, the folder that was begun with and no values."""
    folder = (folder or Path()).absolute()
    for place in (folder, *folder.parents):
        for name in FILES:
            file = place / name
            if not file.is_file():
                continue
            values = _values(file)
            if values is None:
                continue  # no word about pytest in it: the next file may be the one
            return place, values
    return folder, {}


def _values(file: Path) -> Mapping[str, Any] | None:
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


def _shown(path: Path) -> Path:
    here = Path().absolute()
    return path.relative_to(here) if path.is_relative_to(here) else path
