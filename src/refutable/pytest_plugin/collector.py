"""Passes verdicts and other test outcomes to the recorder, on the process that writes the reports."""

from __future__ import annotations

import pytest

from refutable.pytest_plugin.state import RECORDER, ROW_ATTRIBUTE, case_id, session_of
from refutable.reports.journal import Check
from refutable.verdicts.judge import Judgement
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Verdict


class Collector:
    """A separate plugin, so that it exists only on the process that writes the reports."""

    def __init__(self, config: pytest.Config) -> None:
        self._recorder = config.stash[RECORDER]
        self._cases = {case.id: case for case in session_of(config).cases}
        self._worst: dict[str, Check] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record a verdict, or the outcome of a test that is not a claim.

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
        case = self._cases.get(case_id(report.nodeid))
        message = str(report.longrepr)
        if case is None:
            self._recorder.check(Check(report.nodeid, "error", message, 0.0))
            return
        judgement = Judgement(Verdict.ERROR, "-", f"the worker process died: {message}")
        claim = case.claim
        about = {"statement": claim.statement, "evidence": claim.evidence, "alpha": claim.alpha}
        row = VerdictRow.of(judgement, case=case.id, claim=claim.id, subject=case.subject, about=about)
        self._recorder.verdict(row)

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
