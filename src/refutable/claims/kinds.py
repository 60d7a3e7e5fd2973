"""One class for each kind of evidence, and the claims file itself."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import ConfigDict, Discriminator, Field, Tag

from refutable._util.strict_yaml import Frozen
from refutable.claims.base import BaseClaim, ClaimOnModels
from refutable.claims.experiment import ExperimentClaim
from refutable.claims.measured import DynamicalClaim, InitializationClaim, InterventionClaim, MeasuredClaim
from refutable.claims.measured_test import HELD
from refutable.claims.parts import Quantifier, Text
from refutable.claims.tests import FactTest, TheoremTest, WiringTest


class ArchitectureClaim(ClaimOnModels):
    """Decided by a configuration fact."""

    evidence: Literal["architecture"]
    quantifier: Quantifier = Field(default="each", alias="for")
    test: FactTest

    @property
    def prediction(self) -> str:
        """What the fact is predicted to be."""
        return self.test.predicts if self.test.predicts is not None else f"equals {self.test.equals}"


class WiringClaim(ClaimOnModels):
    """Decided by a probe on a freshly drawn instance of the model's class, reduced in width and depth."""

    evidence: Literal["wiring"]
    quantifier: Quantifier = Field(default="each", alias="for")
    test: WiringTest

    @property
    def prediction(self) -> str:
        """What the probe is predicted to see."""
        return f"equals {self.test.equals}"


class TheoremClaim(BaseClaim):
    """Decided by proof or counter-example."""

    evidence: Literal["theorem"]
    test: TheoremTest
    proof: Text | None = Field(default=None, description="a citation, or the path of a written proof (.md)")

    @property
    def proof_file(self) -> str | None:
        """The path of the written proof, or None if the proof is a citation or missing."""
        return self.proof if self.proof and self.proof.endswith(".md") else None


class PendingClaim(BaseClaim):
    """Decided by an experiment that nobody has made yet: names it, and is NOT_MEASURED."""

    evidence: Literal["causal"]
    needs: Text = Field(description="the experiment that would decide it")


class PendingPassClaim(PendingClaim):
    """A claim about dynamics or an intervention that no pass here can decide: it says what it needs."""

    evidence: Literal["dynamical", "intervention"]  # type: ignore[assignment]


class UntestableClaim(BaseClaim):
    """Cannot be tested; says why."""

    evidence: Literal["none"]
    reason: Text


def _form(entry: object) -> str | None:
    """Return the form of a claim about dynamics, an intervention or causes: with a test, or with what it needs."""
    if isinstance(entry, dict):
        test, evidence = entry.get("test"), entry.get("evidence")
    else:
        test, evidence = getattr(entry, "test", None), getattr(entry, "evidence", None)
    if evidence == "causal":
        return "causal without a test" if test is None else "causal test"
    return "no test" if test is None else f"{evidence} test"


PassClaim = Annotated[
    Annotated[DynamicalClaim, Tag("dynamical test")]
    | Annotated[InterventionClaim, Tag("intervention test")]
    | Annotated[PendingPassClaim, Tag("no test")]
    | Annotated[ExperimentClaim, Tag("causal test")]
    | Annotated[PendingClaim, Tag("causal without a test")],
    Discriminator(_form),
]
Claim = Annotated[
    MeasuredClaim | InitializationClaim | ArchitectureClaim | WiringClaim | TheoremClaim | PassClaim | UntestableClaim,
    Field(discriminator="evidence"),
]


CLAIM_CLASSES: tuple[type[BaseClaim], ...] = (
    *(MeasuredClaim, InitializationClaim, DynamicalClaim, InterventionClaim),
    *(ArchitectureClaim, WiringClaim, TheoremClaim, ExperimentClaim, PendingClaim, PendingPassClaim, UntestableClaim),
)
TAGS = frozenset(
    [value for kind in CLAIM_CLASSES for value in get_args(kind.model_fields["evidence"].annotation)]
    + ["dynamical test", "intervention test", "causal test", "no test", "causal without a test", HELD, "plain form"]
)


class ClaimsFile(Frozen):
    """A claims file: the version of its schema, other claims files, and the claims."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["claims"]}, {"required": ["include"]}]})

    schema_version: Literal[1] = Field(alias="schema")
    include: Annotated[
        tuple[str, ...], Field(min_length=1, description="claims files in this folder, whose claims come first")
    ] = ()
    collection: Text | None = Field(
        default=None, description="what its claims belong to, and those of the files that it includes, unless they say"
    )
    claims: Annotated[tuple[Claim, ...], Field(min_length=1)] = ()
