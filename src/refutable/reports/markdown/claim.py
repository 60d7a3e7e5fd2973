"""One claim as Markdown: its words, its record and its verdicts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from refutable._util.text import plural
from refutable.claims import BaseClaim, MeasuredClaim, PendingClaim, Record, UntestableClaim
from refutable.claims.parts import Decides
from refutable.reports.catalogue import sentences_of
from refutable.statistics.sample import CENSUS
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Estimate

_TAG = re.compile(r"<(?=[A-Za-z/!?])")  # what begins HTML; `< 1` does not
_FAR: Mapping[Decides, str] = {"sentence": "decides", "part": "decides a part of", "neighbour": "is a neighbour of"}
_HEAD = "| on | verdict | estimate | interval | n | labels | why |"


def claim_lines(claim: BaseClaim, rows: Sequence[VerdictRow], now: str) -> Iterator[str]:
    """Yield the lines of a claim with its verdicts, under a heading that `anchor` leads to.

    Args:
        claim: what is claimed.
        rows: its verdicts.
        now: the claim's hash; a verdict on another form of it says so.
    """
    yield f"## `{claim.id}`"
    yield ""
    if claim.source is not None and claim.source.quote:
        yield from _quoted(claim.source.quote)
    for other in claim.also:
        place = ", ".join(part for part in (other.document, other.section) if part)
        yield from _quoted(other.quote or "", f" ({plain(place)})")
    reading = f" One reading of `{claim.reading_of}`." if claim.reading_of else ""
    yield f"{plain(claim.statement)} ({claim.evidence}){reading}"
    yield ""
    if of := sentences_of(claim):
        yield f"Of the catalogue's sentences: {', '.join(f'{_FAR[far]} `{name}`' for name, far in of.items())}."
        yield ""
    if isinstance(claim, MeasuredClaim) and claim.tolerance is not None:
        effect = claim.tolerance.effect
        stake = "one reading among others" if effect is None else f"less than the effect at stake, {effect:g}"
        yield f"Its tolerance is {stake}: {plain(claim.tolerance.why)}."
        yield ""
    if claim.record:
        told = "; ".join(f"{model} {_recorded(record)}" for model, record in claim.record.items())
        yield f"The author recorded: {plain(told)}."
        yield ""
    if rows:
        yield _HEAD
        yield "|---" * 7 + "|"
        for row in rows:
            yield _verdict(row, now)
    elif isinstance(claim, PendingClaim):
        yield f"**NOT_MEASURED.** It needs: {plain(claim.needs)}"
    elif isinstance(claim, UntestableClaim):
        yield f"**NOT_MEASURED.** It cannot be tested: {plain(claim.reason)}"
    else:
        yield "**NOT_MEASURED.** No verdict on any of its subjects is published."
    yield ""


def anchor(claim: str) -> str:
    """Return the fragment of a claim's heading, as GitHub and MkDocs make it."""
    return claim.replace(".", "")


def _recorded(record: Record) -> str:
    dtype, n = record.dtype, f"n = {record.n}" if record.n is not None else None
    other = None if record.comparable else f"of another quantity: {record.tap}"
    beside = ", ".join(part for part in (n, dtype, other, record.note) if part)
    return f"{record.value:g}" + (f" ({beside})" if beside else "")


def _quoted(text: str, place: str = "") -> Iterator[str]:
    yield f"> “{plain(text)}”{place}"  # quoted, so that a leading # or | is not Markdown
    yield ""


def _verdict(row: VerdictRow, now: str) -> str:
    estimate, labels = row.estimate, list(row.labels)
    if row.about.get("claim_hash") not in (None, now):
        labels.append("of an earlier form of the claim")
    weights = "" if row.weights_kind == "-" else f" ({row.weights_kind})"
    cells = [
        row.subject + weights,
        f"**{row.verdict.value}**",
        f"{estimate.value:.4g}" if estimate is not None else row.details.get("seen", ""),
        estimate.at_level if estimate is not None else "",
        _units(estimate) if estimate is not None and estimate.low is not None else "",
        ", ".join(labels),
        row.why,
    ]
    return table_line(cells)


def _units(estimate: Estimate) -> str:
    return f"{estimate.n} recorded" if estimate.unit == CENSUS else f"{estimate.n} {plural(estimate.unit)}"


def table_line(cells: Sequence[str]) -> str:
    """Return a row of a table."""
    return "| " + " | ".join(plain(cell).replace("|", "\\|") for cell in cells) + " |"


def plain(text: str) -> str:
    """Return a text on one line in which Markdown sees no HTML."""
    return _TAG.sub("&lt;", " ".join(text.split()))
