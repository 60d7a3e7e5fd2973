"""The end of a run on the terminal: evidence, what `-r` asks for, the verdicts, and where the reports are."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator, Iterator

import pytest

from refutable.pytest_plugin.lines import closing_lines
from refutable.pytest_plugin.state import case_id
from refutable.pytest_plugin.statuses import STATUSES, verdicts_first
from refutable.reports.recorder import Recorder
from refutable.reports.terminal import Chosen, evidence_blocks, render
from refutable.verdicts.verdict import Verdict

_DEFAULT = "fE"  # pytest's own -r: refuted claims have their lines in the table of verdicts
_NO_BLOCKS = ("no", "line")
_OWN = {"f": "failed", "E": "error", "s": "skipped", "x": "xfailed", "X": "xpassed", "p": "passed"}


class Summary:
    """A separate plugin, so that it exists only on the process that writes the reports."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, config: pytest.Config
    ) -> Generator[None, None, None]:
        """Show the verdicts after all that pytest and other plugins show.

        https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_terminal_summary
        """
        verdicts_first(terminalreporter)
        passed = terminalreporter.stats.get("passed", [])
        asked = "" if config.option.reportchars == _DEFAULT else terminalreporter.reportchars
        if "p" in asked.lower():
            terminalreporter.stats["passed"] = [*passed, *terminalreporter.stats.get("supported", [])]
        yield
        terminalreporter.stats["passed"] = passed
        if not config.option.no_summary:
            _asked_for(terminalreporter, asked)
            self._evidence(terminalreporter)
        self._verdicts(terminalreporter)

    def _evidence(self, reporter: pytest.TerminalReporter) -> None:
        """Show the evidence of what was chosen, with what its test printed."""
        option = reporter.config.option
        by_name = bool(option.keyword) or any("::" in arg for arg in reporter.config.args)
        rows = Chosen(by_name, option.verbose).rows(self._recorder.run.rows)
        if not rows or option.tbstyle in _NO_BLOCKS:
            return
        printed = {
            case_id(report.nodeid): report for name, *_ in STATUSES.values() for report in reporter.stats.get(name, ())
        }
        width, colour = _look(reporter)
        reporter.write_sep("=", "evidence")
        for row, block in zip(rows, evidence_blocks(rows, width=width, colour=colour), strict=True):
            reporter.line("") if row is not rows[0] else None
            _write(reporter, block)
            for name, text in printed[row.id].sections if row.id in printed else ():
                if option.showcapture == "all" or option.showcapture in name:
                    reporter.write_sep("-", name)
                    _write(reporter, text)

    def _verdicts(self, reporter: pytest.TerminalReporter) -> None:
        """Show the verdicts, whatever went wrong, how they compare to the baseline, and where the reports are."""
        recorder, verbosity = self._recorder, reporter.config.option.verbose
        closing, (width, colour) = tuple(closing_lines(recorder)), _look(reporter)
        shown = render(recorder.run, recorder.comparison, closing, width=width, colour=colour, in_full=verbosity > 0)
        reporter.write_sep("=", "verdicts")
        _write(reporter, shown)
        page = recorder.folder / "index.html"
        word, where = ("page", page) if page.is_file() else ("reports", recorder.folder)
        reporter.write_line(f"{word}: {os.path.relpath(where, reporter.config.invocation_params.dir)}")


def _asked_for(reporter: pytest.TerminalReporter, asked: str) -> None:
    """Show the lines that `-r` asks for: a refuted claim is among the failed, an undecided one among the skipped."""
    lines = [
        *(_lines(reporter, Verdict.REFUTED) if "f" in asked else ()),
        *(_lines(reporter, Verdict.INCONCLUSIVE) if "s" in asked else ()),
        *(_folded(reporter, Verdict.NOT_MEASURED) if "s" in asked else ()),
    ]
    if lines and not any(reporter.stats.get(_OWN[char]) for char in reporter.reportchars if char in _OWN):
        reporter.write_sep("=", "short test summary info", cyan=True, bold=True)
    for line in lines:
        reporter.write_line(line)


def _lines(reporter: pytest.TerminalReporter, verdict: Verdict) -> Iterator[str]:
    category, _, (word, markup) = STATUSES[verdict]
    for report in reporter.stats.get(category, ()):
        yield f"{reporter._tw.markup(word, **markup)} {report.nodeid} - {_reason(report)}"


def _folded(reporter: pytest.TerminalReporter, verdict: Verdict) -> Iterator[str]:
    category, _, (word, markup) = STATUSES[verdict]
    for reason, count in Counter(map(_reason, reporter.stats.get(category, ()))).items():
        yield f"{reporter._tw.markup(word, **markup)} [{count}] {reason}"


def _reason(report: pytest.TestReport) -> str:
    """Return the first line of what a report says, without the verdict's own word."""
    told = str(report.longrepr[-1]) if isinstance(report.longrepr, tuple) else report.longreprtext
    return told.split("\n")[0].removeprefix("Skipped: ").partition(": ")[2]


def _look(reporter: pytest.TerminalReporter) -> tuple[int, bool]:
    """Return the terminal's width, and whether it shows colours."""
    return reporter._tw.fullwidth, reporter._tw.hasmarkup


def _write(reporter: pytest.TerminalReporter, text: str) -> None:
    for line in text.removesuffix("\n").split("\n"):
        reporter.write_line(line)
