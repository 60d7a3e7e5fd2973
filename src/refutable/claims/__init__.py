"""A claim: a statement, where it comes from, and the test that decides it. One entry of claims.yaml, frozen.

`claims.file` reads files; the published JSON Schema (docs/claims.schema.json) is made from these classes.
"""

from refutable.claims.base import SCHEMA_VERSION, BaseClaim, ClaimOnModels, claims_hash
from refutable.claims.experiment import Contrast, ExperimentClaim, ExperimentTest
from refutable.claims.kinds import (
    ArchitectureClaim,
    Claim,
    ClaimsFile,
    PendingClaim,
    PendingPassClaim,
    TheoremClaim,
    UntestableClaim,
    WiringClaim,
)
from refutable.claims.measured import DynamicalClaim, InitializationClaim, InterventionClaim, MeasuredClaim
from refutable.claims.measured_test import MeasuredTest
from refutable.claims.parts import Record, Restatement, Source, Variations
from refutable.claims.tests import FactTest, TheoremTest, WiringTest

__all__ = [
    "SCHEMA_VERSION",
    "ArchitectureClaim",
    "BaseClaim",
    "Claim",
    "ClaimOnModels",
    "ClaimsFile",
    "Contrast",
    "DynamicalClaim",
    "ExperimentClaim",
    "ExperimentTest",
    "FactTest",
    "InitializationClaim",
    "InterventionClaim",
    "MeasuredClaim",
    "MeasuredTest",
    "PendingClaim",
    "PendingPassClaim",
    "Record",
    "Restatement",
    "Source",
    "TheoremClaim",
    "TheoremTest",
    "UntestableClaim",
    "Variations",
    "WiringClaim",
    "WiringTest",
    "claims_hash",
]
