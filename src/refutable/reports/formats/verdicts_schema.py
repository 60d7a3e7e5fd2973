"""The JSON Schema of verdicts.json, made from the types that write it."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from refutable.reports.formats.verdicts_json import VERSION
from refutable.reports.journal import CHECK, COMPARISON, SELECTION
from refutable.verdicts.preregistration.status import CONFIRMATORY, EXPLORATORY, NOTHING_MEASURED
from refutable.verdicts.row import ROW
from refutable.verdicts.verdict import Verdict
from refutable.verdicts.whole_report import WholeReport

PROVENANCE = ("started", "python", "packages", "device", "claims_hash")
ABOUT = ("statement", "evidence", "alpha")
ADDED = ("multiplicity", "selection", "comparison")  # files of earlier versions lack them


def verdicts_schema() -> dict[str, Any]:
    """Return the JSON Schema of a verdicts.json."""
    definitions: dict[str, Any] = {}
    row, check, multiplicity, selection, comparison = (
        _of(one, definitions) for one in (ROW, CHECK, TypeAdapter(WholeReport), SELECTION, COMPARISON)
    )
    registration = {"enum": [CONFIRMATORY, EXPLORATORY, NOTHING_MEASURED]}
    row["properties"]["about"] |= {"required": [*ABOUT], "properties": {"registration": registration}}
    row["properties"]["recorded"]["additionalProperties"]["required"] = ["value"]
    whole = {
        "version": {"const": VERSION},
        "complete": {"type": "boolean"},
        "selection": {"anyOf": [selection, {"type": "null"}]},
        "comparison": {"anyOf": [comparison, {"type": "null"}]},
        "provenance": {"type": "object", "required": [*PROVENANCE]},
        "counts": _closed({verdict.value: {"type": "integer"} for verdict in Verdict}),
        "multiplicity": multiplicity,
        "verdicts": {"type": "array", "items": row},
        "checks": {"type": "array", "items": check},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "refutable verdicts",
        "$defs": {
            name: _closed(of["properties"], of) if "properties" in of else of for name, of in definitions.items()
        },
        **_closed(whole),
        "required": [key for key in whole if key not in ADDED],
    }


def _of(adapter: TypeAdapter[Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a type as written, adding nested types to the definitions."""
    schema = adapter.json_schema(mode="serialization")
    definitions |= schema.pop("$defs", {})
    return _closed(schema["properties"], schema)


def _closed(properties: dict[str, Any], schema: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the schema of an object with exactly these properties."""
    object_ = {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}
    return {**(schema or {}), **object_}
