"""What a campaign counts: every trial ends as it should, or in one of four ways that it must not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

FAULTS = ("wrong", "lost", "stuck", "unclear")
"""A verdict or number that is not the right one; one that is gone; a cache that no rerun mends; a traceback."""


@dataclass
class Tally:
    """The trials of one kind.

    Attributes:
        kind: what was tried.
        counts: how often each outcome came about; besides `FAULTS`, what is as it should be, in the campaign's words.
        examples: what was done in the first trials that ended in a fault.
    """

    kind: str
    counts: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def add(self, outcome: str, what: str = "") -> None:
        """Count a trial."""
        self.counts[outcome] += 1
        if outcome in FAULTS and len(self.examples) < 20:
            self.examples.append(f"{self.kind}: {outcome}: {what}")

    @property
    def trials(self) -> int:
        """Number of trials."""
        return sum(self.counts.values())

    @property
    def faults(self) -> int:
        """Number of trials that ended as none must."""
        return sum(self.counts[fault] for fault in FAULTS)


def table(tallies: Iterable[Tally]) -> str:
    """Return the counts as a Markdown table."""
    lines = ["| tried | trials | wrong | lost | stuck | unclear | the others |", "|---" * 7 + "|"]
    for tally in tallies:
        others = ", ".join(f"{n} {name}" for name, n in sorted(tally.counts.items()) if name not in FAULTS)
        faults = " | ".join(str(tally.counts[fault]) for fault in FAULTS)
        lines.append(f"| {tally.kind} | {tally.trials} | {faults} | {others} |")
    return "\n".join(lines)
