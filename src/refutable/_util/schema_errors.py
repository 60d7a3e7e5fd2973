"""Turns pydantic's errors into messages of one format: ``file:line path: what; allowed. Did you mean?``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from pydantic import ValidationError

from refutable._util.strict_yaml import Location, YamlSource
from refutable._util.text import shortened
from refutable.errors import did_you_mean


def explain(
    error: ValidationError,
    source: YamlSource,
    root: Location = (),
    *,
    tags: frozenset[str] = frozenset(),
    fields: Mapping[str, Sequence[str]] | None = None,
) -> list[str]:
    """Return one line per place, joining what the alternatives of a union say about it.

    Args:
        error: what pydantic raised.
        source: the file, for its lines.
        root: location of the validated value in the file.
        tags: union tags that pydantic's locations may begin with, which are not keys.
        fields: known keys by name of the enclosing mapping, to suggest from for an unknown key.
    """
    said: dict[Location, list[str]] = {}
    for item in error.errors(include_url=False):
        if item["type"] == "too_short" and len(item["input"]) >= item.get("ctx", {})["min_length"]:
            continue  # it is long enough: pydantic counts only its valid items, and reports the others separately
        parts = [part for part in item["loc"] if part not in tags or " " not in str(part)]  # no key has a blank
        while parts and parts[0] in tags:
            del parts[0]
        if item["type"] == "union_tag_invalid":
            parts.append(item["ctx"]["discriminator"].strip("'"))
        while parts and item["type"] != "missing" and (*root, *parts) not in source.lines:
            del parts[-1]  # the name of a union's alternative, or an item of a list written as one word
        said.setdefault((*root, *parts), []).append(_what(dict(item), parts, fields or {}))
    return [f"{source.where(at)} {path_text(at)}: {' Or: '.join(texts)}" for at, texts in said.items()]


def path_text(at: Location) -> str:
    """Return a location as text: ``claims[3].test.statistic``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in at)
    return text.lstrip(".") or "the file"


def _what(item: dict[str, Any], parts: list[str | int], fields: Mapping[str, Sequence[str]]) -> str:
    context = item.get("ctx", {})
    key = str(parts[-1]) if parts else ""
    match item["type"]:
        case "extra_forbidden":
            above = next((str(p) for p in reversed(parts[:-1]) if p in fields), "")
            known = sorted(fields.get(above, ()))
            allowed = f"; known: {', '.join(known)}" if known else ""
            return f"unknown key {key!r}{allowed}.{did_you_mean(key, known)}"
        case "missing":
            return f"the key {key!r} is missing; write it"
        case "literal_error" | "enum":
            return _unknown("value", item["input"], str(context.get("expected", "")).replace(" or ", ", "))
        case "union_tag_invalid":
            discriminator = str(context["discriminator"]).strip("'")
            return _unknown(discriminator, str(context["tag"]), str(context["expected_tags"]))
        case "union_tag_not_found":
            return f"the key {context['discriminator']} is missing; write it"
        case "value_error":
            return str(context.get("error", item["msg"]))
        case "string_pattern_mismatch":
            allowed = "use lower-case letters, digits, '.', '_' and '-'"
            return f"{item['input']!r} does not match {context['pattern']}; {allowed}"
        case "model_type" | "dict_type" | "model_attributes_type":
            return f"must be a mapping of keys (got {_shown(item['input'])})"
        case "tuple_type" | "list_type":
            return f"must be a list (got {_shown(item['input'])})"
        case "too_short" if context["min_length"] == 1:
            return f"is empty (got {_shown(item['input'])}); name at least one"
        case "too_short":
            return f"must have at least {context['min_length']} (got {_shown(item['input'])})"
        case "string_type":
            return f"must be text (got {_shown(item['input'])}); put it in quotes"
        case _:
            return f"{item['msg'][0].lower()}{item['msg'][1:]} (got {_shown(item['input'])})"


def _unknown(kind: str, value: object, listed: str) -> str:
    known = [word.strip("' ") for word in listed.split(",")]
    return f"unknown {kind} {value!r}; known: {', '.join(known)}.{did_you_mean(str(value), known)}"


def _shown(value: object) -> str:
    return shortened(str(value) if isinstance(value, date) else repr(value))
