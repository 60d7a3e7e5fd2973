"""Verdicts as statuses of their own: the letters and words of a run, and its last line."""

from __future__ import annotations

import pytest

from refutable.verdicts.verdict import Verdict

VERDICT_ATTRIBUTE = "refutable_verdict"
"""Of the report that a verdict turned into an outcome: its word, which xdist can carry."""

Status = tuple[str, str, tuple[str, dict[str, bool]]]
STATUSES: dict[Verdict, Status] = {
    Verdict.REFUTED: ("refuted", "R", ("REFUTED", {"red": True})),
    Verdict.SUPPORTED: ("supported", "S", ("SUPPORTED", {"green": True})),
    Verdict.INCONCLUSIVE: ("inconclusive", "I", ("INCONCLUSIVE", {"yellow": True})),
    Verdict.NOT_MEASURED: ("not measured", "-", ("NOT MEASURED", {"light": True})),
}
"""Category, letter and coloured word; an ERROR has those of pytest."""
OUTCOMES = {
    Verdict.REFUTED: "failed",
    Verdict.SUPPORTED: "passed",
    Verdict.INCONCLUSIVE: "skipped",
    Verdict.NOT_MEASURED: "skipped",
}
EXIT_STATUS = pytest.StashKey[int]()


def status_of(report: pytest.CollectReport | pytest.TestReport) -> Status | None:
    """Return a verdict's status, or None where pytest has the word.

    That is a test without a verdict, and one that did not end as its verdict would have it: it was marked `xfail`, or
    failed by itself.
    """
    verdict = getattr(report, VERDICT_ATTRIBUTE, None)
    if verdict is None or hasattr(report, "wasxfail") or report.outcome != OUTCOMES.get(Verdict(verdict)):
        return None
    return STATUSES[Verdict(verdict)]


def verdicts_first(reporter: pytest.TerminalReporter) -> None:
    """Let the last line begin with the verdicts, in the colour of the exit status.

    pytest counts categories that are not its own after the others, in the order in which they came up, and is yellow
    whenever there is one.
    """
    as_pytest_does = reporter.build_summary_stats_line

    def parts() -> tuple[list[tuple[str, dict[str, bool]]], str]:
        found, colour = as_pytest_does()
        counts = {
            f"{len(reporter.stats[category])} {category}": word
            for category, _, word in STATUSES.values()
            if reporter.stats.get(category)
        }
        if not counts:
            return found, colour
        verdicts = [(text, {**markup, "bold": word == "REFUTED"}) for text, (word, markup) in counts.items()]
        return [*verdicts, *(part for part in found if part[0] not in counts)], _main_colour(reporter, colour)

    setattr(reporter, "build_summary_stats_line", parts)  # noqa: B010 - mypy knows methods of instances as fixed


def _main_colour(reporter: pytest.TerminalReporter, colour: str) -> str:
    """Return green for a run that ends well, although claims may be refuted, and red for one that does not."""
    status = reporter.config.stash.get(EXIT_STATUS, None)
    if status is None or colour == "red":
        return colour
    if status:
        return "yellow" if status == pytest.ExitCode.NO_TESTS_COLLECTED else "red"
    decided = any(reporter.stats.get(category) for category in ("refuted", "supported", "passed"))
    return "green" if decided and "warnings" not in reporter.stats else "yellow"
