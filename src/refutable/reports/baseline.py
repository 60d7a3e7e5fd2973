"""Compares a run with a published one, verdict by verdict."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Verdict

if TYPE_CHECKING:
    from refutable.reports.journal import RunResult


@dataclass(frozen=True, slots=True)
class Comparison:
    """A run against its baseline; each entry is one line of text.

    Attributes:
        changed: cases whose verdict changed.
        other_weights: cases of the same name, measured on other weights than the baseline's, so that nothing changed.
        not_remeasured: cases measured in the baseline but not in this run.
        new: cases measured now but not in the baseline.
        errors: cases that came out ERROR, which always fails.
        not_selected: cases measured in the baseline that this run was not asked to try.
    """

    changed: tuple[str, ...]
    other_weights: tuple[str, ...]
    not_remeasured: tuple[str, ...]
    new: tuple[str, ...]
    errors: tuple[str, ...]
    not_selected: tuple[str, ...] = ()

    @property
    def fails(self) -> bool:
        """Whether the exit status must say so."""
        return bool(self.changed or self.errors)


def compare(run: RunResult, baseline: RunResult, unselected: Collection[str] = ()) -> Comparison:
    """Compare a run with a baseline.

    Args:
        run: the run.
        baseline: what it is compared with.
        unselected: ids of the cases that the run was not asked to try.
    """
    now = {row.identity: row for row in run.rows}
    then = {row.identity: row for row in baseline.rows}
    measured_now = {_pair(row) for row in run.rows if row.verdict.looked}
    both = [(then[key], row) for key, row in now.items() if key in then]
    changed = [
        f"{row.id} ({row.weights_kind}): {old.verdict.value} -> {row.verdict.value}"
        for old, row in both
        if row.verdict is not old.verdict
        and Verdict.NOT_MEASURED not in (row.verdict, old.verdict)
        and not row.unlike(old)
    ]
    other_weights = [
        f"{row.id} ({row.weights_kind}): {old.verdict.value} on {old.hashes(names)}; {row.verdict.value} on"
        f" {row.hashes(names)}"
        for old, row in both
        if row.verdict.looked and old.verdict.looked and (names := row.unlike(old))
    ]
    absent = [
        row
        for key, row in then.items()
        if row.verdict.looked
        and (key not in now or now[key].verdict is Verdict.NOT_MEASURED)
        and _pair(row) not in measured_now
    ]
    not_remeasured = [f"{row.id} ({row.weights_kind})" for row in absent if row.id not in unselected]
    not_selected = [f"{row.id} ({row.weights_kind})" for row in absent if row.id in unselected]
    new = [
        f"{row.id} ({row.weights_kind}): {row.verdict.value}"
        for key, row in now.items()
        if row.verdict.looked and (key not in then or not then[key].verdict.looked)
    ]
    errors = [f"{row.id}: {row.why}" for row in run.rows if row.verdict is Verdict.ERROR]
    return Comparison(*(tuple(found) for found in (changed, other_weights, not_remeasured, new, errors, not_selected)))


def _pair(row: VerdictRow) -> tuple[str, str, str]:
    """Return claim, subject and prompts: other prompts ask another question, other weights do not."""
    return row.claim, row.subject, row.prompts_hash
