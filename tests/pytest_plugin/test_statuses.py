"""Verdicts as statuses: which reports have them, and the last line of a run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from _pytest.terminal import TerminalReporter

from refutable.pytest_plugin.statuses import EXIT_STATUS, OUTCOMES, STATUSES, status_of, verdicts_first
from refutable.verdicts.verdict import Verdict


def report(verdict: str | None, outcome: str, **told: object) -> Any:
    named = {} if verdict is None else {"refutable_verdict": verdict}
    return SimpleNamespace(outcome=outcome, when="call", **named, **told)


@pytest.mark.parametrize("verdict", STATUSES)
def test_a_verdict_has_a_letter_and_a_word_of_its_own(verdict: Verdict) -> None:
    category, letter, (word, _) = status_of(report(str(verdict), OUTCOMES[verdict]))  # type: ignore[misc]
    assert (category, word) == (verdict.lower().replace("_", " "), verdict.replace("_", " "))
    assert letter == {"REFUTED": "R", "SUPPORTED": "S", "INCONCLUSIVE": "I", "NOT_MEASURED": "-"}[verdict]


@pytest.mark.parametrize(
    "other",
    [
        report(None, "failed"),
        report("ERROR", "failed"),
        report("SUPPORTED", "failed"),  # something else in the test failed
        report("REFUTED", "skipped", wasxfail="a known fault"),
    ],
)
def test_what_is_no_verdicts_outcome_keeps_pytests_word(other: Any) -> None:
    assert status_of(other) is None


class Reporter:
    """As much of pytest's reporter as its last line needs, computed by pytest itself."""

    def __init__(self, stats: dict[str, int], status: int) -> None:
        self.stats = {category: [SimpleNamespace()] * count for category, count in stats.items()}
        self.config = SimpleNamespace(stash=pytest.Stash())
        self.config.stash[EXIT_STATUS] = status

    def build_summary_stats_line(self) -> tuple[list[tuple[str, dict[str, bool]]], str]:
        self._main_color, self._known_types, self._is_last_item = None, None, True
        for name in ("_get_main_color", "_set_main_color", "_determine_main_color", "_get_reports_to_display"):
            setattr(self, name, getattr(TerminalReporter, name).__get__(self))
        return TerminalReporter._build_normal_summary_stats_line(self)  # type: ignore[arg-type]

    def line(self) -> tuple[str, str]:
        verdicts_first(self)  # type: ignore[arg-type]
        parts, colour = self.build_summary_stats_line()
        return ", ".join(text for text, _ in parts), colour


@pytest.mark.parametrize(
    ("stats", "status", "line"),
    [
        (
            {"": 9, "not measured": 4, "passed": 2, "supported": 3, "refuted": 1, "inconclusive": 2, "deselected": 5},
            0,
            ("1 refuted, 3 supported, 2 inconclusive, 4 not measured, 2 passed, 5 deselected", "green"),
        ),
        ({"refuted": 1}, 1, ("1 refuted", "red")),
        ({"supported": 1, "error": 1}, 1, ("1 supported, 1 error", "red")),
        ({"supported": 1}, 6, ("1 supported", "red")),  # too few verdicts
        ({"not measured": 1}, 0, ("1 not measured", "yellow")),
        ({"supported": 1, "warnings": 2}, 0, ("1 supported, 2 warnings", "yellow")),
        ({"passed": 3}, 0, ("3 passed", "green")),
    ],
)
def test_the_last_line_counts_verdicts_first_in_the_colour_of_the_exit_status(
    stats: dict[str, int], status: int, line: tuple[str, str]
) -> None:
    assert Reporter(stats, status).line() == line
