"""Contradictions: two claims that cannot both hold, both SUPPORTED on the same subject."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two supported verdicts, at most one of which can be true, and the subjects that both are about."""

    first: VerdictRow
    second: VerdictRow
    subjects: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its name in reports."""
        return f"contradiction: {self.first.id} and {self.second.id}"

    @property
    def message(self) -> str:
        """Both verdicts with their evidence."""
        told = "\n".join(
            f"  {row.claim}: {row.about['statement']}\n    SUPPORTED: {row.why}" for row in (self.first, self.second)
        )
        return (
            f"{self.first.claim} and {self.second.claim} cannot both hold, and both came out SUPPORTED on"
            f" {', '.join(self.subjects)}:\n{told}"
        )


def contradictions(rows: Iterable[VerdictRow]) -> tuple[Contradiction, ...]:
    """Return every pair of supported verdicts whose claims contradict each other on a common subject."""
    supported = [row for row in rows if row.verdict is Verdict.SUPPORTED]
    declared = {(row.claim, other) for row in supported for other in row.about.get("contradicts") or ()}
    found = []
    for a, b in itertools.combinations(supported, 2):
        if (a.claim, b.claim) not in declared and (b.claim, a.claim) not in declared:
            continue
        common = tuple(name for name in speaks_of(a) if name in speaks_of(b))
        if common and (a.weights_kind == b.weights_kind or "-" in (a.weights_kind, b.weights_kind)):
            found.append(Contradiction(a, b, common))
    return tuple(found)


def speaks_of(row: VerdictRow) -> tuple[str, ...]:
    """Return what a supported verdict is true of: all its models together and, for `each` and `all`, each of them.

    That one of several models does something, or that two groups differ, is true of no single model.
    """
    singly = row.subject.split(", ") if row.about.get("for") in ("each", "all") else []
    return tuple(dict.fromkeys((row.subject, *singly)))
