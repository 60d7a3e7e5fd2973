"""A claim: a statement, where it comes from, and the test that decides it. One entry of claims.yaml, frozen.

Files are read in `claims_file`; the published JSON Schema (docs/claims.schema.json) is made from these classes.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from refutable.errors import UnknownName, did_you_mean
from refutable.facts import FACT_NAMES, FACT_WORDS
from refutable.models import Frozen, Selector
from refutable.predicate import GRAMMAR, Region, parse_region
from refutable.trace import Tap

SCHEMA_VERSION = 1
_SHAPE = ("metrics", "needs_holds", "needs_groups", "takes_layers")  # what a statistic takes
DEFAULT_SEEDS = (0, 1, 2, 3, 4)
ID_PATTERN = r"^[a-z0-9][a-z0-9._-]*$"

Position = Literal["last", "all", "first"]
Norm = Literal["raw", "centred"]
Dtype = Literal["float32", "bfloat16", "float16"]
Layer = Literal["first", "last", "mean", "each"] | Annotated[int, Field(ge=1, strict=True)]


def _region(text: str) -> str:
    return parse_region(text).text


RegionText = Annotated[str, AfterValidator(_region), Field(description=GRAMMAR)]


def _selector(value: Any) -> Any:
    if value == [] or value == "":
        raise ValueError("names no model; name one, or leave the key out for every pretrained model")
    return {"names": value} if isinstance(value, str | list) else value


Models = Annotated[Selector, BeforeValidator(_selector)]


def _text(text: str) -> str:
    if not text.strip():
        raise ValueError("is blank; write it")
    return text.strip()


Text = Annotated[str, AfterValidator(_text)]


class Source(Frozen):
    """Where a claim comes from."""

    document: str
    section: str | None = None
    quote: str | None = Field(default=None, description="the author's own words")


class Record(Frozen):
    """What the claim's author reported for one model; kept beside what is measured, never judged as a measurement."""

    value: Annotated[float, Field(allow_inf_nan=False)]
    n: int | None = None
    dtype: str | None = None
    tap: str | None = Field(default=None, description="where it was read; a tap of ours, or else not comparable")
    note: str | None = None

    @property
    def comparable(self) -> bool:
        """Whether it is of the test's own quantity: read at a tap of this project (or nothing else is said)."""
        return self.tap is None or self.tap in get_args(Tap)


class Variations(Frozen):
    """The defensible variations under which a verdict should stand."""

    norm: tuple[Norm, ...] = ()
    position: tuple[Position, ...] = ()
    dtype: tuple[Dtype, ...] = ()
    statistic: tuple[str, ...] = ()

    @field_validator("statistic")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            _statistic(name)
        return names


class MeasuredTest(Frozen):
    """A statistic of one or two metrics over the model's prompts, held against a predicted region."""

    statistic: str
    of: Annotated[tuple[str, ...], BeforeValidator(lambda v: [v] if isinstance(v, str) else v), Field(min_length=1)]
    predicts: RegionText
    holds: RegionText | None = Field(default=None, description="what must be true of one layer or prompt to count it")
    layer: Layer | None = Field(default=None, description="which layer of a metric that has one value a layer")
    position: Position = Field(default="last", description="which token; `all` leaves out the first")
    norm: Norm = "raw"
    groups: dict[str, Models] | None = Field(default=None, description="two groups of models, first minus second")

    @property
    def region(self) -> Region:
        """The predicted region."""
        return parse_region(self.predicts)

    @property
    def holds_region(self) -> Region:
        """The region that one layer or prompt must lie in to count; call only where `holds` is given."""
        assert self.holds is not None
        return parse_region(self.holds)

    @field_validator("statistic")
    @classmethod
    def _known_statistic(cls, name: str) -> str:
        _statistic(name)
        return name

    @field_validator("of")
    @classmethod
    def _known_metrics(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            _metric(name)
        return names

    @model_validator(mode="after")
    def _fits(self) -> MeasuredTest:
        statistic = _statistic(self.statistic)
        if len(self.of) != statistic.metrics:
            raise ValueError(
                f"statistic {self.statistic!r} takes {statistic.metrics} metric(s) in `of`, not {len(self.of)}"
            )
        if statistic.needs_holds and self.holds is None:
            raise ValueError(f"statistic {self.statistic!r} counts where something holds; add `holds:` ({GRAMMAR})")
        if not statistic.needs_holds and self.holds is not None:
            raise ValueError(f"statistic {self.statistic!r} does not count; remove `holds:`")
        if statistic.needs_groups != (self.groups is not None):
            word = "compares two groups of models; add `groups:`" if statistic.needs_groups else "takes no `groups:`"
            raise ValueError(f"statistic {self.statistic!r} {word}")
        if len(set(self.of)) < len(self.of):
            raise ValueError(f"`of:` names {self.of[0]!r} twice; a metric always agrees with itself")
        if self.groups is not None and len(self.groups) != 2:
            raise ValueError(f"`groups:` names {len(self.groups)} group(s); write two")
        layered = [name for name in self.of if _metric(name).per == "layer"]
        if statistic.takes_layers:
            if len(layered) != len(self.of):
                raise ValueError(f"statistic {self.statistic!r} looks at layers; {self.of[0]!r} has one value a prompt")
            if self.layer not in (None, "each"):
                raise ValueError(f"statistic {self.statistic!r} looks at each layer; remove `layer:`")
        elif layered and self.layer in (None, "each"):
            raise ValueError(
                f"metric {layered[0]!r} has one value a layer; say which: `layer: last`, `first`, `mean` or a number"
                " from 1"
            )
        elif not layered and self.layer is not None:
            raise ValueError(f"metric {self.of[0]!r} has one value a prompt; remove `layer:`")
        for name in self.of:
            if _metric(name).last_only and self.position != "last":
                raise ValueError(f"metric {name!r} is read at the last token only; remove `position:`")
        return self


class FactTest(Frozen):
    """A fact of a model's configuration, looked up."""

    fact: Literal[FACT_NAMES]  # type: ignore[valid-type]
    predicts: RegionText | None = None
    equals: str | bool | None = Field(default=None, description="for facts that are words")

    @model_validator(mode="after")
    def _one(self) -> FactTest:
        words = FACT_WORDS.get(self.fact)
        if words is None and (self.predicts is None or self.equals is not None):
            raise ValueError(f"fact {self.fact!r} is a number; write `predicts:` ({GRAMMAR}) and no `equals:`")
        if words is not None and (self.equals is None or self.predicts is not None):
            raise ValueError(
                f"fact {self.fact!r} is a word; write `equals:` (one of {_shown(words)}) and no `predicts:`"
            )
        if words is not None and self.equals not in words:
            near = did_you_mean(str(self.equals), [str(word) for word in words])
            raise ValueError(f"fact {self.fact!r} is never {self.equals!r}; known: {_shown(words)}.{near}")
        return self


class WiringTest(Frozen):
    """What is seen when attention's output is changed and the same block's MLP input is watched."""

    probe: Literal["mlp_reads_attention"]
    equals: Literal["parallel", "sequential"]


class TheoremTest(Frozen):
    """A mathematical property, tried on generated inputs."""

    property: str
    examples: int = Field(default=1000, ge=1, le=1_000_000)

    @field_validator("property")
    @classmethod
    def _known_property(cls, name: str) -> str:
        from refutable.theorems import THEOREMS

        return _known(THEOREMS, name)


class BaseClaim(Frozen):
    """What every claim has, whatever its kind of evidence."""

    id: str = Field(pattern=ID_PATTERN, max_length=80)
    catalogue: str | None = Field(default=None, description="its id in the catalogue of the documents' claims")
    statement: Text
    source: Source | None = None
    reading_of: str | None = Field(default=None, description="the claim of which this is one reading")
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    slow: bool = False
    record: dict[str, Record] = Field(default_factory=dict)

    @property
    def hash(self) -> str:
        """SHA-256 of what decides this claim: its canonical form, less words that change no verdict."""
        decisive = self.model_dump(mode="json", exclude={"record", "source", "slow", "catalogue"})
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
        chosen = _statistic(self.test.statistic)
        for name in self.multiverse.statistic:
            other = _statistic(name)
            if any(getattr(other, what) != getattr(chosen, what) for what in _SHAPE):
                raise ValueError(f"`multiverse.statistic:` {name!r} takes other things than {chosen.name!r}; remove it")
        last_only = [name for name in self.test.of if _metric(name).last_only]
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
    """A claims file: the version of its schema, and the claims."""

    schema_version: Literal[1] = Field(alias="schema")
    claims: Annotated[tuple[Claim, ...], Field(min_length=1)]


def _shown(words: tuple[str | bool, ...]) -> str:
    return ", ".join(str(word).lower() if isinstance(word, bool) else word for word in words)


def _known(registry: Any, name: str) -> str:
    try:
        registry[name]
    except UnknownName as error:
        raise ValueError(str(error)) from None
    return name


def _statistic(name: str) -> Any:
    from refutable.statistics import STATISTICS

    return STATISTICS[_known(STATISTICS, name)]


def _metric(name: str) -> Any:
    from refutable.metrics import METRICS

    return METRICS[_known(METRICS, name)]
