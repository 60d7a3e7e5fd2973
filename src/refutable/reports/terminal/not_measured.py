"""What was not measured, one line a reason."""

from __future__ import annotations

from collections import defaultdict

from refutable.reports.journal import RunResult
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Verdict

_UNSELECTED = "their models were not selected; add --model NAME"
_NEEDS = "they need an experiment that has not been made (verdicts.json says which)"
_UNTESTABLE = "they cannot be tested (verdicts.json says why)"
_UNTRAINED = "their experiment has no run of the networks they compare (verdicts.json says of which)"
_COMMON = (_UNSELECTED, _UNTRAINED, _NEEDS, _UNTESTABLE)


def not_measured_lines(run: RunResult) -> list[str]:
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
    if why.startswith("experiment ") and " has no run of " in why:
        return _UNTRAINED
    return _UNSELECTED if "was not selected" in why or "was selected" in why or ": NOT_MEASURED " in why else why
