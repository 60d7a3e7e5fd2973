"""A run as the page shows it: plain values, nothing of HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from refutable.reports.journal import RunResult
from refutable.reports.page.answers import Answer, axis_of_rows
from refutable.reports.page.axis import bar_of, region_of
from refutable.reports.page.claims import (
    ClaimView,
    DocumentView,
    Unmeasured,
    by_document,
    claim_views,
    columns_of,
    unmeasured,
)
from refutable.reports.page.data import answer_data, rounded
from refutable.reports.page.front import Front, front_of
from refutable.reports.page.samples import Samples
from refutable.reports.page.words import DRAWN, EVIDENCE, ORIGINS, Origin, found, units
from refutable.traces.store import Store
from refutable.verdicts.verdict import Verdict

FEW_CLAIMS = 12  # so few are all shown at the top, if none is marked


@dataclass(frozen=True, slots=True)
class Headline:
    """A claim at the top of the page, with its answers and those of its control on freshly drawn weights."""

    claim: ClaimView
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a filter offers: a value, its name, how many answers or claims have it, and a mark, if it has one."""

    value: str
    name: str
    count: int
    mark: str = ""


@dataclass(frozen=True, slots=True)
class PageView:
    """The page of a run.

    Attributes:
        front: its top.
        headlines: the claims that are shown first.
        documents: all claims.
        columns: the matrix's columns.
        unmeasured: what was not measured.
        filters: what each filter offers, by the filter's name.
        origins: those among the answers.
        answers: how many answers there are.
        data: what claims open into, for the browser.
    """

    front: Front
    headlines: tuple[Headline, ...]
    documents: tuple[DocumentView, ...]
    columns: tuple[str, ...]
    unmeasured: tuple[Unmeasured, ...]
    filters: dict[str, tuple[Choice, ...]]
    origins: tuple[Origin, ...]
    answers: int
    data: dict[str, Any]

    @property
    def collections(self) -> list[tuple[str, list[DocumentView]]]:
        """The documents by collection; one without a name if nobody named any."""
        named: dict[str, list[DocumentView]] = {}
        for document in self.documents:
            named.setdefault(document.collection, []).append(document)
        return list(named.items())

    @property
    def claims(self) -> list[ClaimView]:
        """Every claim, in order."""
        return [claim for document in self.documents for section in document.sections for claim in section.claims]


def page_view(run: RunResult, store: Store) -> PageView:
    """Return the page of a run; samples are read from the store, as far as it has them."""
    claims = claim_views(run)
    answers = [one for claim in claims for one in claim.answers]
    documents = by_document(claims)
    ordered = [claim for document in documents for section in document.sections for claim in section.claims]
    return PageView(
        front=front_of(run),
        headlines=_headlines(ordered),
        documents=documents,
        columns=columns_of(claims),
        unmeasured=unmeasured(run),
        filters=_filters(ordered, answers),
        origins=tuple(one for one in ORIGINS if one in {answer.origin for answer in answers}),
        answers=len(answers),
        data=_data(ordered, answers, run, Samples(store)),
    )


def _headlines(claims: Sequence[ClaimView]) -> tuple[Headline, ...]:
    marked = sorted((claim for claim in claims if claim.headline), key=lambda claim: claim.headline)
    shown = marked or (list(claims) if len(claims) <= FEW_CLAIMS else [])
    return tuple(Headline(claim, _telling((*claim.answers, *_drawn(claim)))) for claim in shown)


def _telling(answers: Sequence[Answer]) -> tuple[Answer, ...]:
    """Return answers with the first of each origin and verdict before those that only repeat it."""
    seen: dict[tuple[str, str], Answer] = {}
    for one in answers:
        seen.setdefault((one.origin.key, one.verdict), one)
    firsts = {id(one) for one in seen.values()}
    return tuple(sorted(answers, key=lambda one: id(one) not in firsts))


def _drawn(claim: ClaimView) -> Iterable[Answer]:
    """Yield what a claim's controls on freshly drawn weights came to, as further answers."""
    axis = axis_of_rows([one.row for one in claim.answers])
    for one in claim.answers:
        control = one.row.controls.get("initialization")
        if control is not None and control.verdict.looked:
            yield Answer(
                row=one.row,
                number=-1,
                subject=f"{one.subject}, drawn",
                origin=DRAWN,
                verdict=control.verdict.value,
                found=found(control.estimate),
                units=units(control.estimate),
                why=control.why,
                bar=bar_of(axis, control.estimate),
            )


def _filters(claims: Sequence[ClaimView], answers: Sequence[Answer]) -> dict[str, tuple[Choice, ...]]:
    verdicts = Counter(one.verdict for one in answers)
    marks = {one.verdict: one.mark for one in answers}
    kinds = Counter(claim.evidence for claim in claims)
    documents = Counter(claim.document for claim in claims)
    collections = Counter(claim.collection for claim in claims if claim.collection)
    labels = Counter(label for one in answers for label in one.label_kinds)
    origins = Counter(one.origin for one in answers)
    columns = Counter(one.column for one in answers)
    return {
        "verdict": tuple(
            Choice(v.value, v.value, verdicts[v.value], marks[v.value]) for v in Verdict if verdicts[v.value]
        ),
        "kind": tuple(Choice(name, EVIDENCE.get(name, name), n) for name, n in kinds.most_common()),
        "collection": tuple(Choice(name, name, n) for name, n in collections.items()),
        "document": tuple(Choice(name, name, n) for name, n in documents.items()),
        "label": tuple(Choice(name, name, n) for name, n in labels.most_common()),
        "weights": tuple(Choice(one.key, one.name, n) for one, n in origins.most_common()),
        "model": tuple(Choice(name, name, n) for name, n in columns.most_common()),
    }


def _data(claims: Sequence[ClaimView], answers: Sequence[Answer], run: RunResult, samples: Samples) -> dict[str, Any]:
    known = run.beside.claims
    numbered = sorted(answers, key=lambda one: one.number)
    return {
        "claims": [_claim_data(claim) for claim in claims],
        "answers": [answer_data(one, samples.of(one.row, known.get(one.row.claim))) for one in numbered],
        "origins": {one.key: [one.name, one.about] for one in ORIGINS},
    }


def _claim_data(claim: ClaimView) -> dict[str, Any]:
    region = region_of(claim.answers[0].row.predicts) if claim.answers else None
    ends = {} if region is None else {"region": [rounded(region.low), rounded(region.high)]}
    told = {
        "id": claim.id,
        "kind": claim.evidence,
        "collection": claim.collection,
        "document": claim.document,
        "answers": [one.number for one in claim.answers],
        "unmeasured": [list(one) for one in claim.unmeasured],
        "yaml": claim.yaml,
        "changed": claim.changed,
    }
    return {key: value for key, value in told.items() if value not in ("", [], False)} | ends
