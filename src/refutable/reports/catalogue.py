"""Which sentences of a catalogue have claims, and the state of these.

A catalogue file has one line per sentence: its id, its kind and, if it repeats another sentence, that sentence's id.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from refutable._util.reading import read_text
from refutable.claims import BaseClaim, PendingClaim, UntestableClaim
from refutable.errors import BadInput, did_you_mean
from refutable.verdicts.row import VerdictRow, tally
from refutable.verdicts.verdict import Verdict

PENDING = "needs an experiment"
UNTESTABLE = "cannot be tested"
UNMEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class CatalogueSentence:
    """One sentence of a catalogue: its id, its kind, and the id of the sentence that it repeats, if any."""

    id: str
    kind: str
    same_as: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """A distinct sentence, and the state of each claim that tries it or its repetitions, by the claim's id."""

    id: str
    kind: str
    claims: Mapping[str, str]


def read_catalogue(path: Path) -> tuple[CatalogueSentence, ...]:
    """Read a catalogue file; lines that begin with # are comments.

    Raises:
        BadInput: it is missing, or a line is not `id kind` or `id kind same-as`; every such line is named.
    """
    lines = read_text(path, absent="name the catalogue with --ids FILE: one `id kind` a line").split("\n")
    entries: dict[str, CatalogueSentence] = {}
    problems = []
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) not in (2, 3) or words[0] in entries:
            problems.append(f"{path}:{number} must be `id kind` or `id kind same-as`, each id once (got {line!r})")
            continue
        entries[words[0]] = CatalogueSentence(words[0], words[1], words[2] if len(words) == 3 else None)
    for entry in entries.values():
        if entry.same_as is not None and (entry.same_as not in entries or entries[entry.same_as].same_as):
            near = did_you_mean(entry.same_as, entries)
            problems.append(f"{path}: {entry.id} is the same as {entry.same_as!r}, which is no distinct id.{near}")
    if problems:
        raise BadInput("\n".join(problems))
    return tuple(entries.values())


def catalogue_lines(
    entries: Sequence[CatalogueSentence], claims: Sequence[BaseClaim], verdicts: Sequence[VerdictRow]
) -> tuple[Line, ...]:
    """Return one line for each distinct sentence, in the catalogue's order.

    Raises:
        BadInput: a claim names a sentence that the catalogue does not have.
    """
    distinct = {entry.id: entry.same_as or entry.id for entry in entries}
    strange = [f"{claim.id}: {name!r}" for claim in claims for name in sentences_of(claim) if name not in distinct]
    if strange:
        raise BadInput(f"not in the catalogue: {', '.join(strange)}; fix `catalogue:` of the claim, or add its line")
    stand = states(claims, verdicts)
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for claim in claims:
        for name in sentences_of(claim):
            found[distinct[name]][claim.id] = stand[claim.id]
    return tuple(Line(entry.id, entry.kind, found[entry.id]) for entry in entries if entry.same_as is None)


def sentences_of(claim: BaseClaim) -> tuple[str, ...]:
    """Return the catalogue's ids of all sentences that a claim tries."""
    return tuple(name for name in (claim.catalogue, *(other.catalogue for other in claim.also)) if name is not None)


def states(claims: Sequence[BaseClaim], verdicts: Sequence[VerdictRow]) -> dict[str, str]:
    """Return the state of each claim, in words: its verdicts counted, or why it has none."""
    of: dict[str, list[VerdictRow]] = defaultdict(list)
    for row in verdicts:
        if row.verdict is not Verdict.NOT_MEASURED:
            of[row.claim].append(row)
    return {claim.id: _state(claim, tally(of[claim.id])) for claim in claims}


def _state(claim: BaseClaim, counts: Mapping[str, int]) -> str:
    if counts:
        return ", ".join(f"{name} {n}" for name, n in counts.items())
    if isinstance(claim, PendingClaim):
        return PENDING
    return UNTESTABLE if isinstance(claim, UntestableClaim) else UNMEASURED
