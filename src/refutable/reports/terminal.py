"""The summary in the terminal: a table of verdicts, and what was not measured and why."""

from __future__ import annotations

import io
from collections import defaultdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from refutable._util.text import few
from refutable.reports.baseline import Comparison
from refutable.reports.journal import RunResult
from refutable.verdicts import whole_report
from refutable.verdicts.multiplicity import KEY, family_lines
from refutable.verdicts.preregistration.status import registration_lines
from refutable.verdicts.row import USUAL_ALPHA, VerdictRow, tally
from refutable.verdicts.verdict import Estimate, Verdict
from refutable.verdicts.whole_report import report_lines

COLOURS = {
    Verdict.SUPPORTED: "green",
    Verdict.REFUTED: "red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.ERROR: "bold magenta",
}
_UNSELECTED = "their models were not selected; add --model NAME"
_NEEDS = "they need an experiment that has not been made (verdicts.json says which)"
_UNTESTABLE = "they cannot be tested (verdicts.json says why)"
_COMMON = (_UNSELECTED, _NEEDS, _UNTESTABLE)


def memory_console(width: int, colour: bool) -> Console:
    """Return a console that shows text as it is, to be captured."""
    file = io.StringIO()
    return Console(file=file, width=width, force_terminal=colour, no_color=not colour, highlight=False, markup=False)


def plain_table() -> Table:
    """Return a table without lines."""
    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)


def render(run: RunResult, comparison: Comparison | None, *, width: int, colour: bool) -> str:
    """Return the summary of a run as text, with its comparison to the baseline, if any."""
    shown = [row for row in run.rows if row.verdict is not Verdict.NOT_MEASURED]
    lines = [
        *_weights(shown),
        *family_lines(run.rows, run.provenance.get(KEY, {})),
        *(f"multiplicity: {line}" for line in report_lines(run.rows, run.provenance.get(whole_report.KEY))),
        *registration_lines(run.rows),
        *dict.fromkeys(f"prompts: {row.prompts_told}" for row in shown if row.prompts_told),
        *_not_measured(run),
        *(_comparison(comparison) if comparison is not None else ()),
        _counts(run),
    ]
    console = memory_console(width, colour)
    with console.capture() as text:
        if shown:
            console.print(_table(shown))
        for line in lines:
            console.print(line, soft_wrap=True)
    return text.get()


def _table(rows: list[VerdictRow]) -> Table:
    table = plain_table()
    for name in ("claim", "subject", "weights", "verdict", "estimate [interval]", "n", "labels"):
        table.add_column(name, overflow="fold", no_wrap=name in ("verdict", "n"))
    for row in sorted(rows, key=lambda row: (row.claim, row.subject)):
        estimate = row.estimate
        table.add_row(
            row.claim,
            _subject(row),
            row.weights_kind,
            Text(row.verdict.value, style=COLOURS.get(row.verdict, "")),
            _found(row),
            str(estimate.n) if estimate is not None and estimate.statistic != "fact" else "",
            ", ".join(row.labels),
        )
    return table


def _weights(rows: list[VerdictRow]) -> list[str]:
    """Return one line for each kind of weights behind the verdicts: a drawn or local model is not the real one."""
    told: dict[str, dict[str, None]] = defaultdict(dict)
    for row in rows:
        if "weights_detail" in row.weights:
            parts = (
                row.weights_kind,
                f"({row.weights['weights_detail']})",
                *(row.weights.get(k, "") for k in ("dtype", "device_title", "tokens")),
            )
            story = ", ".join(part for part in parts if part).replace(", (", " (")
            told[story].update(dict.fromkeys(row.weights.get("models", row.subject).split(", ")))
    return [f"weights: {few(list(models))}: {story}" for story, models in told.items()]


def _subject(row: VerdictRow) -> str:
    models = row.subject.split(", ")
    return row.subject if len(models) <= 3 else f"{len(models)} models"


def _found(row: VerdictRow) -> str:
    estimate = row.estimate
    if estimate is not None:
        return interval_text(estimate) + alpha_text(row)
    return row.details.get("seen", "" if row.verdict is not Verdict.ERROR else row.why)


def interval_text(estimate: Estimate) -> str:
    """Return ``value [low, high]``, or only the value if there is no interval."""
    if estimate.level is None and (estimate.low is None or estimate.high is None):
        return f"{estimate.value:.4g}"
    return f"{estimate.value:.4g} {estimate.ends}"


def alpha_text(row: VerdictRow) -> str:
    """Return a claim's alpha if it is unusual, to follow its interval."""
    alpha = row.about["alpha"]
    return f", alpha {alpha:g}" if alpha != USUAL_ALPHA else ""


def _not_measured(run: RunResult) -> list[str]:
    """Return one line for each reason, with the reasons that many cases share last."""
    reasons: dict[str, list[str]] = defaultdict(list)
    fixes: dict[str, str] = {}
    for row in run.rows:
        if row.verdict is Verdict.NOT_MEASURED:
            reason, mark, fix = _reason(row).partition(". To measure: ")  # one reason may have several fixes
            reasons[reason].append(row.id)
            fixes.setdefault(reason, mark + fix)
    nothing = "nothing was measured" if not any(row.verdict.looked for row in run.rows) else "not measured"
    lines = []
    for why, ids in sorted(reasons.items(), key=lambda item: item[0] in _COMMON):
        count = ", ".join(ids) if len(ids) <= 2 else f"{len(ids)} cases"
        lines.append(f"{'not measured' if why in _COMMON else nothing} ({count}): {why}{fixes[why]}")
    return lines


def _reason(row: VerdictRow) -> str:
    """Return why a case was not measured, in the same words for reasons that many cases share."""
    why = row.why
    if why.startswith(("needs ", "cannot be tested")):
        return _NEEDS if why.startswith("needs ") else _UNTESTABLE
    return _UNSELECTED if "was not selected" in why or "was selected" in why or ": NOT_MEASURED " in why else why


def _comparison(comparison: Comparison) -> list[str]:
    lines = []
    for word, entries in (
        ("CHANGED against the baseline", comparison.changed),
        ("ERROR", comparison.errors),
        ("not compared, other weights than the baseline's", comparison.other_weights),
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


def _counts(run: RunResult) -> str:
    return ", ".join(f"{n} {name}" for name, n in tally(run.rows).items()) or "no verdict"
