"""Compares a run with a published one, verdict by verdict."""

from __future__ import annotations

from dataclasses import dataclass

from refutable.reports.journal import RunResult
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Comparison:
    """A run against its baseline; each entry is one line of text.

    Attributes:
        changed: pairs whose verdict is another.
        not_remeasured: pairs the baseline had measured and this run did not.
        new: pairs the baseline did not have, that were measured now.
        errors: pairs that came out ERROR; an error always fails.
    """

    changed: tuple[str, ...]
    not_remeasured: tuple[str, ...]
    new: tuple[str, ...]
    errors: tuple[str, ...]

    @property
    def fails(self) -> bool:
        """Whether the exit status must say so."""
        return bool(self.changed or self.errors)


def compare(run: RunResult, baseline: RunResult) -> Comparison:
    """Compare a run with a baseline."""
    now = {row.identity: row for row in run.rows}
    then = {row.identity: row for row in baseline.rows}
    measured_now = {_pair(row) for row in run.rows if row.verdict.looked}
    changed = [
        f"{row.id} ({row.weights_kind}): {then[key].verdict.value} -> {row.verdict.value}"
        for key, row in now.items()
        if key in then
        and row.verdict is not then[key].verdict
        and Verdict.NOT_MEASURED not in (row.verdict, then[key].verdict)
    ]
    not_remeasured = [
        f"{row.id} ({row.weights_kind})"
        for key, row in then.items()
        if row.verdict.looked
        and (key not in now or not now[key].verdict.looked)
        and not _error(now.get(key))
        and _pair(row) not in measured_now
    ]
    new = [
        f"{row.id} ({row.weights_kind}): {row.verdict.value}"
        for key, row in now.items()
        if row.verdict.looked and (key not in then or not then[key].verdict.looked)
    ]
    errors = [f"{row.id}: {row.why}" for row in run.rows if row.verdict is Verdict.ERROR]
    return Comparison(tuple(changed), tuple(not_remeasured), tuple(new), tuple(errors))


def _pair(row: VerdictRow) -> tuple[str, str, str]:
    """Return what was asked, of whom, on which prompts: other prompts are another question, other weights are not."""
    return row.claim, row.subject, row.prompts_hash


def _error(row: object) -> bool:
    return getattr(row, "verdict", None) is Verdict.ERROR
