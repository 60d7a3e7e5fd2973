"""The summary a person reads at the end of a run: a table of claim x subject, and what was not measured, in few lines."""

from __future__ import annotations

import io
from collections import Counter, defaultdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from refutable.baseline import Comparison
from refutable.journal import Run
from refutable.verdict import Estimate, Verdict
from refutable.verdict_row import VerdictRow

_COLOURS = {
    Verdict.SUPPORTED: "green",
    Verdict.REFUTED: "red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.ERROR: "bold magenta",
}


def render(run: Run, comparison: Comparison | None, *, width: int, colour: bool, named: frozenset[str]) -> str:
    """Return the summary as text.

    Args:
        run: the run.
        comparison: with its baseline, where one was given.
        width: of the terminal.
        colour: whether to write colours.
        named: models the user named; what is said of them comes first.
    """
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=colour, no_color=not colour, highlight=False, markup=False)
    shown = [row for row in run.rows if row.verdict is not Verdict.NOT_MEASURED]
    if shown:
        console.print(_table(shown))
    for line in _not_measured(run, named):
        console.print(line, soft_wrap=True)
    if comparison is not None:
        for line in _comparison(comparison):
            console.print(line, soft_wrap=True)
    console.print(_counts(run), soft_wrap=True)
    return out.getvalue()


def _table(rows: list[VerdictRow]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
    for name in ("claim", "subject", "weights", "verdict", "estimate [interval]", "n", "labels"):
        table.add_column(name, overflow="fold", no_wrap=name in ("verdict", "n"))
    for row in sorted(rows, key=lambda row: (row.claim, row.subject)):
        estimate = row.judgement.estimate
        table.add_row(
            row.claim,
            row.subject,
            row.weights_kind,
            Text(row.verdict.value, style=_COLOURS.get(row.verdict, "")),
            _found(row),
            str(estimate.n) if estimate is not None and estimate.p is not None else "",
            ", ".join(row.judgement.labels),
        )
    return table


def _found(row: VerdictRow) -> str:
    estimate = row.judgement.estimate
    if estimate is not None:
        return interval_text(estimate)
    return row.judgement.details.get("seen", "" if row.verdict is not Verdict.ERROR else row.judgement.why)


def interval_text(estimate: Estimate) -> str:
    """Return ``value [low, high]``, or the value alone where there is no interval."""
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.4g}"
    return f"{estimate.value:.4g} [{estimate.low:.4g}, {estimate.high:.4g}]"


def _not_measured(run: Run, named: frozenset[str]) -> list[str]:
    """Return one line for each reason: those that concern named models in full, the others counted."""
    reasons: dict[str, list[str]] = defaultdict(list)
    others = 0
    for row in run.rows:
        if row.verdict is not Verdict.NOT_MEASURED:
            continue
        if named and not named & set(row.subject.split(", ")) and "not selected" in row.judgement.why:
            others += 1
        elif " was not selected" in row.judgement.why:
            others += 1
        else:
            reasons[row.judgement.why].append(row.id)
    nothing = not any(row.verdict.looked for row in run.rows)
    lines = []
    for why, ids in reasons.items():
        count = f"{len(ids)} case{'s' if len(ids) > 1 else ''}" if len(ids) > 3 else ", ".join(ids)
        lines.append(f"{'nothing was measured' if nothing else 'not measured'} ({count}): {why}")
    if others:
        lines.append(f"not measured ({others} cases): their models were not selected; add --model NAME")
    return lines


def _comparison(comparison: Comparison) -> list[str]:
    lines = []
    for word, entries in (
        ("CHANGED against the baseline", comparison.changed),
        ("ERROR", comparison.errors),
        ("new, not in the baseline", comparison.new),
        ("not re-measured", comparison.not_remeasured),
    ):
        if len(entries) > 8 and word.startswith("n"):
            lines.append(f"{word}: {len(entries)} verdicts")
        else:
            lines += [f"{word}: {entry}" for entry in entries]
    if not comparison.changed and not comparison.errors:
        lines.append("baseline: no verdict changed")
    return lines


def _counts(run: Run) -> str:
    counts = Counter(row.verdict for row in run.rows)
    return ", ".join(f"{counts[verdict]} {verdict.value}" for verdict in Verdict if counts[verdict]) or "no verdict"
