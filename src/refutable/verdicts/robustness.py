"""Controls and variations of a verdict, each with its own estimate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import BeforeValidator, Field

from refutable.verdicts.verdict import Estimate, Verdict


@dataclass(frozen=True, slots=True)
class Control:
    """The claim tried where it ought to fail.

    Attributes:
        verdict: SUPPORTED where the claim, or what it predicts, holds there as well; REFUTED where it fails.
        why: one line of evidence or reason.
        estimate: what was found there, where something was.
        share: of the seeds, shuffles or generated traces that support the claim, in [0, 1]; None where none was tried.
        parts: what it is made of, by name: each seed's.
    """

    verdict: Verdict
    why: str
    estimate: Estimate | None = None
    share: Annotated[float, Field(ge=0, le=1)] | None = None
    parts: Mapping[str, Control] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.verdict.value}: {self.why}"


@dataclass(frozen=True, slots=True)
class Variation:
    """The claim under one combination of its declared variations.

    Attributes:
        verdict: under it; NOT_MEASURED and ERROR where it could not be looked at, which makes nothing fragile.
        why: one line of evidence or reason.
        estimate: what was found, where something was.
        changes: what is other than in the claim itself, by name.
    """

    verdict: Verdict
    why: str
    estimate: Estimate | None = None
    changes: Mapping[str, str] = field(default_factory=dict)

    def differs(self, verdict: Verdict) -> bool:
        """Whether it was looked at and came out otherwise."""
        return self.verdict.looked and self.verdict is not verdict


def _of_version_1(variation: object) -> object:
    """Return a variation in the current form; version 1 of verdicts.json kept only its verdict."""
    return {"verdict": variation, "why": ""} if isinstance(variation, str) else variation


Variations = Mapping[str, Annotated[Variation, BeforeValidator(_of_version_1)]]
