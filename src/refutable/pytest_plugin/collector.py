"""Passes verdicts and other test outcomes to the recorder, on the process that writes the reports."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import pytest

from refutable.claims.cases import Case
from refutable.errors import BadInput
from refutable.pytest_plugin.command_line import selected_by
from refutable.pytest_plugin.state import RECORDER, ROW_ATTRIBUTE, case_id, session_of
from refutable.reports.journal import Check
from refutable.verdicts.judge import Judgement
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Verdict


class Collector:
    """A separate plugin, so that it exists only on the process that writes the reports."""

    def __init__(self, config: pytest.Config) -> None:
        self._recorder = config.stash[RECORDER]
        self._session = session_of(config)
        self._cases = {case.id: case for case in self._session.cases}
        self._by = selected_by(config)
        self._worst: dict[str, Check] = {}
        self.died = ""

    def select(self, ids: Collection[str]) -> None:
        """Learn which cases are selected, before the first is tried.

        Raises:
            pytest.UsageError: a model that the user named is in none of them.
        """
        self._recorder.select(ids, self._cases.keys(), self._by)
        try:
            if ids:  # other tests may be about it in their own way
                self._session.check_named(self._cases[one] for one in ids)
        except BadInput as error:
            raise pytest.UsageError(str(error)) from None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record a verdict, or the outcome of a test that is not a claim; first, so that what is printed is kept.

        https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_runtest_logreport
        """
        row = getattr(report, ROW_ATTRIBUTE, None)
        if row is not None:
            self._recorder.verdict(VerdictRow.from_dict(row))
        elif report.when not in ("setup", "call", "teardown"):
            self._crashed(report)
        elif case_id(report.nodeid) not in self._cases:
            self._check(report)

    def _crashed(self, report: pytest.TestReport) -> None:
        """Record what xdist reports in the name of a worker that died; a verdict that it had come to stands."""
        case, message = self._cases.get(case_id(report.nodeid)), str(report.longrepr)
        if case is None or case.id in self._recorder.rows:
            self._recorder.check(Check(report.nodeid, "error", message, 0.0))
        else:
            self._recorder.verdict(self._error(case, f"the worker process died: {message}"))
            self._recorder.crashed = True

    def lost(self, case: str) -> VerdictRow | None:
        """Return the row of a case that was selected and left no verdict, where a worker that died is to blame."""
        if not self.died:
            return None
        return self._error(self._cases[case], f"it was never tried: {self.died}")

    def _error(self, case: Case, why: str) -> VerdictRow:
        claim = case.claim
        about = {"statement": claim.statement, "evidence": claim.evidence, "alpha": claim.alpha}
        judgement = Judgement(Verdict.ERROR, "-", why)
        return VerdictRow.of(judgement, case=case.id, claim=claim.id, subject=case.subject, about=about)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Learn from an xdist worker which cases are selected, before the first is tried."""
        self.select({case_id(nodeid) for nodeid in ids} & self._cases.keys())

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object | None) -> None:
        """Learn that an xdist worker died."""
        if error is not None:
            self.died = f"worker {node.gateway.id} died ({error})"

    def _check(self, report: pytest.TestReport) -> None:
        """Keep the worst outcome of a test's three phases, and record it after the last one."""
        known = self._worst.pop(report.nodeid, Check(report.nodeid, "passed", "", 0.0))
        outcome, message = known.outcome, known.message
        if report.failed:
            outcome, message = ("failed" if report.when == "call" else "error"), report.longreprtext
        elif report.skipped:
            reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr
            outcome, message = "skipped", str(reason)
        check = Check(report.nodeid, outcome, message, known.seconds + report.duration)
        if report.when == "teardown":
            self._recorder.check(check)
        else:
            self._worst[report.nodeid] = check


COLLECTOR = pytest.StashKey[Collector]()
