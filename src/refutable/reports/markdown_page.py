"""The page of verdicts: every claim in its document's order, with its verdicts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from refutable._util.provenance import with_version
from refutable._util.text import plural
from refutable.claims import BaseClaim, MeasuredClaim, PendingClaim, Record, UntestableClaim
from refutable.claims.parts import Decides
from refutable.reports.catalogue import sentences_of, states
from refutable.reports.journal import RunResult
from refutable.statistics.sample import CENSUS
from refutable.verdicts.row import VerdictRow, tally
from refutable.verdicts.verdict import Estimate
from refutable.verdicts.whole_report import KEY, report_lines

_TAG = re.compile(r"<(?=[A-Za-z/!?])")  # what begins HTML; `< 1` does not
_FAR: Mapping[Decides, str] = {"sentence": "decides", "part": "decides a part of", "neighbour": "is a neighbour of"}
_HEAD = "| on | verdict | estimate | interval | n | labels | why |"


def verdicts_page(
    claims: Sequence[BaseClaim], run: RunResult, hashes: Mapping[str, str], on_tables: RunResult | None = None
) -> str:
    """Return the page as Markdown, with the claims in this order.

    Args:
        claims: those to show.
        run: has the published verdicts.
        hashes: of each claim as it is now, by id (`status.current_hashes`).
        on_tables: verdicts on numbers that somebody published, which follow a claim's measured ones, if any.
    """
    rows: dict[str, list[VerdictRow]] = {claim.id: [] for claim in claims}
    for of in (run, on_tables):
        for row in sorted(of.rows if of is not None else (), key=lambda row: row.id):
            rows.get(row.claim, []).append(row)
    lines = [*_front(claims, run, on_tables), *_contradictions(claims, run.rows)]
    for document, of_document in groupby(claims, key=lambda claim: _place(claim)[0]):
        lines += [f"## {_plain(document)}", ""]
        for section, of_section in groupby(of_document, key=lambda claim: _place(claim)[1]):
            lines += [f"### {_plain(section)}", ""] if section else []
            for claim in of_section:
                lines += _claim(claim, rows[claim.id], hashes[claim.id])
    return "\n".join(lines).rstrip("\n") + "\n"


def _front(claims: Sequence[BaseClaim], run: RunResult, on_tables: RunResult | None) -> Iterator[str]:
    told = _tally(run)
    packages = run.provenance.get("packages", {})
    yield "# Verdicts"
    yield ""
    yield "Generated from the claims and the published verdicts by `refutable page`; not to be edited."
    yield ""
    yield f"{len(claims)} claims; {len(run.rows)} verdicts on claims and subjects: {told or 'none'}."
    for line in report_lines(run.rows, run.provenance.get(KEY)):
        yield f"{line[0].upper()}{line[1:]}."
    yield (
        f"Measured on {run.provenance.get('device', '?')}, {with_version('torch', packages)},"
        f" {with_version('transformers', packages)}, commit {str(run.provenance.get('git_commit') or 'unknown')[:12]}."
    )
    if on_tables is not None:
        table = on_tables.provenance.get("options", {}).get("measurements", "?")
        yield (
            f"Beside them, marked `(published table)` and not measured here, {len(on_tables.rows)} verdicts on {table}:"
            f" {_tally(on_tables) or 'none'}."
        )
    yield ""


def _tally(run: RunResult) -> str:
    return ", ".join(f"{n} {name}" for name, n in tally(run.rows).items())


def _contradictions(claims: Sequence[BaseClaim], rows: Sequence[VerdictRow]) -> Iterator[str]:
    by_id, stand = {claim.id: claim for claim in claims}, states(claims, rows)
    pairs = {tuple(sorted((claim.id, other))): (claim, by_id[other]) for claim in claims for other in claim.contradicts}
    if not pairs:
        return
    yield "## Claims that cannot both hold"
    yield ""
    yield "| one | how it stands | the other | how it stands |"
    yield "|---|---|---|---|"
    for first, second in pairs.values():
        cells = []
        for claim in (first, second):
            cells += [f"{_place(claim)[0]}: {claim.statement} (`{claim.id}`)", stand[claim.id]]
        yield _line(cells)
    yield ""


def _place(claim: BaseClaim) -> tuple[str, str]:
    if claim.source is None:
        return "no document", ""
    return claim.source.document, claim.source.section or ""


def _claim(claim: BaseClaim, rows: Sequence[VerdictRow], now: str) -> Iterator[str]:
    yield f"#### `{claim.id}`"
    yield ""
    if claim.source is not None and claim.source.quote:
        yield from _quoted(claim.source.quote)
    for other in claim.also:
        place = ", ".join(part for part in (other.document, other.section) if part)
        yield from _quoted(other.quote or "", f" ({_plain(place)})")
    reading = f" One reading of `{claim.reading_of}`." if claim.reading_of else ""
    yield f"{_plain(claim.statement)} ({claim.evidence}){reading}"
    yield ""
    if of := sentences_of(claim):
        yield f"Of the catalogue's sentences: {', '.join(f'{_FAR[far]} `{name}`' for name, far in of.items())}."
        yield ""
    if isinstance(claim, MeasuredClaim) and claim.tolerance is not None:
        effect = claim.tolerance.effect
        stake = "one reading among others" if effect is None else f"less than the effect at stake, {effect:g}"
        yield f"Its tolerance is {stake}: {_plain(claim.tolerance.why)}."
        yield ""
    if claim.record:
        told = "; ".join(f"{model} {_recorded(record)}" for model, record in claim.record.items())
        yield f"The author recorded: {_plain(told)}."
        yield ""
    if rows:
        yield _HEAD
        yield "|---" * 7 + "|"
        for row in rows:
            yield _verdict(row, now)
    elif isinstance(claim, PendingClaim):
        yield f"**NOT_MEASURED.** It needs: {_plain(claim.needs)}"
    elif isinstance(claim, UntestableClaim):
        yield f"**NOT_MEASURED.** It cannot be tested: {_plain(claim.reason)}"
    else:
        yield "**NOT_MEASURED.** No verdict on any of its subjects is published."
    yield ""


def _recorded(record: Record) -> str:
    dtype, n = record.dtype, f"n = {record.n}" if record.n is not None else None
    other = None if record.comparable else f"of another quantity: {record.tap}"
    beside = ", ".join(part for part in (n, dtype, other, record.note) if part)
    return f"{record.value:g}" + (f" ({beside})" if beside else "")


def _quoted(text: str, place: str = "") -> Iterator[str]:
    yield f"> “{_plain(text)}”{place}"  # quoted, so that a leading # or | is not Markdown
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
    return _line(cells)


def _units(estimate: Estimate) -> str:
    return f"{estimate.n} recorded" if estimate.unit == CENSUS else f"{estimate.n} {plural(estimate.unit)}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_plain(cell).replace("|", "\\|") for cell in cells) + " |"


def _plain(text: str) -> str:
    """Return a text on one line in which Markdown sees no HTML."""
    return _TAG.sub("&lt;", " ".join(text.split()))
