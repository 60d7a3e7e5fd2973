"""Cases of one claim with one verdict on one kind of weights, folded into one entry; entries of a kind in one block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from refutable.reports.terminal.settle import what_would_settle
from refutable.reports.terminal.words import ORDER
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Verdict

LOOK_UPS = ("architecture", "wiring", "theorem")
"""Evidence that is looked up, probed or proved: it has no interval, and much of it stands in any run."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A claim's cases with one verdict on one kind of weights, in the order of their subjects."""

    rows: tuple[VerdictRow, ...]

    @property
    def first(self) -> VerdictRow:
        """Any of its cases: the claim and the verdict are the same in all."""
        return self.rows[0]

    @property
    def evidence(self) -> str:
        """Its kind of evidence."""
        return str(self.first.about["evidence"])

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of its cases, each once."""
        return tuple(dict.fromkeys(label for row in self.rows for label in row.labels))

    @property
    def is_look_up(self) -> bool:
        """Whether it is folded behind what was measured; an error never is."""
        return self.evidence in LOOK_UPS and self.first.verdict is not Verdict.ERROR


@dataclass(frozen=True, slots=True)
class Block:
    """Claims that were measured, with one verdict on one kind of weights; if undecided, settled by the same thing."""

    entries: tuple[Entry, ...]
    settled: str = ""

    @property
    def verdict(self) -> Verdict:
        """The verdict of all of them."""
        return self.entries[0].first.verdict

    @property
    def weights_kind(self) -> str:
        """The weights of all of them."""
        return self.entries[0].first.weights_kind

    @property
    def subject(self) -> str:
        """The one model that all of them are about, or an empty text."""
        subjects = {row.subject for entry in self.entries for row in entry.rows}
        return subjects.pop() if len(subjects) == 1 and ", " not in next(iter(subjects)) else ""


def measured_blocks(rows: Iterable[VerdictRow]) -> Iterator[Block]:
    """Yield the blocks of what was measured: errors first, then the refuted, the undecided and the supported."""
    entries = [entry for entry in folded(rows) if not entry.is_look_up]
    for verdict in ORDER:
        alike: dict[tuple[str, str], list[Entry]] = {}
        for entry in entries:
            if entry.first.verdict is verdict:
                title = what_would_settle(entry.first).title if verdict is Verdict.INCONCLUSIVE else ""
                alike.setdefault((entry.first.weights_kind, title), []).append(entry)
        for (_, title), of in sorted(alike.items(), key=lambda item: -len(item[1])):
            yield Block(tuple(of), title)


def look_ups(rows: Iterable[VerdictRow]) -> list[list[Entry]]:
    """Return what was looked up, a list a verdict, in the order in which verdicts are shown."""
    entries = [entry for entry in folded(rows) if entry.is_look_up]
    found = ([entry for entry in entries if entry.first.verdict is verdict] for verdict in ORDER)
    return [of for of in found if of]


def folded(rows: Iterable[VerdictRow]) -> list[Entry]:
    """Return the entries of all rows that were tried, by claim."""
    found: dict[tuple[str, Verdict, str], list[VerdictRow]] = {}
    for row in sorted(rows, key=lambda row: row.claim):
        if row.verdict is not Verdict.NOT_MEASURED:
            found.setdefault((row.claim, row.verdict, row.weights_kind), []).append(row)
    return [Entry(tuple(of)) for of in found.values()]
