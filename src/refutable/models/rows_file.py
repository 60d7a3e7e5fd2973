"""Reads a file of rows, with the line of whatever is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from refutable._util.schema_errors import explain
from refutable._util.strict_yaml import YamlSource
from refutable.errors import BadInput, did_you_mean
from refutable.models.row import ModelRow, Wheel, check_facts
from refutable.models.sources import RowSource

_FIELDS: dict[str, Sequence[str]] = {
    "": [key for key in ModelRow.model_fields if key != "name"],
    "wheel": [*Wheel.model_fields],
    "sources": [*RowSource.model_fields],
}


def rows_of(source: YamlSource, base: Mapping[str, ModelRow], file: Path | None = None) -> dict[str, ModelRow]:
    """Return the rows that a file holds, by their name.

    Args:
        source: the file as read.
        base: rows that a row of the same name adds to.
        file: where it lies, if what it says of weights is seen from there.

    Raises:
        BadInput: it is unusable; every problem is named.
    """
    data = source.data if source.data is not None else {}
    models = (data.get("models") or ({} if "models" in data else None)) if isinstance(data, dict) else None
    if data != {} and not isinstance(models, dict):
        raise BadInput(f"{source.name}:1 must hold one mapping `models:` of name to row; see docs/adding-a-model.md")
    rows: dict[str, ModelRow] = {}
    problems = [
        f"{source.where((key,))} {key}: unknown key {key!r}; known: models.{did_you_mean(key, ['models'])}"
        for key in data
        if key != "models"
    ]
    for name, row in (models or {}).items():
        known = base[name].model_dump(exclude={"name"}, exclude_unset=True) if name in base else {}
        try:
            rows[name] = _beside(ModelRow.model_validate({**known, **(row or {}), "name": name}), file)
            check_facts(rows[name])
        except ValidationError as error:
            problems += explain(error, source, ("models", name), fields=_FIELDS)
        except BadInput as error:
            problems.append(f"{source.where(('models', name, 'config'))} models.{name}.config: {error}")
        except TypeError:
            where = source.where(("models", name))
            problems.append(f"{where} models.{name}: must be a mapping of keys (got {row!r})")
    if problems:
        raise BadInput("\n".join(problems))
    return rows


def _beside(row: ModelRow, file: Path | None) -> ModelRow:
    """Return a row with the place of its weights as seen from its file."""
    if row.weights is None or file is None:
        return row
    return row.model_copy(update={"weights": str(file.absolute().parent / row.weights)})
