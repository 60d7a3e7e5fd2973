"""The kinds of claims, one class for each kind of evidence, and the file that holds them."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal, get_args

from pydantic import ConfigDict, Discriminator, Field, ModelWrapValidatorHandler, Tag, model_validator

from refutable.claims.parts import (
    SHAPE,
    Control,
    Models,
    Quantifier,
    Record,
    Restatement,
    Source,
    Text,
    Variations,
    may_permute,
    metric_named,
    normless,
    statistic_named,
)
from refutable.claims.tests import HELD, NOT_OF_DIFFERENCES, FactTest, MeasuredTest, TheoremTest, WiringTest
from refutable.models import Frozen, Names, Selector
from refutable.passes import DYNAMIC, Change

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
    def canonical(self) -> dict[str, Any]:
        """What decides this claim, as plain values: a key that says what holds anyway is left out, so that a schema
        that grows changes no claim that was written before.
        """
        told = {"record", "source", "slow", "catalogue", "also", "contradicts"}
        written = self.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude=told)
        return {"schema": SCHEMA_VERSION, **written}

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical form."""
        return hashlib.sha256(json.dumps(self.canonical, sort_keys=True).encode()).hexdigest()


class MeasuredClaim(BaseClaim):
    """Decided by prompts through a model's weights."""

    evidence: Literal["measured"]
    models: Models = Selector()
    quantifier: Literal["each", "all", "any", "majority", "pooled"] = Field(default="each", alias="for")
    family: Annotated[str, Field(pattern=ID_PATTERN, max_length=80)] | None = Field(
        default=None, description="claims of one name are one family: their p-values are also adjusted together"
    )
    prompts: str = "grand-unified-25"
    test: MeasuredTest
    controls: tuple[Control, ...] = Field(default=(), description="on what the claim ought to fail")
    multiverse: Variations = Variations()

    @model_validator(mode="after")
    def _groups_are_one(self) -> MeasuredClaim:
        if self.test.groups is not None and "models" in self.model_fields_set:
            raise ValueError("a comparison names its models in `test.groups`; remove `models:`")
        return self

    @model_validator(mode="after")
    def _pooled_fits(self) -> MeasuredClaim:
        statistic = statistic_named(self.test.statistic)
        if statistic.pools and self.quantifier != "pooled":
            raise ValueError(f"statistic {statistic.name!r} is of several models; write `for: pooled`")
        if self.quantifier != "pooled":
            return self
        if statistic.needs_groups or statistic.takes_layers or statistic.needs_holds:
            raise ValueError(
                f"statistic {statistic.name!r} is not of one value a model; write `for: majority`, or another statistic"
            )
        for key in ("controls", "multiverse"):
            if key in self.model_fields_set:
                raise ValueError(f"`for: pooled` takes no `{key}:`; remove it")
        return self

    @model_validator(mode="after")
    def _models_are_units(self) -> MeasuredClaim:
        if self.test.over_models and self.test.groups is None:
            for key in ("quantifier", "controls", "multiverse"):
                if key in self.model_fields_set:
                    shown = "for" if key == "quantifier" else key
                    raise ValueError(f"the model is the unit of replication here, which takes no `{shown}:`; remove it")
        return self

    @model_validator(mode="after")
    def _variations_fit(self) -> MeasuredClaim:
        chosen = statistic_named(self.test.statistic)
        for name in self.multiverse.statistic:
            other = statistic_named(name)
            if other.needs_parts and metric_named(self.test.of[0]).parts is None:
                raise ValueError(
                    f"`multiverse.statistic:` {name!r} divides lengths; metric {self.test.of[0]!r} is no ratio of two;"
                    " remove it"
                )
            if self.test.against is not None and name in NOT_OF_DIFFERENCES:
                raise ValueError(f"`multiverse.statistic:` {name!r} is not of differences; remove it or `against:`")
            shape = SHAPE if self.test.holds is None else (*SHAPE, "may_hold")
            if any(getattr(other, what) != getattr(chosen, what) for what in shape):
                raise ValueError(f"`multiverse.statistic:` {name!r} takes other things than {chosen.name!r}; remove it")
        if self.multiverse.dtype and self.test.other is not None and self.test.other.dtype is not None:
            raise ValueError("`against:` compares dtypes already; remove it or `multiverse.dtype:`")
        last_only = [name for name in self.test.of if metric_named(name).last_only]
        if last_only and set(self.multiverse.position) - {"last"}:
            raise ValueError(f"metric {last_only[0]!r} is read at the last token only; remove `multiverse.position:`")
        if "centred" in self.multiverse.norm and (why := normless(self.test.of)):
            raise ValueError(f"{why}; remove `multiverse.norm:`")
        return self

    @model_validator(mode="after")
    def _something_to_permute(self) -> MeasuredClaim:
        chosen = statistic_named(self.test.statistic)
        if "permuted" in self.controls and not may_permute(chosen):
            what = "compares prompts by category" if chosen.needs_categories else "has neither"
            raise ValueError(
                f"control 'permuted' shuffles pairs of two metrics, or models between groups; statistic {chosen.name!r}"
                f" {what}, so remove it"
            )
        return self

    @model_validator(mode="after")
    def _is_its_kind(self) -> MeasuredClaim:
        self._check_kind()
        return self

    def _check_kind(self) -> None:
        """Refuse a test that belongs to another kind of evidence."""
        if self.test.under is not None:
            raise ValueError("`under:` changes the model in its forward pass; write `evidence: intervention`")
        dynamic = _dynamic(self.test)
        if dynamic and self.evidence == "measured":
            raise ValueError(f"metric {dynamic[0]!r} follows changes, not prompts alone; write `evidence: dynamical`")


class PassTestClaim(MeasuredClaim):
    """What a pass decides; where none does, a claim says what it needs instead of a test."""

    @model_validator(mode="wrap")
    @classmethod
    def _needs_nothing(cls, entry: Any, check: ModelWrapValidatorHandler[PassTestClaim]) -> PassTestClaim:
        if isinstance(entry, dict) and "needs" in entry:
            raise ValueError("`needs:` names an experiment nobody has made, and this claim has a `test:`; remove one")
        return check(entry)


class InterventionClaim(PassTestClaim):
    """The same, of a model that is ablated or re-wired in its forward pass, at fixed weights."""

    evidence: Literal["intervention"]  # type: ignore[assignment]

    def _check_kind(self) -> None:
        if self.test.under is None:
            allowed = ", ".join(get_args(Change))
            raise ValueError(f"an intervention says what is changed; add `under:` to `test:` (one of {allowed})")


class DynamicalClaim(PassTestClaim):
    """The same, of how small changes of the stream grow: a metric of the perturbation or Jacobian pass."""

    evidence: Literal["dynamical"]  # type: ignore[assignment]

    def _check_kind(self) -> None:
        if self.test.under is not None:
            raise ValueError("`under:` changes the model in its forward pass; write `evidence: intervention`")
        if not _dynamic(self.test):
            from refutable.metrics import METRICS

            known = ", ".join(sorted(name for name in METRICS if METRICS[name].reads in DYNAMIC))
            raise ValueError(
                f"{self.test.of[0]!r} is read from one plain pass; write `evidence: measured`, or a dynamical metric"
                f" ({known})"
            )


def _dynamic(test: MeasuredTest) -> list[str]:
    """Return the metrics of a test that are read from a dynamic pass."""
    return [name for name in test.of if metric_named(name).reads in DYNAMIC]


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
        if self.test.over_models or self.test.categories is not None:
            raise ValueError("the seed is the unit of replication here; take a statistic of seeds")
        return self


class ArchitectureClaim(BaseClaim):
    """Decided by a configuration fact."""

    evidence: Literal["architecture"]
    models: Models = Selector()
    quantifier: Quantifier = Field(default="each", alias="for")
    test: FactTest


class WiringClaim(BaseClaim):
    """Decided by a probe on a freshly drawn instance of the model's class, reduced in width and depth."""

    evidence: Literal["wiring"]
    models: Models = Selector()
    quantifier: Quantifier = Field(default="each", alias="for")
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

    evidence: Literal["causal"]
    needs: Text = Field(description="the experiment that would decide it")


class PendingPassClaim(PendingClaim):
    """A claim about dynamics or an intervention that no pass here decides: instead of a test, what it needs."""

    evidence: Literal["dynamical", "intervention"]  # type: ignore[assignment]


class UntestableClaim(BaseClaim):
    """Cannot be tested; says why."""

    evidence: Literal["none"]
    reason: Text


def _form(entry: Any) -> str | None:
    """Return which form a claim about dynamics or an intervention has: it carries a test, or says what it needs."""
    if isinstance(entry, dict):
        test, evidence = entry.get("test"), entry.get("evidence")
    else:
        test, evidence = getattr(entry, "test", None), getattr(entry, "evidence", None)
    return "no test" if test is None else f"{evidence} test"


PassClaim = Annotated[
    Annotated[DynamicalClaim, Tag("dynamical test")]
    | Annotated[InterventionClaim, Tag("intervention test")]
    | Annotated[PendingPassClaim, Tag("no test")],
    Discriminator(_form),
]
SubjectClaim = MeasuredClaim | ArchitectureClaim | WiringClaim
Claim = Annotated[
    MeasuredClaim
    | InitializationClaim
    | ArchitectureClaim
    | WiringClaim
    | TheoremClaim
    | PendingClaim
    | PassClaim
    | UntestableClaim,
    Field(discriminator="evidence"),
]


KINDS: tuple[type[BaseClaim], ...] = (
    *(MeasuredClaim, InitializationClaim, DynamicalClaim, InterventionClaim),
    *(ArchitectureClaim, WiringClaim, TheoremClaim, PendingClaim, PendingPassClaim, UntestableClaim),
)
TAGS = frozenset(
    [value for kind in KINDS for value in get_args(kind.model_fields["evidence"].annotation)]
    + ["dynamical test", "intervention test", "no test", HELD, "plain form"]
)


class ClaimsFile(Frozen):
    """A claims file: the version of its schema, other claims files, and the claims."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["claims"]}, {"required": ["include"]}]})

    schema_version: Literal[1] = Field(alias="schema")
    include: Annotated[
        tuple[str, ...], Field(min_length=1, description="claims files of this folder, whose claims come first")
    ] = ()
    claims: Annotated[tuple[Claim, ...], Field(min_length=1)] = ()
