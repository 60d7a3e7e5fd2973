"""What is kept beside a verdict: each control and each declared variation, with an estimate of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from refutable.verdicts.verdict import Estimate, Verdict, estimate_as_dict, estimate_from


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
    share: float | None = None
    parts: Mapping[str, Control] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` reads them back."""
        parts = {name: part.as_dict() for name, part in self.parts.items()}
        return {**_found(self), "share": self.share, "parts": parts}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Control:
        """Read a control back.

        Raises:
            KeyError, TypeError, ValueError: the data are no control.
        """
        parts = {name: cls.from_dict(part) for name, part in data["parts"].items()}
        return cls(Verdict(data["verdict"]), data["why"], estimate_from(data["estimate"]), data["share"], parts)

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

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` reads them back."""
        return {**_found(self), "changes": dict(self.changes)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any] | str) -> Variation:
        """Read a variation back; version 1 kept its verdict alone.

        Raises:
            KeyError, TypeError, ValueError: the data are no variation.
        """
        if isinstance(data, str):
            return cls(Verdict(data), "")
        return cls(Verdict(data["verdict"]), data["why"], estimate_from(data["estimate"]), data["changes"])

    def differs(self, verdict: Verdict) -> bool:
        """Whether it was looked at and came out otherwise."""
        return self.verdict.looked and self.verdict is not verdict


def _found(of: Control | Variation) -> dict[str, Any]:
    return {"verdict": str(of.verdict.value), "why": of.why, "estimate": estimate_as_dict(of.estimate)}
