"""The verdicts themselves: one line a claim where it fits, and what qualifies it below."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rich.text import Text

from refutable._util.text import counted
from refutable.reports.terminal.consoles import hanging
from refutable.reports.terminal.folding import Block, Entry, look_ups, measured_blocks
from refutable.reports.terminal.numbers import answer, spread
from refutable.reports.terminal.settle import in_common, what_would_settle
from refutable.reports.terminal.words import COLOURS
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Verdict

MOST_SUBJECTS = 3  # of one claim that are shown with what was found on each; of more, from where to where it lies
MOST_SEEN = 6  # subjects of one look-up that are named
MOST_NAMED = 12  # look-ups with one verdict that are named although nobody asked
_INDENT, _BELOW, _GAP = 2, 6, 2
_KINDS = {"architecture": "about architecture", "wiring": "about wiring", "theorem": "theorem"}
_NUMBERS = re.compile(r" below n = .*| \(.*\)|: needs .*|(?<=gauge): .*")  # of a label, beside its word
_SEVERAL = re.compile(r"(all of|any of): (.*)", re.DOTALL)  # predictions of one claim, with semicolons between


def verdict_lines(rows: Iterable[VerdictRow], width: int, *, in_full: bool = False) -> list[Text]:
    """Return the lines for every case that was tried, measured ones first; no id is ever cut.

    Args:
        rows: of the run; those that were not measured are left out.
        width: columns; an id that is longer than a line has one of its own.
        in_full: whether every subject and look-up is named, and labels have their numbers.
    """
    rows = list(rows)
    lines = [line for block in measured_blocks(rows) for line in _block(block, width, in_full=in_full)]
    return [*lines, *(line for of in look_ups(rows) for line in _look_ups(of, width, in_full=in_full))]


@dataclass(frozen=True, slots=True)
class _Told:
    """A claim, what was found, and what qualifies it."""

    claim: str
    found: str
    notes: str

    @property
    def whole(self) -> str:
        """All but the claim's name."""
        return f"{self.found} {self.notes}" if self.notes else self.found


def _block(block: Block, width: int, *, in_full: bool) -> Iterator[Text]:
    title = Text(block.verdict.value, style=COLOURS.get(block.verdict, ""))
    weights = f" (weights: {block.weights_kind})" if block.weights_kind != "-" else ""
    title.append(f"{f' on {block.subject}' if block.subject else ''}{weights}", style="default")
    if len(block.entries) > 1:
        title.append(f", {counted(len(block.entries), 'claim')}", style="default")
    title.append(f"; {block.settled}" if block.settled and not in_full else "", style="default")
    yield from hanging(title, width)
    told = [_told(entry, block, in_full=in_full) for entry in block.entries]
    column = _column(told, width)
    for one in told:
        line = Text(" " * _INDENT).append(one.claim, style="bold")
        begin = max(column, line.cell_len + _GAP)
        if begin + len(one.whole) <= width:
            yield line.append(" " * (begin - line.cell_len)).append(one.whole)
        elif begin + len(one.found) <= width:
            yield line.append(" " * (begin - line.cell_len)).append(one.found)
            yield from hanging(one.notes, width, first=_BELOW, rest=_BELOW)
        else:
            yield line
            yield from hanging(one.whole, width, first=_BELOW, rest=_BELOW)


def _column(told: Iterable[_Told], width: int) -> int:
    """Return the column in which what was found begins where it stands beside the claim."""
    beside = [one for one in told if _INDENT + len(one.claim) + _GAP + len(one.found) <= width]
    after = max((_INDENT + len(one.claim) + _GAP for one in beside), default=0)
    return min(after, width - max((len(one.found) for one in beside), default=0))


def _told(entry: Entry, block: Block, *, in_full: bool) -> _Told:
    row, verdict = entry.first, entry.first.verdict
    if verdict is Verdict.ERROR:
        return _Told(row.claim, "; ".join(dict.fromkeys(f"{_subject(row)}: {row.why}" for row in entry.rows)), "")
    if in_full or len(entry.rows) <= MOST_SUBJECTS:
        found = "; ".join(_on_one(row, block) for row in entry.rows)
    else:
        found = spread([row.estimate for row in entry.rows], "model")
    labels = entry.labels if in_full else dict.fromkeys(_NUMBERS.sub("", label) for label in entry.labels)
    notes = [f"[{', '.join(labels)}]"] if labels else []
    if verdict is Verdict.INCONCLUSIVE:
        settling = [what_would_settle(row) for row in entry.rows]
        own = dict.fromkeys(one.told for one in settling) if in_full else in_common(one.own for one in settling)
        notes = [*filter(None, own), *notes]
    predicts = row.predicts if in_full else _SEVERAL.sub(_counted, row.predicts)
    return _Told(row.claim, f"{found}{_compared(predicts, verdict)}", " ".join(notes))


def _compared(predicts: str, verdict: Verdict) -> str:
    """Return how what was found lies to what was predicted: it does, it does not, or does it?"""
    match verdict:
        case Verdict.REFUTED:
            return f", not {predicts}"
        case Verdict.INCONCLUSIVE:
            return f", {predicts}?"
    return f", {predicts}"


def _counted(several: re.Match[str]) -> str:
    return f"{several[1]} {counted(several[2].count(';') + 1, 'prediction')}"


def _on_one(row: VerdictRow, block: Block) -> str:
    found = answer(row) if row.estimate is not None or row.verdict is not Verdict.INCONCLUSIVE else "no interval"
    return found if block.subject else f"{_subject(row)} {found}"


def _subject(row: VerdictRow) -> str:
    models = row.subject.split(", ")
    return row.subject if len(models) <= 3 else f"{len(models)} models"


def _look_ups(entries: list[Entry], width: int, *, in_full: bool) -> Iterator[Text]:
    """Yield one verdict's look-ups: how many of each kind, and, if few or asked for, which."""
    verdict = entries[0].first.verdict
    kinds = []
    for kind, words in _KINDS.items():
        members = [entry for entry in entries if entry.evidence == kind]
        cases = sum(len(entry.rows) for entry in members)
        word = counted(len(members), words) if kind == "theorem" else f"{len(members)} {words}"
        kinds += [f"{word} ({cases} cases)" if cases > len(members) else word] * bool(members)
    named = in_full or len(entries) <= MOST_NAMED
    title = Text(verdict.value, style=COLOURS[verdict])
    title.append(f" by looking up: {', '.join(kinds)}{':' if named else '; -v names them'}", style="default")
    yield from hanging(title, width)
    if named:
        for entry in entries:
            yield from hanging(_named(entry, in_full=in_full), width, first=_INDENT, rest=_BELOW)


def _named(entry: Entry, *, in_full: bool) -> Text:
    """Return a look-up: claim, subjects, and what was seen, if that is the same on all."""
    shown = [row.subject for row in entry.rows[: None if in_full else MOST_SEEN]]
    more = len(entry.rows) - len(shown)
    seen = {answer(row) for row in entry.rows}
    text = Text(entry.first.claim, style="bold")
    about = ", ".join(shown) if len(shown) > 1 else _subject(entry.first)
    text.append("" if about == "-" else f"  {about}{f' and {more} more' if more else ''}", style="default")
    text.append(f": {seen.pop()}" if len(seen) == 1 else "", style="default")
    return text.append(f"  [{', '.join(entry.labels)}]" if entry.labels else "", style="default")
