"""What all claims have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from refutable._util.hashing import key_of
from refutable._util.strict_yaml import NAMES, Frozen, Names
from refutable.claims.parts import DECIDES, Decides, Models, Record, Restatement, Source, Text, check_decides
from refutable.models.selector import Selector

SCHEMA_VERSION = 1
MOST_HEADLINES = 12
UNPLACED = MOST_HEADLINES + 1
MOST_ALPHA = 0.1
KNOWN = f"how often statistics err is known up to {MOST_ALPHA}"
ID_PATTERN = r"^[a-z0-9][a-z0-9._-]*$"


def headline_place(marked: object) -> int:
    """Return a claim's place at the top of the page: the number it is marked with, `UNPLACED` for ``true``, else 0."""
    if isinstance(marked, bool) or not isinstance(marked, int):
        return UNPLACED if marked is True else 0
    return marked


class BaseClaim(Frozen):
    """What every claim has, whatever its kind of evidence."""

    id: str = Field(pattern=ID_PATTERN, max_length=80)
    catalogue: str | None = Field(default=None, description="its id in the catalogue of the documents' claims")
    decides: Decides | None = Field(default=None, description=DECIDES)
    statement: Text
    evidence: str
    source: Source | None = None
    also: tuple[Restatement, ...] = Field(default=(), description="other sentences of the documents that say the same")
    collection: Text | None = Field(
        default=None, description="what it belongs to, such as one study's claims: reports show each collection apart"
    )
    reading_of: str | None = Field(default=None, description="the claim that this is one reading of")
    contradicts: Names = Field(default=(), description="claims that cannot hold of the same subject as this one")
    alpha: Annotated[float, Field(gt=0, le=MOST_ALPHA, description=f"error probability each way; {KNOWN}")] = 0.05
    slow: bool = False
    headline: bool | Annotated[int, Field(ge=1, le=MOST_HEADLINES)] = Field(
        default=False,
        description="whether the page of a run shows it at the top, as at most twelve; a number is its place there",
    )
    record: dict[str, Record] = Field(
        default_factory=dict, json_schema_extra={"propertyNames": {"type": "string", NAMES: "model"}}
    )

    @model_validator(mode="after")
    def _decides(self) -> BaseClaim:
        check_decides(self.catalogue, self.decides)
        named = [name for name in (self.catalogue, *(other.catalogue for other in self.also)) if name is not None]
        if twice := sorted({name for name in named if named.count(name) > 1}):
            raise ValueError(f"names the sentence {twice[0]!r} of the catalogue twice; keep one, with its `decides:`")
        return self

    @property
    def canonical(self) -> dict[str, Any]:
        """What decides this claim, as plain values. Keys with their default value are left out, so that adding one to
        the schema changes no existing claim.
        """
        told = {"record", "source", "slow", "catalogue", "decides", "also", "contradicts", "tolerance", "headline"}
        told |= {"collection"}
        written = self.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude=told)
        return {"schema": SCHEMA_VERSION, **written}

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical form."""
        return key_of(self.canonical)

    @property
    def selectors(self) -> Mapping[tuple[str, ...], Selector]:
        """Its selectors of models, by the path of keys to each; none if it is not about models."""
        return {}

    @property
    def groups(self) -> Mapping[str, Selector]:
        """The groups of models that it compares, by name; none if it compares none."""
        return {}

    @property
    def scope(self) -> str | None:
        """How it takes its models: its quantifier, `groups` or `models` if these are the units, or None."""
        return None

    @property
    def other_model(self) -> str | None:
        """The model that its own are compared with, prompt by prompt, or None."""
        return None

    @property
    def prediction(self) -> str:
        """What it predicts, in its own words."""
        return self.statement


class ClaimOnModels(BaseClaim):
    """A claim that selects models."""

    at_revisions: ClassVar[bool] = False  # whether it may be tried at several revisions of a model
    models: Models = Field(default=Selector(), json_schema_extra={NAMES: "model"})
    quantifier: str = Field(default="each", alias="for")

    @model_validator(mode="after")
    def _has_revisions(self) -> ClaimOnModels:
        if self.models.revisions and not self.at_revisions:
            raise ValueError(
                "`revisions:` are of trained weights that are measured, and this claim reads none; remove it"
            )
        return self

    @property
    def selectors(self) -> Mapping[tuple[str, ...], Selector]:
        """Its selectors of models: those of the groups it compares, or that of `models:`."""
        return {("test", "groups", name): one for name, one in self.groups.items()} or {("models",): self.models}

    @property
    def scope(self) -> str | None:
        """How it takes its models."""
        return self.quantifier


def claims_hash(claims: Iterable[BaseClaim]) -> str:
    """Return the hash of what decides all claims together."""
    return hashlib.sha256("".join(claim.hash for claim in claims).encode()).hexdigest()
