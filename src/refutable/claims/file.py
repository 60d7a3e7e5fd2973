"""Reads a claims file: into claims, or into one BadInput that names every problem with its line, what is allowed and
the nearest known word.
"""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from refutable._util.reading import is_file, read_text
from refutable._util.schema_errors import explain, path_text
from refutable._util.strict_yaml import ABSENT, Frozen, Location, YamlSource
from refutable.claims import SCHEMA_VERSION, BaseClaim, Claim, Record, Restatement, Source, TheoremClaim
from refutable.claims.base import MOST_HEADLINES, headline_place
from refutable.claims.include import include_problems, read_with_includes
from refutable.claims.kinds import CLAIM_CLASSES, TAGS
from refutable.claims.parts import Against, Tolerance
from refutable.errors import BadInput, UnknownName, did_you_mean
from refutable.models.selector import Selector

EVIDENCE = sorted({kind for each in CLAIM_CLASSES for kind in get_args(each.model_fields["evidence"].annotation)})
KEYS_OF_TESTS = {"property": "theorem", "probe": "wiring", "under": "intervention", "contrasts": "causal"}
CLAIM: TypeAdapter[BaseClaim] = TypeAdapter(Claim)


@dataclass(frozen=True, slots=True)
class Places:
    """Where claims are in their files, for errors that need a registry or prompts to be found.

    Attributes:
        file: name of the claims file.
        at: the file and the index of each claim, by its id; other claims are named by their id.
        folder: of the claims file, to which paths that claims name are relative.
    """

    file: str
    at: Mapping[str, tuple[YamlSource, int]] = field(default_factory=dict)
    folder: Path = Path()

    def of(self, claim: str, *keys: str | int) -> str:
        """Return ``file:line path`` of a key of a claim, skipping keys that the file does not contain."""
        if claim not in self.at:
            return f"{self.file} claim {claim!r}"
        source, index = self.at[claim]
        location: Location = ("claims", index)
        for key in keys:
            location = (*location, key) if (*location, key) in source.lines else location
        return f"{source.where(location)} {path_text(location)}"


@dataclass(frozen=True, slots=True)
class Loaded:
    """Claims as read from files, in order; where each is; and the claims file with those that it includes."""

    claims: tuple[BaseClaim, ...]
    places: Places
    files: tuple[Path, ...]

    def yaml(self) -> dict[str, str]:
        """Return the lines of each claim in its file, by its id."""
        texts: dict[Path, list[str]] = {}
        found = {}
        for name, (source, index) in self.places.at.items():
            if source.path is None:
                continue
            if source.path not in texts:
                texts[source.path] = read_text(source.path, absent=ABSENT).split("\n")
            first = source.lines["claims", index] - 1
            end = source.lines.get(("claims", index + 1), len(texts[source.path]) + 1) - 1
            found[name] = _claim_text(texts[source.path][first:end])
        return found


def _claim_text(lines: Sequence[str]) -> str:
    """Return a claim's lines without those that follow it and are blank or comments."""
    last = max((at for at, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")), default=0)
    return textwrap.dedent("\n".join(lines[: last + 1]))


class FaultyClaims(BadInput):
    """Some claims of a file cannot be read.

    Attributes:
        sound: those that can.
        places: where these are.
    """

    def __init__(self, message: str, sound: tuple[BaseClaim, ...], places: Places) -> None:
        super().__init__(message)
        self.sound = sound
        self.places = places


def load_claims(path: Path) -> tuple[BaseClaim, ...]:
    """Load every claim of a file and of the files that it includes; see `read_claims`."""
    return read_claims(path).claims


def read_claims(path: Path) -> Loaded:
    """Load every claim of a file and of the files that it includes, in order, with its place in them.

    Paths in claims (proofs, prompt sets) are relative to the folder of this file, even in included files.

    Raises:
        BadInput: with one line for every problem in the files.
    """
    sources = read_with_includes(path)
    claims = claims_from(*sources)
    absent = [
        f"{source.where(('claims', index, 'proof'))} claims[{index}].proof: no file {claim.proof} beside {path.name}"
        for (source, index), claim in zip(_places(sources), claims, strict=True)
        if isinstance(claim, TheoremClaim) and claim.proof_file and not is_file(path.parent / claim.proof_file)
    ]
    if absent:
        raise BadInput("\n".join(absent))
    at = {claim.id: place for claim, place in zip(claims, _places(sources), strict=True)}
    return Loaded(
        claims, Places(path.name, at, path.parent), tuple(source.path for source in sources if source.path is not None)
    )


def claims_from(*sources: YamlSource) -> tuple[BaseClaim, ...]:
    """Validate parsed files together.

    Raises:
        FaultyClaims: with one line for every problem in them.
    """
    problems = []
    claims = []
    places = []
    for source in sources:
        problems += _top_level(source)
        for index, entry in enumerate(_entries(source)):
            try:
                claims.append(CLAIM.validate_python(_of_its_file(entry, source)))
                places.append((source, index))
            except ValidationError as error:
                problems += _faults(error, entry, source, ("claims", index))
    problems += _identities(sources)
    problems += _headlines(sources)
    if problems:
        at = {claim.id: place for claim, place in zip(claims, places, strict=True)}
        folder = sources[0].path.parent if sources[0].path is not None else Path()
        raise FaultyClaims("\n".join(problems), tuple(claims), Places(sources[0].name, at, folder))
    return tuple(claims)


def _of_its_file(entry: Any, source: YamlSource) -> Any:
    """Return an entry with the collection of its file, unless it names one itself."""
    collection = source.data.get("collection")
    return {"collection": collection, **entry} if collection is not None and isinstance(entry, dict) else entry


def _faults(error: ValidationError, entry: object, source: YamlSource, at: Location) -> list[str]:
    """Return the faults of an entry; where its evidence is none, those of the kind that it seems to be as well."""
    found = explain(error, source, at, tags=TAGS, fields=_known_keys(entry))
    untold = {"union_tag_invalid", "union_tag_not_found"}
    if not isinstance(entry, dict) or not any(each["type"] in untold for each in error.errors()):
        return found
    supposed = {**entry, "evidence": supposed_evidence(entry)}
    try:
        CLAIM.validate_python(supposed)
    except ValidationError as others:
        found += explain(others, source, at, tags=TAGS, fields=_known_keys(supposed))
    return found


def supposed_evidence(entry: Mapping[str, Any]) -> str:
    """Return the kind of evidence that an entry seems to have: that of the nearest word, else that of its keys."""
    near: list[str] = difflib.get_close_matches(str(entry.get("evidence", "")), EVIDENCE, n=1)
    if near:
        return near[0]
    test = entry.get("test")
    if not isinstance(test, dict):
        return "none" if "reason" in entry else "causal" if "needs" in entry else "measured"
    if "fact" in test and "statistic" not in test:
        return "architecture"
    return next((kind for key, kind in KEYS_OF_TESTS.items() if key in test), "measured")


def _entries(source: YamlSource) -> list[Any]:
    entries = source.data.get("claims") if isinstance(source.data, dict) else None
    return entries if isinstance(entries, list) else []


def _places(sources: Sequence[YamlSource]) -> list[tuple[YamlSource, int]]:
    return [(source, index) for source in sources for index in range(len(_entries(source)))]


def _top_level(source: YamlSource) -> list[str]:
    data = source.data
    if not isinstance(data, dict):
        return [f"{source.name}:1 must be a mapping with `schema: 1` and `claims:`; see docs/adding-a-claim.md"]
    problems = []
    known = ("claims", "collection", "include", "schema")
    for key in data:
        if key not in known:
            near = did_you_mean(key, known)
            problems.append(f"{source.where((key,))} {key}: unknown key {key!r}; known: {', '.join(known)}.{near}")
    if data.get("schema") != SCHEMA_VERSION or isinstance(data["schema"], bool):
        found = repr(data.get("schema")) if "schema" in data else "nothing"
        problems.append(f"{source.where(('schema',))} schema: found {found}; this version reads `schema: 1`")
    if ("claims" in data or "include" not in data) and not _entries(source):
        problems.append(f"{source.where(('claims',))} claims: must be a list of at least one claim")
    collection = data.get("collection", "a name")
    if not isinstance(collection, str) or not collection.strip():
        where = source.where(("collection",))
        problems.append(f"{where} collection: must be the name of what its claims belong to (got {collection!r})")
    return problems + include_problems(source)


def _identities(sources: Sequence[YamlSource]) -> list[str]:
    """Return problems with ids, and with references to ids, over all files."""
    seen: dict[str, str] = {}
    problems = []
    for source, index in _places(sources):
        entry = _entries(source)[index]
        name, where = entry.get("id") if isinstance(entry, dict) else None, source.where(("claims", index, "id"))
        if isinstance(name, str) and name in seen:
            problems.append(f"{where} claims[{index}].id: {name!r} is already the id at {seen[name]}; ids are unique")
        elif isinstance(name, str):
            seen[name] = where
    for source, index in _places(sources):
        entry = _entries(source)[index]
        if not isinstance(entry, dict):
            continue
        for key in ("reading_of", "contradicts"):
            where = f"{source.where(('claims', index, key))} claims[{index}].{key}"
            named = entry.get(key)
            for other in named if isinstance(named, list) else [named]:
                if isinstance(other, str) and other not in seen:
                    problems.append(f"{where}: {UnknownName('claim', other, seen)}")
                elif isinstance(other, str) and other == entry.get("id"):
                    problems.append(f"{where}: names itself; name another claim")
    return problems


def _headlines(sources: Sequence[YamlSource]) -> list[str]:
    """Return what is wrong with the claims at the top of the page: two in one place, or more than it has room for."""
    marked = [
        (str(entry["id"]), entry["headline"], f"{source.where(('claims', at, 'headline'))} claims[{at}].headline")
        for source, at in _places(sources)
        if isinstance(entry := _entries(source)[at], dict) and "id" in entry and headline_place(entry.get("headline"))
    ]
    problems, placed = [], dict[int, str]()
    for name, place, where in marked:
        if place is not True and (other := placed.setdefault(place, name)) != name:
            problems.append(
                f"{where}: place {place} is that of {other!r} already; give each claim its own, or write true"
            )
    if len(marked) <= MOST_HEADLINES:
        return problems
    names = ", ".join(name for name, *_ in marked)
    *_, where = marked[MOST_HEADLINES]
    return [
        *problems,
        f"{where}: {len(marked)} claims are headlines, at most {MOST_HEADLINES} may be; unmark some of {names}",
    ]


def _known_keys(entry: object) -> dict[str, Sequence[str]]:
    evidence = entry.get("evidence") if isinstance(entry, dict) else None
    tested = isinstance(entry, dict) and "test" in entry
    for kind in sorted(CLAIM_CLASSES, key=lambda kind: ("test" in kind.model_fields) != tested):
        if evidence in get_args(kind.model_fields["evidence"].annotation):
            return {"": _keys(kind), **_nested_keys(kind)}
    return {"": _keys(BaseClaim)}


def _nested_keys(kind: type[Frozen]) -> dict[str, Sequence[str]]:
    known: dict[str, Sequence[str]] = {
        **{"source": _keys(Source), "also": _keys(Restatement), "record": _keys(Record), "against": _keys(Against)},
        "tolerance": _keys(Tolerance),
        **dict.fromkeys(("models", "groups"), _keys(Selector)),
    }
    for name in ("test", "multiverse"):
        field = kind.model_fields.get(name)
        if field is not None and isinstance(field.annotation, type) and issubclass(field.annotation, Frozen):
            known[name] = _keys(field.annotation)
    return known


def _keys(kind: type[Frozen]) -> list[str]:
    return [field.alias or name for name, field in kind.model_fields.items()]
