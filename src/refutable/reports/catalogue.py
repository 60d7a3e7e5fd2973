"""Which sentences of a catalogue have claims, how far these decide them, and how they stand.

A catalogue file has one line per sentence: its id, its kind and, if it repeats another sentence, that sentence's id.
The verdict on a sentence comes only from claims that decide it, none from a part or a neighbour of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from refutable._util.reading import read_text
from refutable.claims import BaseClaim, PendingClaim, UntestableClaim
from refutable.claims.parts import Decides, Restatement
from refutable.errors import BadInput, did_you_mean
from refutable.verdicts.row import VerdictRow, tally
from refutable.verdicts.verdict import Verdict

PENDING = "needs an experiment"
UNTESTABLE = "cannot be tested"
UNMEASURED = "not measured"
UNDECIDED = "no claim decides all of it"

_Rows = Mapping[str, Sequence[VerdictRow]]  # verdicts other than NOT_MEASURED, by claim


@dataclass(frozen=True, slots=True)
class CatalogueSentence:
    """One sentence of a catalogue: its id, its kind, and the id of the sentence that it repeats, if any."""

    id: str
    kind: str
    same_as: str | None


@dataclass(frozen=True, slots=True)
class Trial:
    """A claim that tries a sentence: its id, how far it decides the sentence, and how it stands."""

    claim: str
    decides: Decides
    state: str


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence, the claims that name it, and its verdict: the verdicts of those that decide it, counted."""

    id: str
    kind: str
    same_as: str | None
    trials: tuple[Trial, ...]
    verdict: str


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
    """Return one line for each sentence, in the catalogue's order.

    A sentence that repeats another has a line of its own: a claim decides the sentence that it names, and the two may
    say more or less than each other.

    Raises:
        BadInput: a claim names a sentence that the catalogue does not have.
    """
    known = {entry.id for entry in entries}
    strange = [f"{claim.id}: {name!r}" for claim in claims for name in sentences_of(claim) if name not in known]
    if strange:
        raise BadInput(f"not in the catalogue: {', '.join(strange)}; fix `catalogue:` of the claim, or add its line")
    looked = _looked(verdicts)
    found: dict[str, list[tuple[BaseClaim, Decides]]] = defaultdict(list)
    for claim in claims:
        for name, decides in sentences_of(claim).items():
            found[name].append((claim, decides))
    return tuple(_line(entry, found[entry.id], looked) for entry in entries)


def sentences_of(claim: BaseClaim) -> dict[str, Decides]:
    """Return how far a claim decides each sentence that it names, by the sentence's id in the catalogue."""
    named: tuple[BaseClaim | Restatement, ...] = (claim, *claim.also)
    return {one.catalogue: one.decides for one in named if one.catalogue and one.decides}


def states(claims: Sequence[BaseClaim], verdicts: Sequence[VerdictRow]) -> dict[str, str]:
    """Return the state of each claim, in words: its verdicts counted, or why it has none."""
    looked = _looked(verdicts)
    return {claim.id: _state([claim], looked) for claim in claims}


def _line(entry: CatalogueSentence, found: Sequence[tuple[BaseClaim, Decides]], looked: _Rows) -> Line:
    deciding = [claim for claim, decides in found if decides == "sentence"]
    return Line(
        id=entry.id,
        kind=entry.kind,
        same_as=entry.same_as,
        trials=tuple(Trial(claim.id, decides, _state([claim], looked)) for claim, decides in found),
        verdict=_state(deciding, looked) if deciding else UNDECIDED if found else "",
    )


def _looked(verdicts: Sequence[VerdictRow]) -> _Rows:
    of: dict[str, list[VerdictRow]] = defaultdict(list)
    for row in verdicts:
        if row.verdict is not Verdict.NOT_MEASURED:
            of[row.claim].append(row)
    return of


def _state(claims: Sequence[BaseClaim], looked: _Rows) -> str:
    """Return the verdicts of some claims, counted, or why there are none."""
    counts = tally(row for claim in claims for row in looked.get(claim.id, ()))
    if counts:
        return ", ".join(f"{name} {n}" for name, n in counts.items())
    if any(not isinstance(claim, PendingClaim | UntestableClaim) for claim in claims):
        return UNMEASURED
    return PENDING if any(isinstance(claim, PendingClaim) for claim in claims) else UNTESTABLE
