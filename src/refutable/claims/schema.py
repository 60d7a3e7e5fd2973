"""The JSON Schema of a claims file, for editors: every key, and every name that a claim can use."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from refutable._util.strict_yaml import NAMES
from refutable.claims.kinds import ClaimsFile
from refutable.metrics import METRICS
from refutable.models.families import FAMILIES
from refutable.models.registry import ModelRegistry, load_registry
from refutable.prompts.find import known_sets
from refutable.statistics import STATISTICS
from refutable.theorems import THEOREMS

GLOB = r"[*?\[]"
PATH = r"[./]"


class _ShortForms(GenerateJsonSchema):
    """Allows one word for a list of one, and one word or a list of words for a selector of models."""

    def function_before_schema(self, schema: Any) -> dict[str, Any]:
        full = super().function_before_schema(schema)
        short: list[dict[str, Any]] = [{"type": "string"}]
        if full.get("type") != "array":
            short.append({"type": "array", "items": {"type": "string"}})
        return {"anyOf": [full, *short]}


def json_schema(models: ModelRegistry | None = None) -> dict[str, Any]:
    """Return the JSON Schema of a claims file, with the names of what is registered now.

    Args:
        models: those that claims can name; by default the packaged ones and those of extensions.
    """
    schema = TypeAdapter(ClaimsFile).json_schema(by_alias=True, schema_generator=_ShortForms)
    for kind, words in _names(models if models is not None else load_registry()):
        alternatives = list(words)
        schema["$defs"][_named(kind)] = {"anyOf": alternatives} if alternatives else {"type": "string"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "refutable claims",
        **_with_names(schema),
    }


def schema_text(models: ModelRegistry | None = None) -> str:
    """Return the schema as the text of a file."""
    return json.dumps(json_schema(models), indent=1, ensure_ascii=False) + "\n"


def _names(models: ModelRegistry) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
    """Yield what each kind of name may be: one of the known words, each with what it is, or a pattern."""
    metrics = {name: f"{_first(METRICS[name].doc)} (pass {METRICS[name].reads})" for name in METRICS}
    rows = {row.name: f"{row.title}: {row.parameters:,} parameters, {row.family}" for row in models}
    organisations = sorted({row.organisation for row in models})
    sets = {each.name: f"{len(each)} prompts: {_first(each.source)}" for each in known_sets()}
    yield "statistic", _words({name: _first(STATISTICS[name].doc) for name in STATISTICS})
    yield "metric", _words(metrics)
    yield "model", _words(rows, "a glob, as 'pythia-*'", GLOB)
    yield "family", _words(dict.fromkeys(FAMILIES, ""))
    yield "organisation", _words(dict.fromkeys(organisations, ""))
    yield "property", _words({name: _first(THEOREMS[name].doc) for name in THEOREMS})
    yield "prompt set", _words(sets, "the path of a file of prompts", PATH)


def _words(words: Mapping[str, str], otherwise: str = "", pattern: str = "") -> Iterator[dict[str, Any]]:
    for word, about in words.items():
        yield {"const": word, "description": about} if about else {"const": word}
    if pattern:
        yield {"type": "string", "pattern": pattern, "description": otherwise}


def _first(text: str) -> str:
    """Return the first sentence of a text."""
    return " ".join(inspect.cleandoc(text).split("\n\n")[0].split()).split(". ")[0].rstrip(".")


def _named(kind: str) -> str:
    return f"{kind.title().replace(' ', '')}Name"


def _with_names(node: Any, kind: str | None = None) -> Any:
    """Return a schema in which strings that are names of a kind refer to its words.

    A field marked with `NAMES` says of which kind the strings in it are.
    """
    if isinstance(node, list):
        return [_with_names(each, kind) for each in node]
    if not isinstance(node, dict):
        return node
    kind = node.get(NAMES, kind)
    inner = {key: _with_names(value, kind) for key, value in node.items() if key != NAMES}
    if kind is None or inner.get("type") != "string":
        return inner
    kept = {key: value for key, value in inner.items() if key != "type"}
    return {**kept, "$ref": f"#/$defs/{_named(kind)}"}
