"""The JSON Schema of verdicts.json, made from the types that write it."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from refutable.reports.formats.verdicts_json import VERSION
from refutable.verdicts.multiplicity import Adjusted
from refutable.verdicts.preregistration.status import CONFIRMATORY, EXPLORATORY, NOTHING_MEASURED
from refutable.verdicts.verdict import Estimate, Verdict


def verdicts_schema() -> dict[str, Any]:
    """Return the JSON Schema of a verdicts.json."""
    text, number = {"type": "string"}, {"type": "number"}
    texts = {"type": "object", "additionalProperties": text}
    estimate = {"anyOf": [TypeAdapter(Estimate).json_schema(), {"type": "null"}]}
    verdict = {"enum": [verdict.value for verdict in Verdict]}
    variation = _closed(verdict=verdict, why=text, estimate=estimate, changes=texts)
    share = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
    controls = {"type": "object", "additionalProperties": {"$ref": "#/$defs/control"}}
    control = _closed(verdict=verdict, why=text, estimate=estimate, share=share, parts=controls)
    row = _closed(
        id=text,
        claim=text,
        subject=text,
        verdict=verdict,
        predicts=text,
        why=text,
        labels={"type": "array", "items": text},
        estimate=estimate,
        variations={"type": "object", "additionalProperties": variation},
        controls=controls,
        details=texts,
        recorded={"type": "object", "additionalProperties": {"type": "object", "required": ["value"]}},
        about={
            "type": "object",
            "required": ["statement", "evidence", "alpha"],
            "properties": {"registration": {"enum": [CONFIRMATORY, EXPLORATORY, NOTHING_MEASURED]}},
        },
        weights=texts,
        traces={"type": "array", "items": text},
        seconds=number,
        adjusted={"anyOf": [TypeAdapter(Adjusted).json_schema(), {"type": "null"}]},
    )
    check = _closed(name=text, outcome={"enum": ["passed", "failed", "skipped", "error"]}, message=text, seconds=number)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "refutable verdicts",
        "$defs": {"control": control},
        **_closed(
            version={"const": VERSION},
            complete={"type": "boolean"},
            provenance={
                "type": "object",
                "required": ["started", "python", "packages", "device", "claims_hash"],
            },
            counts={"type": "object", "additionalProperties": {"type": "integer"}},
            verdicts={"type": "array", "items": row},
            checks={"type": "array", "items": check},
        ),
    }


def _closed(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
