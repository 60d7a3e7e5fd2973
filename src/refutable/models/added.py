"""Writes the row of a model into a suite's own file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml
from pydantic import ValidationError

from refutable._util.atomic import write_whole
from refutable._util.reading import exists, read_text
from refutable.errors import BadInput
from refutable.models.registry import load_registry, place_of
from refutable.models.row import ModelRow

_EMPTY = re.compile(r"^models:(?:[ \t]*(?:\{\}|null|~))?(?P<rest>[ \t]*(#.*)?)$", re.MULTILINE)
_LEFT_OUT = ("name", "aliases", "config_source", "default", "stand_in", "wheel", "init")


def add_row(row: ModelRow, file: Path) -> str:
    """Write a row at the end of a file, and return it as YAML; whatever else stands in the file stays as it is.

    Args:
        row: of a model that no registry has.
        file: of rows; it is made where there is none.

    Raises:
        BadInput: a model is already called so, or the file cannot hold another row.
    """
    text = read_text(file) if exists(file) else "models:\n"
    if (place := _place_of(row.name, file)) is not None:
        raise BadInput(f"{place}: already has a model called {row.name!r}; give another name: --name")
    block = _indented(row, file)
    opened = _EMPTY.sub(r"models:\g<rest>", text, count=1).rstrip()
    whole = f"{opened}\n{block}"
    file = file.resolve()
    aside = file.with_name(f".{file.name}.{uuid4().hex}.yaml")
    try:
        write_whole(aside, whole)
        load_registry(aside)
    except BadInput as error:
        raise BadInput(f"{file}: cannot be added to ({error}); write the row yourself:\n{block}") from None
    finally:
        aside.unlink(missing_ok=True)
    write_whole(file, whole)
    return block


def _place_of(name: str, file: Path) -> str | None:
    """Return where the row of a name stands: in a suite's file, in the packaged one, or in an extension."""
    known, here = load_registry().named(name), load_registry(file if exists(file) else None).named(name)
    if here is not None and here != known:
        return str(file)
    return None if known is None else place_of(known)


def renamed(row: ModelRow, name: str) -> ModelRow:
    """Return a row under another name.

    Raises:
        BadInput: no model can be called so.
    """
    try:
        return ModelRow.model_validate({**row.model_dump(exclude_unset=True), "name": name, "title": name})
    except ValidationError:
        raise BadInput(
            f"--name {name}: write lower-case letters, digits, '.', '_' and '-', the first a letter or a digit"
        ) from None


def _indented(row: ModelRow, file: Path) -> str:
    written = yaml.safe_dump({row.name: _plain(row, file)}, sort_keys=False, allow_unicode=True, width=110)
    return "".join(f"  {line}\n" for line in written.splitlines())


def _plain(row: ModelRow, file: Path) -> Mapping[str, Any]:
    """Return the keys of a row that say something, with the place of its weights as seen from the file."""
    said = row.model_dump(mode="json", exclude_defaults=True, exclude=set(_LEFT_OUT))
    if row.weights is not None:
        said["weights"] = _seen_from(file.absolute().parent, Path(row.weights))
    return said


def _seen_from(folder: Path, path: Path) -> str:
    """Return a path below a folder as relative to it, and any other as it is."""
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
