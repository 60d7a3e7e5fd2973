"""Reads a claims file: into claims, or into one BadInput that names every problem, each with its line, what is allowed
and the nearest right word.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import RootModel, TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema

from refutable.claims import SCHEMA_VERSION, BaseClaim, Claim, ClaimsFile, Record, Source, TheoremClaim
from refutable.claims.kinds import KINDS, TAGS
from refutable.errors import BadInput, UnknownName, did_you_mean
from refutable.models import Frozen, Selector
from refutable.schema_errors import explain
from refutable.yaml_source import YamlSource, read_yaml


class _One(RootModel[Claim]):
    pass


def load_claims(path: Path) -> tuple[Any, ...]:
    """Load every claim of a file, in its order.

    Args:
        path: a YAML file as docs/adding-a-claim.md describes.

    Raises:
        BadInput: with one line for every problem in the file.
    """
    source = read_yaml(path)
    claims = claims_from(source)
    absent = [
        f"{source.where(('claims', index, 'proof'))} claims[{index}].proof: no file {claim.proof} beside the claims"
        for index, claim in enumerate(claims)
        if isinstance(claim, TheoremClaim) and claim.proof_file and not (path.parent / claim.proof_file).is_file()
    ]
    if absent:
        raise BadInput("\n".join(absent))
    return claims


def claims_from(source: YamlSource) -> tuple[Any, ...]:
    """Validate a parsed file; see `load_claims`."""
    data = source.data
    if not isinstance(data, dict):
        raise BadInput(f"{source.name}:1 must be a mapping with `schema: 1` and `claims:`; see docs/adding-a-claim.md")
    problems = _top_level(source, data)
    claims = []
    entries = data.get("claims")
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        try:
            claims.append(_One.model_validate(entry).root)
        except ValidationError as error:
            problems += explain(error, source, ("claims", index), tags=TAGS, fields=_known_keys(entry))
    problems += _identities(source, entries if isinstance(entries, list) else [])
    if problems:
        raise BadInput("\n".join(problems))
    return tuple(claims)


def _top_level(source: YamlSource, data: dict[str, Any]) -> list[str]:
    problems = []
    for key in data:
        if key not in ("schema", "claims"):
            near = did_you_mean(key, ("claims", "schema"))
            problems.append(f"{source.where((key,))} {key}: unknown key {key!r}; known: claims, schema.{near}")
    if data.get("schema") != SCHEMA_VERSION or isinstance(data["schema"], bool):
        found = repr(data.get("schema")) if "schema" in data else "nothing"
        problems.append(f"{source.where(('schema',))} schema: found {found}; this version reads `schema: 1`")
    if not isinstance(data.get("claims"), list) or not data["claims"]:
        problems.append(f"{source.where(('claims',))} claims: must be a list of at least one claim")
    return problems


def _identities(source: YamlSource, entries: Sequence[Any]) -> list[str]:
    seen: dict[str, int] = {}
    problems = []
    for index, entry in enumerate(entries):
        name = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            continue
        if name in seen:
            first = source.where(("claims", seen[name], "id"))
            problems.append(
                f"{source.where(('claims', index, 'id'))} claims[{index}].id: {name!r} is already the id at {first};"
                " ids are unique"
            )
        seen.setdefault(name, index)
    for index, entry in enumerate(entries):
        other = entry.get("reading_of") if isinstance(entry, dict) else None
        if isinstance(other, str) and other not in seen:
            message = UnknownName("claim", other, seen)
            problems.append(f"{source.where(('claims', index, 'reading_of'))} claims[{index}].reading_of: {message}")
    return problems


def _known_keys(entry: Any) -> dict[str, Sequence[str]]:
    evidence = entry.get("evidence") if isinstance(entry, dict) else None
    tested = isinstance(entry, dict) and "test" in entry
    for kind in sorted(KINDS, key=lambda kind: ("test" in kind.model_fields) != tested):
        if evidence in get_args(kind.model_fields["evidence"].annotation):
            return {"": _keys(kind), **_nested_keys(kind)}
    return {"": _keys(BaseClaim)}


def _nested_keys(kind: type[Frozen]) -> dict[str, Sequence[str]]:
    known: dict[str, Sequence[str]] = {
        **{"source": _keys(Source), "record": _keys(Record)},
        **dict.fromkeys(("models", "groups"), _keys(Selector)),
    }
    for name in ("test", "multiverse"):
        field = kind.model_fields.get(name)
        if field is not None and isinstance(field.annotation, type) and issubclass(field.annotation, Frozen):
            known[name] = _keys(field.annotation)
    return known


def _keys(kind: type[Frozen]) -> list[str]:
    return [field.alias or name for name, field in kind.model_fields.items()]


class _ShortForms(GenerateJsonSchema):
    """Says that one word may stand for a list of one, and one word or a list of them for a selector of models."""

    def function_before_schema(self, schema: Any) -> dict[str, Any]:
        full = super().function_before_schema(schema)
        short: list[dict[str, Any]] = [{"type": "string"}]
        if full.get("type") != "array":
            short.append({"type": "array", "items": {"type": "string"}})
        return {"anyOf": [full, *short]}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a claims file, for editors."""
    schema = TypeAdapter(ClaimsFile).json_schema(by_alias=True, schema_generator=_ShortForms)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "refutable claims", **schema}
