"""Collects the verdicts of a run, writes the journal and, at the end, the reports."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from refutable.errors import BadInput
from refutable.reports.baseline import Comparison, compare
from refutable.reports.beside import Beside
from refutable.reports.earlier_looks import looks_of, read_looks, write_looks
from refutable.reports.formats.verdicts_json import read_verdicts
from refutable.reports.journal import JOURNAL, Check, Journal, RunResult
from refutable.reports.runs import KEY as RUN
from refutable.reports.runs import begin, keep_journal, new_name, share_journal, write_kept
from refutable.reports.selection import Selection
from refutable.traces.store import Store
from refutable.verdicts.contradictions import contradictions
from refutable.verdicts.looks import History, merged
from refutable.verdicts.multiplicity import KEY, adjust
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Verdict

SHORTFALL = 6


@dataclass(slots=True)
class Recorder:
    """The run so far.

    Attributes:
        folder: where reports go.
        provenance: what would make two runs differ.
        baseline: the run to compare with, or None.
        selected: ids of the selected cases.
        unselected: ids of all others.
        selection: how many were selected, and by what.
        rows: verdicts, by case id.
        checks: tests that are not claims, and contradictions between verdicts.
        contradictions: a message for each pair of supported claims that cannot both hold.
        earlier: the looks before this run, by what was looked at.
    """

    folder: Path
    provenance: Mapping[str, Any]
    baseline: RunResult | None = None
    selected: set[str] = field(default_factory=set)
    unselected: set[str] = field(default_factory=set)
    selection: Selection | None = None
    rows: dict[str, VerdictRow] = field(default_factory=dict)
    checks: dict[str, Check] = field(default_factory=dict)
    comparison: Comparison | None = None
    missing: tuple[str, ...] = ()
    stopped: bool = False
    problem: str = ""
    unwritten: str = ""
    crashed: bool = False
    contradictions: list[str] = field(default_factory=list)
    earlier: History = field(default_factory=dict)
    _journal: Journal = field(init=False)
    _own: Path = field(init=False)

    def __post_init__(self) -> None:
        name = new_name(self.folder, self.provenance)
        self.provenance = {**self.provenance, RUN: name}
        self._own = begin(self.folder, name)
        try:
            self._journal = Journal(self.folder / JOURNAL, self.provenance)
        except BaseException:
            self._own.rmdir()
            raise
        share_journal(self.folder, self._own)

    @classmethod
    def open(cls, folder: Path, provenance: Mapping[str, Any], baseline: Path | None) -> Recorder:
        """Open a recorder.

        Raises:
            BadInput: the baseline cannot be used, or the folder cannot be written to.
        """
        published = read_verdicts(baseline) if baseline is not None else None
        try:
            earlier = merged(read_looks(folder), looks_of(published) if published is not None else {})
            found = cls(folder, provenance, published, earlier=earlier)
            write_looks(folder, earlier)
            return found
        except OSError as error:
            problem = f"{folder}: reports cannot be written there ({error.strerror}); name another --reports"
            raise BadInput(problem) from None

    def select(self, ids: Collection[str], known: Collection[str], by: tuple[str, ...]) -> None:
        """Learn which of all known cases are selected, and by what; each worker of xdist says so."""
        self.selected |= set(ids)
        self.unselected = set(known) - self.selected
        selection = Selection(cases=len(self.selected), of=len(self.selected | set(known)), by=by)
        if selection != self.selection:
            self.selection = selection
            self._journalled(self._journal.selection, selection)

    def verdict(self, row: VerdictRow) -> None:
        """Add a verdict, with the looks before it."""
        row = row.after(self.earlier.get(row.looked_at, ()))
        self.rows[row.id] = row
        self._journalled(self._journal.verdict, row)

    def check(self, check: Check) -> None:
        """Add the outcome of a test that is not a claim."""
        self.checks[check.name] = check
        self._journalled(self._journal.check, check)

    def _journalled(self, write: Callable[[Any], None], what: object) -> None:
        """Write to the journal; what a full disk has no room for is kept in memory, for the reports."""
        try:
            write(what)
        except OSError as error:
            self.unwritten = self.unwritten or f"{self.folder / JOURNAL}: cannot be written ({error.strerror})"

    @property
    def run(self) -> RunResult:
        """Everything so far, with p-values adjusted over their families."""
        rows = adjust(self.rows.values(), self.provenance.get(KEY, {}))
        checks = tuple(self.checks.values())
        return RunResult(self.provenance, rows, checks, self.complete, self.selection, self.comparison)

    @property
    def complete(self) -> bool:
        """Whether every selected case left a verdict of its own, and each is in the journal."""
        return not (self.missing or self.stopped or self.unwritten or self.crashed)

    def close(
        self,
        store: Store,
        lost: Callable[[str], VerdictRow | None],
        *,
        stopped: bool,
        beside: Callable[[], Beside] = Beside,
    ) -> None:
        """Write every report.

        Args:
            store: has the measurements.
            lost: gives the row, an ERROR, of a case that was to be tried and left no verdict; None where nobody is to
                blame but the user, who stopped the run.
            stopped: whether the run did not come to its end.
            beside: returns what the run is shown with, but for its baseline; raises BadInput.
        """
        missing = sorted(self.selected - set(self.rows))
        self.stopped = stopped and (not self.rows or bool(missing))
        rows = [row for case in missing if (row := lost(case)) is not None]
        self.missing = tuple(row.id for row in rows)
        for row in rows:
            self.verdict(row)
        for pair in contradictions(self.rows.values()):
            self.contradictions.append(pair.message)
            self.check(Check(pair.name, "error", pair.message, 0.0))
        if self.baseline is not None:
            self.comparison = compare(self.run, self.baseline, self.unselected)
            self._journalled(self._journal.comparison, self.comparison)
        self._journalled(lambda _: self._journal.close(complete=self.complete), None)
        keep_journal(self.folder, self._own)
        try:
            shown_with = beside()
        except BadInput as error:
            self.problem, shown_with = str(error), Beside()
        run = replace(self.run, beside=replace(shown_with, baseline=self.baseline))
        try:
            write_kept(run, store, self.folder)
        except BadInput as error:
            self.problem = "\n".join(filter(None, (self.problem, str(error))))
        self.problem = "\n".join(filter(None, (self.unwritten, self.problem)))

    def exit_status(self, status: int, require_verdicts: int | None, require_decided: int | None) -> int:
        """Return the exit status of the run, given pytest's own and how many cases must be looked at and decided."""
        if status not in (0, 1, 5):
            return status
        if self.comparison is not None and status == 1 and not self.stopped and not self._broken():
            status = 0
        if self.comparison is not None and self.comparison.fails:
            status = 1
        if self.missing or self.problem or self.contradictions:
            status = 1
        looked = sum(row.verdict.looked for row in self.rows.values())
        decided = sum(row.decided for row in self.rows.values())
        short = (require_verdicts is not None and looked < require_verdicts) or (
            require_decided is not None and decided < require_decided
        )
        return SHORTFALL if short else status

    def _broken(self) -> bool:
        """Whether anything failed other than a refuted claim."""
        errors = any(row.verdict is Verdict.ERROR for row in self.rows.values())
        return errors or any(check.outcome in ("failed", "error") for check in self.checks.values())
