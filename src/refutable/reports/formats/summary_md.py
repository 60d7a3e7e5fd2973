"""summary.md: a run for a pull request, in under 60 lines, with the verdicts that changed first.

What is long is folded, and what does not fit is counted.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from refutable._util.atomic import write_whole
from refutable._util.text import counted, few
from refutable.claims.base import headline_place
from refutable.reports.formats import REPORTS, Report
from refutable.reports.journal import RunResult
from refutable.reports.terminal import interval_text
from refutable.traces.store import Store
from refutable.verdicts import whole_report
from refutable.verdicts.row import VerdictRow, tally
from refutable.verdicts.verdict import Verdict

FILE = "summary.md"
CHANGED, REFUTED, OPEN, REASONS = 10, 7, 4, 3  # lines of each part
WIDTH = 240
_BAD = ("failed", "error")
_SPECIAL = re.compile(r"([\\`*_<>|\[\]#])")


def write(run: RunResult, store: Store, folder: Path) -> None:
    """Write summary.md."""
    write_whole(folder / FILE, summary(run))


REPORTS.add(Report(FILE, write))


def summary(run: RunResult) -> str:
    """Return a run as Markdown, fewer than 60 lines."""
    return "\n".join([f"## {_headline(run)}", "", *_changes(run), *_counts(run), *_told(run), *_absent(run)]) + "\n"


def _headline(run: RunResult) -> str:
    counts = ", ".join(f"{n} {name}" for name, n in tally(run.rows).items())
    return f"Claims: {counts or 'no verdict'}"


def _changes(run: RunResult) -> Iterator[str]:
    """Yield what changed against the baseline, and that a run was not whole."""
    if not run.complete:
        yield from ("**The run did not come to its end: what is missing here was not tried.**", "")
    failed = [f"- **{check.outcome}**: {_text(check.name)}" for check in run.checks if check.outcome in _BAD]
    if (found := run.comparison) is None:
        errors = [f"{row.id}: {row.why}" for row in run.rows if row.verdict is Verdict.ERROR]
        yield from ("No baseline was given, so nothing can be said to have changed.", "")
        yield from _some([*failed, *(f"- **ERROR**: {_text(error)}" for error in errors)], CHANGED, "more")
        return
    changed = [f"- **changed**: {_text(entry)}" for entry in found.changed]
    changed += [*failed, *(f"- **ERROR**: {_text(entry)}" for entry in found.errors)]
    changed += [f"- other weights, not compared: {_text(entry)}" for entry in found.other_weights]
    changed += [f"- new: {_text(entry)}" for entry in found.new]
    yield "Against the baseline:" if changed else "Against the baseline no verdict changed."
    yield ""
    yield from _some(changed, CHANGED, "more")
    if found.not_remeasured:
        yield f"{counted(len(found.not_remeasured), 'verdict')} of the baseline not measured again."
    if found.not_selected:
        yield f"{counted(len(found.not_selected), 'verdict')} of the baseline not selected in this run."
    if found.not_remeasured or found.not_selected:
        yield ""


def _counts(run: RunResult) -> Iterator[str]:
    """Yield how many verdicts have an error rate, on which weights, and what was selected."""
    whole = whole_report.over_report(run.rows, run.provenance.get(whole_report.KEY))
    yield "| verdict | with an error rate | without one |"
    yield "|---|--:|--:|"
    for verdict in (Verdict.REFUTED, Verdict.SUPPORTED):
        rows = [row for row in run.rows if row.verdict is verdict and row.decided]
        rated = sum(row.has_error_rate for row in rows)
        yield f"| {verdict.value} | {rated} | {len(rows) - rated} |"
    yield ""
    if whole.with_error_rate:
        over = f"over the {counted(whole.measured.members, 'p-value')} of this report"
        yield f"After Holm {whole.measured.holm} of these {whole.with_error_rate} stand ({over})."
        yield ""
    kinds = Counter(f"{row.weights_kind}, {row.weights['dtype']}" for row in run.rows if "dtype" in row.weights)
    told = [f"{_text(kind)} ({counted(n, 'verdict')})" for kind, n in kinds.most_common()]
    if told:
        yield f"Weights: {few(told)}."
    if run.selection is not None:
        yield f"Selected: {_text(str(run.selection))}."
    yield ""


def _told(run: RunResult) -> Iterator[str]:
    """Yield what was refuted, and what is open, the claims that a test decided first."""
    refuted = _by_claim(row for row in run.rows if row.verdict is Verdict.REFUTED)
    inconclusive = _by_claim(row for row in run.rows if row.verdict is Verdict.INCONCLUSIVE)
    for title, claims, most in (("Refuted", refuted, REFUTED), ("Inconclusive", inconclusive, OPEN)):
        if claims:
            yield from (f"**{title}**", "")
            yield from _some([_line(rows) for rows in claims], most, "more claims")


def _absent(run: RunResult) -> Iterator[str]:
    """Yield what was not measured, folded, by reason."""
    reasons: dict[str, int] = Counter(
        re.sub(r"\S+ was not selected\b", "its model was not selected", row.why).partition(". To measure: ")[0]
        for row in run.rows
        if row.verdict is Verdict.NOT_MEASURED
    )
    if reasons:
        yield f"<details><summary>{counted(sum(reasons.values()), 'case')} not measured</summary>"
        yield ""
        lines = [f"- {n}: {_text(why)}" for why, n in Counter(reasons).most_common()]
        yield from _some(lines, REASONS, "more reasons")
        yield "</details>"


def _by_claim(rows: Iterable[VerdictRow]) -> list[list[VerdictRow]]:
    """Return rows by claim: first the headlines, then those that a test decided, then those of more subjects."""
    found: dict[str, list[VerdictRow]] = defaultdict(list)
    for row in rows:
        found[row.claim].append(row)

    def rank(rows: list[VerdictRow]) -> tuple[float, bool, int, str]:
        return (
            headline_place(rows[0].about.get("headline")) or math.inf,
            not any(row.has_p for row in rows),
            -len(rows),
            rows[0].id,
        )

    return sorted(found.values(), key=rank)


def _line(rows: Sequence[VerdictRow]) -> str:
    """Return a claim in one line: its words, its subjects and the first one's numbers."""
    first = rows[0]
    subjects = [model for row in rows for model in row.subject.split(", ") if model != "-"]
    number = f": {interval_text(first.estimate)}, predicted {first.predicts}" if first.has_p and first.estimate else ""
    on = f" on {few(subjects, 3)}" if subjects else ""
    return f"- `{first.claim}`{_escaped(on + number)}. {_text(str(first.about['statement']))}"


def _some(lines: Sequence[str], most: int, what: str) -> Iterator[str]:
    """Yield the first lines of a list, how many more there are, and an empty line."""
    yield from lines[:most]
    if len(lines) > most:
        yield f"- {len(lines) - most} {what}"
    if lines:
        yield ""


def _text(text: str) -> str:
    """Return a text as one line of Markdown that says just that, cut where it is long."""
    line = " ".join(text.split())
    return _escaped(line if len(line) <= WIDTH else f"{line[:WIDTH]} ...")


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)
