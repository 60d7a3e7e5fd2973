"""Collects the verdicts of a run, writes the journal and, at the end, the reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from refutable.errors import BadInput
from refutable.reports.baseline import Comparison, compare
from refutable.reports.beside import Beside
from refutable.reports.formats import write_reports
from refutable.reports.formats.verdicts_json import FILE as VERDICTS
from refutable.reports.formats.verdicts_json import read_verdicts
from refutable.reports.journal import JOURNAL, Check, Journal, RunResult, read_journal
from refutable.traces.store import Store
from refutable.verdicts.contradictions import contradictions
from refutable.verdicts.looks import Look, merged
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
        rows: verdicts, by case id.
        checks: tests that are not claims, and contradictions between verdicts.
        contradictions: a message for each pair of supported claims that cannot both hold.
        earlier: the looks before this run, by what was looked at.
    """

    folder: Path
    provenance: Mapping[str, Any]
    baseline: RunResult | None = None
    selected: set[str] = field(default_factory=set)
    rows: dict[str, VerdictRow] = field(default_factory=dict)
    checks: dict[str, Check] = field(default_factory=dict)
    comparison: Comparison | None = None
    missing: tuple[str, ...] = ()
    stopped: bool = False
    problem: str = ""
    unwritten: str = ""
    crashed: bool = False
    contradictions: list[str] = field(default_factory=list)
    earlier: Mapping[tuple[str, ...], tuple[Look, ...]] = field(default_factory=dict)
    _journal: Journal = field(init=False)

    def __post_init__(self) -> None:
        self._journal = Journal(self.folder / JOURNAL, self.provenance)

    @classmethod
    def open(cls, folder: Path, provenance: Mapping[str, Any], baseline: Path | None) -> Recorder:
        """Open a recorder.

        Raises:
            BadInput: the baseline cannot be used, or the folder cannot be written to.
        """
        published = read_verdicts(baseline) if baseline is not None else None
        try:
            earlier = merged(*map(_looks_of, (*_runs_in(folder), *([published] if published is not None else []))))
            return cls(folder, provenance, published, earlier=earlier)
        except OSError as error:
            problem = f"{folder}: reports cannot be written there ({error.strerror}); name another --reports"
            raise BadInput(problem) from None

    def verdict(self, row: VerdictRow) -> None:
        """Add a verdict, with the looks before it."""
        row = row.after(self.earlier.get(row.looked_at, ()))
        self.rows[row.id] = row
        self._journalled(self._journal.verdict, row)

    def check(self, check: Check) -> None:
        """Add the outcome of a test that is not a claim."""
        self.checks[check.name] = check
        self._journalled(self._journal.check, check)

    def _journalled(self, write: Callable[[Any], None], what: VerdictRow | Check) -> None:
        """Write to the journal; what a full disk has no room for is kept in memory, for the reports."""
        try:
            write(what)
        except OSError as error:
            self.unwritten = self.unwritten or f"{self.folder / JOURNAL}: cannot be written ({error.strerror})"

    @property
    def run(self) -> RunResult:
        """Everything so far, with p-values adjusted over their families."""
        rows = adjust(self.rows.values(), self.provenance.get(KEY, {}))
        return RunResult(self.provenance, rows, tuple(self.checks.values()), self.complete)

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
        self._journalled(lambda _: self._journal.close(complete=self.complete), Check("", "passed", "", 0.0))
        try:
            shown_with = beside()
        except BadInput as error:
            self.problem, shown_with = str(error), Beside()
        run = replace(self.run, beside=replace(shown_with, baseline=self.baseline))
        try:
            write_reports(run, store, self.folder)
        except BadInput as error:
            self.problem = "\n".join(filter(None, (self.problem, str(error))))
        self.problem = "\n".join(filter(None, (self.unwritten, self.problem)))
        if self.baseline is not None:
            self.comparison = compare(self.run, self.baseline)

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


def _runs_in(folder: Path) -> Iterator[RunResult]:
    """Yield the runs whose reports lie in a folder, as far as they can be read."""
    for name, read in ((JOURNAL, read_journal), (VERDICTS, read_verdicts)):
        with suppress(BadInput):
            if (folder / name).is_file():
                yield read(folder / name)


def _looks_of(run: RunResult) -> dict[tuple[str, ...], tuple[Look, ...]]:
    return {row.looked_at: row.looks for row in run.rows if row.looks}
