"""The claims of a run with their answers, by document and section, in the documents' order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from refutable.claims.base import headline_place
from refutable.reports.beside import Beside
from refutable.reports.journal import RunResult
from refutable.reports.page.answers import Answer, answer, axis_of_rows, in_order
from refutable.reports.page.method import method_of
from refutable.reports.page.words import EVIDENCE
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Verdict

NO_DOCUMENT = "No document"


@dataclass(frozen=True, slots=True)
class ClaimView:
    """A claim with its answers.

    Attributes:
        id: its id.
        statement: what it says.
        collection: what it belongs to; empty if nobody said.
        document, section: where it is from.
        quotes: the documents' words, each with its place if that is another.
        evidence: the kind of evidence it asks for.
        kind: the same in words.
        headline: its place at the top, as `headline_place` has it; 0 if it is not shown there.
        answers: its answers, those measured here first.
        unmeasured: what it was not tried on, and why: case and reason.
        method: how it is tried and decided, in sentences.
        yaml: its lines in the claims file; empty where these are not at hand.
        changed: whether the claims file now says something else than what was tried.
        reading_of: the claim that it is one reading of.
    """

    id: str
    statement: str
    collection: str
    document: str
    section: str
    quotes: tuple[tuple[str, str], ...]
    evidence: str
    kind: str
    headline: int
    answers: tuple[Answer, ...]
    unmeasured: tuple[tuple[str, str], ...]
    method: tuple[str, ...]
    yaml: str
    changed: bool
    reading_of: str

    @property
    def tally(self) -> list[tuple[str, str, int]]:
        """How many answers have each verdict: its name, its mark, the count."""
        words = {one.verdict: one.mark for one in self.answers}
        return [(name, mark, sum(one.verdict == name for one in self.answers)) for name, mark in words.items()]

    def in_column(self, column: str) -> list[Answer]:
        """Return its answers in one column of the matrix."""
        return [one for one in self.answers if one.column == column]


@dataclass(frozen=True, slots=True)
class SectionView:
    """A section of a document: its name, empty if it has none, and its claims, those with answers first."""

    name: str
    claims: tuple[ClaimView, ...]


@dataclass(frozen=True, slots=True)
class DocumentView:
    """A document: the collection it is in, empty if none; its name and its sections."""

    collection: str
    name: str
    sections: tuple[SectionView, ...]


def claim_views(run: RunResult) -> tuple[ClaimView, ...]:
    """Return every claim of a run that left a verdict, with the verdicts on published tables, in the file's order."""
    rows: dict[str, list[VerdictRow]] = {}
    for row in sorted(run.rows, key=lambda row: row.id):
        rows.setdefault(row.claim, []).append(row)
    for row in table_rows(run):
        rows.setdefault(row.claim, []).append(row)
    order = {name: at for at, name in enumerate(run.beside.claims)}
    views, number = [], 0
    for name in sorted(rows, key=lambda name: (order.get(name, len(order)), name)):
        view = _claim(rows[name], run.beside, number)
        number += len(view.answers)
        views.append(view)
    return tuple(views)


def table_rows(run: RunResult) -> list[VerdictRow]:
    """Return the verdicts on published tables that are shown with a run: on its claims, or on all claims."""
    tables, claims = run.beside.on_tables, {row.claim for row in run.rows}
    if tables is None:
        return []
    found = [row for row in tables.rows if row.verdict.looked and (run.beside.all_tables or row.claim in claims)]
    return sorted(found, key=lambda row: row.id)


def _claim(rows: Sequence[VerdictRow], beside: Beside, number: int) -> ClaimView:
    shown = [row for row in rows if row.verdict is not Verdict.NOT_MEASURED]
    first = (shown or rows)[0]
    known = beside.claims.get(first.claim)
    same = known is not None and known.hash == first.about.get("claim_hash", known.hash)
    axis = axis_of_rows(shown)
    source = first.about.get("source") or {}
    return ClaimView(
        id=first.claim,
        statement=str(first.about["statement"]),
        collection=str(first.about.get("collection") or ""),
        document=str(source.get("document") or NO_DOCUMENT),
        section=str(source.get("section") or ""),
        quotes=_quotes(source, beside, first.claim),
        evidence=str(first.about["evidence"]),
        kind=EVIDENCE.get(str(first.about["evidence"]), str(first.about["evidence"])),
        headline=headline_place((known is not None and known.claim.headline) or first.about.get("headline")),
        answers=tuple(in_order(answer(row, number + at, axis) for at, row in enumerate(shown))),
        unmeasured=tuple((row.id, row.why) for row in rows if row.verdict is Verdict.NOT_MEASURED),
        method=tuple(filter(None, method_of(first, known.claim if known is not None and same else None))),
        yaml=known.yaml if known is not None and same else "",
        changed=known is not None and not same,
        reading_of=str(first.about.get("reading_of") or ""),
    )


def _quotes(source: Mapping[str, object], beside: Beside, name: str) -> tuple[tuple[str, str], ...]:
    known = beside.claims.get(name)
    also = known.claim.also if known is not None else ()
    others = [(one.quote, ", ".join(filter(None, (one.document, one.section)))) for one in also if one.quote]
    own = [(str(source["quote"]), "")] if source.get("quote") else []
    return (*own, *others)


def by_document(claims: Iterable[ClaimView]) -> tuple[DocumentView, ...]:
    """Return claims by document and section, in order of appearance; in a section, those with answers first.

    Documents of one collection stand together, collections in order of appearance.
    """
    places: dict[tuple[str, str], dict[str, list[ClaimView]]] = {}
    for claim in claims:
        places.setdefault((claim.collection, claim.document), {}).setdefault(claim.section, []).append(claim)
    order = list(dict.fromkeys(collection for collection, _ in places))
    return tuple(
        DocumentView(
            *place,
            tuple(
                SectionView(section, tuple(sorted(found, key=lambda claim: not claim.answers)))
                for section, found in sections.items()
            ),
        )
        for place, sections in sorted(places.items(), key=lambda one: order.index(one[0][0]))
    )


def columns_of(claims: Iterable[ClaimView]) -> tuple[str, ...]:
    """Return the matrix's columns, those of which most is decided first."""
    decided: dict[str, int] = {}
    for claim in claims:
        for one in claim.answers:
            decided[one.column] = decided.get(one.column, 0) + one.row.decided
    return tuple(sorted(decided, key=lambda name: (-decided[name], name)))


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """Cases that were not measured for one reason: of what, how many, why, and the command that would measure them."""

    of: str
    ids: tuple[str, ...]
    why: str
    command: str


def unmeasured(run: RunResult) -> tuple[Unmeasured, ...]:
    """Return what was not measured: a line a model, then what needs several models, an experiment or cannot be."""
    found = [(_what(row), *_reason(row), row.id) for row in run.rows if row.verdict is Verdict.NOT_MEASURED]
    found.sort(key=lambda one: (one[0] in _LAST, one[:3], one[3]))
    return tuple(
        Unmeasured(of, tuple(one[3] for one in group), why, command)
        for (of, why, command), group in (
            (key, list(of_key)) for key, of_key in groupby(found, key=lambda one: one[:3])
        )
    )


_NEEDS, _NEVER, _SEVERAL = "an experiment nobody has made", "nothing could test it", "several models at once"
_LAST = (_SEVERAL, _NEEDS, _NEVER)


def _what(row: VerdictRow) -> str:
    if row.why.startswith("needs "):
        return _NEEDS
    if row.why.startswith("cannot be tested"):
        return _NEVER
    return _SEVERAL if "," in row.subject else row.subject


def _reason(row: VerdictRow) -> tuple[str, str]:
    """Return why a case was not measured and the command that would, with reasons of many cases in the same words."""
    if (what := _what(row)) in (_NEEDS, _NEVER):
        return ("each says what it needs" if what == _NEEDS else "each says why", "")
    why, _, command = row.why.partition(". To measure: ")
    if what == _SEVERAL:
        why = "too few of their models were measured"
        command = "pytest --model NAME (repeat it)" if command else ""
    return why, command
