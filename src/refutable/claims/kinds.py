"""The kinds of claims, one class for each kind of evidence, and the file that holds them."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from refutable.claims.parts import (
    SHAPE,
    Models,
    Record,
    Restatement,
    Source,
    Text,
    Variations,
    metric_named,
    statistic_named,
)
from refutable.claims.tests import FactTest, MeasuredTest, TheoremTest, WiringTest
from refutable.models import Frozen, Names, Selector

SCHEMA_VERSION = 1
DEFAULT_SEEDS = (0, 1, 2, 3, 4)
ID_PATTERN = r"^[a-z0-9][a-z0-9._-]*$"


class BaseClaim(Frozen):
    """What every claim has, whatever its kind of evidence."""

    id: str = Field(pattern=ID_PATTERN, max_length=80)
    catalogue: str | None = Field(default=None, description="its id in the catalogue of the documents' claims")
    statement: Text
    source: Source | None = None
    also: tuple[Restatement, ...] = Field(default=(), description="other sentences of the documents that say the same")
    reading_of: str | None = Field(default=None, description="the claim of which this is one reading")
    contradicts: Names = Field(default=(), description="claims that cannot hold of the same subject together with this")
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    slow: bool = False
    record: dict[str, Record] = Field(default_factory=dict)

    @property
    def hash(self) -> str:
        """SHA-256 of what decides this claim: its canonical form, less words that change no verdict."""
        told = {"record", "source", "slow", "catalogue", "also", "contradicts"}
        decisive = self.model_dump(mode="json", exclude=told)
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


class MeasuredClaim(BaseClaim):
    """Decided by prompts through a model's weights."""

    evidence: Literal["measured"]
    models: Models = Selector()
    quantifier: Literal["each", "all", "any"] = Field(default="each", alias="for")
    prompts: str = "grand-unified-25"
    test: MeasuredTest
    controls: tuple[Literal["initialization"], ...] = ()
    multiverse: Variations = Variations()

    @model_validator(mode="after")
    def _groups_are_one(self) -> MeasuredClaim:
        if self.test.groups is not None and "models" in self.model_fields_set:
            raise ValueError("a comparison names its models in `test.groups`; remove `models:`")
        return self

    @model_validator(mode="after")
    def _variations_fit(self) -> MeasuredClaim:
        chosen = statistic_named(self.test.statistic)
        for name in self.multiverse.statistic:
            other = statistic_named(name)
            if any(getattr(other, what) != getattr(chosen, what) for what in SHAPE):
                raise ValueError(f"`multiverse.statistic:` {name!r} takes other things than {chosen.name!r}; remove it")
        last_only = [name for name in self.test.of if metric_named(name).last_only]
        if last_only and set(self.multiverse.position) - {"last"}:
            raise ValueError(f"metric {last_only[0]!r} is read at the last token only; remove `multiverse.position:`")
        return self


class InitializationClaim(MeasuredClaim):
    """The same, on weights freshly drawn."""

    evidence: Literal["initialization"]  # type: ignore[assignment]
    seeds: Annotated[
        tuple[Annotated[int, Field(ge=0, lt=2**63)], ...],
        Field(min_length=2, description="the seed is the unit of replication"),
    ] = DEFAULT_SEEDS

    @model_validator(mode="after")
    def _seeds_replicate(self) -> InitializationClaim:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("`seeds:` repeats one; each seed is one replicate, so name different ones")
        for key in ("controls", "multiverse"):
            if key in self.model_fields_set:
                raise ValueError(f"weights that are drawn take no `{key}:`; remove it")
        if self.test.groups is not None:
            raise ValueError("drawn weights are not compared by groups; remove `groups:`")
        return self


class ArchitectureClaim(BaseClaim):
    """Decided by a configuration fact."""

    evidence: Literal["architecture"]
    models: Models = Selector()
    quantifier: Literal["each", "all", "any"] = Field(default="each", alias="for")
    test: FactTest


class WiringClaim(BaseClaim):
    """Decided by a probe on a freshly drawn instance of the model's class, reduced in width and depth."""

    evidence: Literal["wiring"]
    models: Models = Selector()
    quantifier: Literal["each", "all", "any"] = Field(default="each", alias="for")
    test: WiringTest


class TheoremClaim(BaseClaim):
    """Decided by proof or counter-example."""

    evidence: Literal["theorem"]
    test: TheoremTest
    proof: Text | None = Field(default=None, description="a citation, or the path of a written proof (.md)")

    @property
    def proof_file(self) -> str | None:
        """The path of the written proof, or None where it is a citation or there is none."""
        return self.proof if self.proof and self.proof.endswith(".md") else None


class PendingClaim(BaseClaim):
    """Decided by an experiment that has not been made: states which, and is NOT_MEASURED."""

    evidence: Literal["causal", "dynamical", "intervention"]
    needs: Text = Field(description="the experiment that would decide it")


class UntestableClaim(BaseClaim):
    """Cannot be tested; says why."""

    evidence: Literal["none"]
    reason: Text


SubjectClaim = MeasuredClaim | ArchitectureClaim | WiringClaim
Claim = Annotated[
    MeasuredClaim
    | InitializationClaim
    | ArchitectureClaim
    | WiringClaim
    | TheoremClaim
    | PendingClaim
    | UntestableClaim,
    Field(discriminator="evidence"),
]


class ClaimsFile(Frozen):
    """A claims file: the version of its schema, other claims files, and the claims."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["claims"]}, {"required": ["include"]}]})

    schema_version: Literal[1] = Field(alias="schema")
    include: Annotated[
        tuple[str, ...], Field(min_length=1, description="claims files of this folder, whose claims come first")
    ] = ()
    claims: Annotated[tuple[Claim, ...], Field(min_length=1)] = ()
