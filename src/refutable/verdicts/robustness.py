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
        verdict: SUPPORTED if the claim, or its prediction, holds there too; REFUTED if it fails.
        why: the evidence or the reason, in one line.
        estimate: what was found there, if anything.
        share: the share of seeds, shuffles or generated traces that support the claim, in [0, 1]; None if none ran.
        parts: its parts by name, such as seeds.
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
    """The claim under one combination of its declared variations, with what these change, by name.

    NOT_MEASURED and ERROR, where it could not be looked at, do not make the claim fragile.
    """

    verdict: Verdict
    why: str
    estimate: Estimate | None = None
    changes: Mapping[str, str] = field(default_factory=dict)

    def differs(self, verdict: Verdict) -> bool:
        """Whether it was looked at and came out differently."""
        return self.verdict.looked and self.verdict is not verdict


def _of_version_1(variation: object) -> object:
    """Return a variation in its current form; version 1 of verdicts.json kept only its verdict."""
    return {"verdict": variation, "why": ""} if isinstance(variation, str) else variation


Variations = Mapping[str, Annotated[Variation, BeforeValidator(_of_version_1)]]
