"""Evidence in full: a block a verdict, wrapped so that its columns stand."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from rich.text import Text

from refutable.reports.terminal.consoles import as_text, hanging
from refutable.reports.terminal.words import COLOURS, ORDER
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Verdict

FEW = 5
"""As many verdicts are shown in full although nobody asked."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What of a run was chosen to be read closely.

    Attributes:
        by_name: whether its cases were selected by `-k` or by their node ids.
        verbosity: how often `-v` was given.
    """

    by_name: bool = False
    verbosity: int = 0

    def rows(self, rows: Iterable[VerdictRow]) -> list[VerdictRow]:
        """Return the rows whose evidence is shown, in the order of the summary.

        Every refuted one if cases were chosen by name or are few; with `-v` also those that are undecided, with `-vv`
        all; and all of them if what was chosen by name is few.
        """
        looked = [row for verdict in ORDER for row in rows if row.verdict is verdict and verdict.looked]
        refuted = [row for row in looked if row.verdict is Verdict.REFUTED]
        if self.verbosity > 1 or (self.by_name and len(looked) <= FEW):
            return looked
        if self.verbosity == 1:
            return [row for row in looked if row.verdict is not Verdict.SUPPORTED]
        return refuted if self.by_name or len(refuted) <= FEW else []


def evidence_blocks(rows: Collection[VerdictRow], *, width: int, colour: bool) -> list[str]:
    """Return the evidence of each row as lines of at most `width` columns."""
    return [as_text(_block(row, width), colour=colour) for row in rows]


def _block(row: VerdictRow, width: int) -> list[Text]:
    first, *rest = row.evidence().split("\n")
    word, _, statement = first.partition(": ")
    title = Text(word, style=COLOURS.get(row.verdict, "")).append(f": {statement}", style="default")
    lines = hanging(title, width, rest=2)
    for line in rest:
        named = re.match(r"  \w+ {2,}", line)  # a name in a column of its own; others end in a colon
        lines += hanging(line, width, rest=named.end() if named else 4)
    return lines
