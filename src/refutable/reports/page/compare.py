"""Two runs side by side: verdicts that changed and estimates that moved, each pair on one axis."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from refutable._util.text import counted
from refutable.reports.diff import Change, differences
from refutable.reports.journal import RunResult
from refutable.reports.page.answers import Answer, answer, axis_of_rows
from refutable.reports.page.words import day
from refutable.verdicts.row import tally

_TITLES = {
    "error": "Errors",
    "verdict": "Verdicts that changed",
    "moved": "Estimates that moved",
    "other weights": "Measured on other weights",
    "only in A": "Looked at in the first run only",
    "only in B": "Looked at in the second run only",
    "labels": "Other labels",
    "controls": "Other controls",
    "variations": "Other variations",
}


@dataclass(frozen=True, slots=True)
class Pair:
    """One case in both runs: its statement and how it stood and stands; None where a run did not look at it."""

    id: str
    claim: str
    statement: str
    before: Answer | None
    after: Answer | None
    labels: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Group:
    """The cases that differ in one way."""

    key: str
    title: str
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class CompareView:
    """Two runs side by side: a sentence, each run's start and verdicts, and what differs."""

    sentence: str
    runs: tuple[tuple[str, str, str], ...]
    groups: tuple[Group, ...]


def compare_view(before: RunResult, after: RunResult, names: tuple[str, str] = ("A", "B")) -> CompareView:
    """Return two runs side by side."""
    changes = differences(before, after)
    groups = tuple(
        Group(kind, title, tuple(_pair(one) for one in changes if one.kind == kind))
        for kind, title in _TITLES.items()
        if any(one.kind == kind for one in changes)
    )
    return CompareView(
        sentence=_sentence(changes),
        runs=tuple(
            (name, day(run.provenance.get("started")), _counts(run))
            for name, run in zip(names, (before, after), strict=True)
        ),
        groups=groups,
    )


def _sentence(changes: Iterable[Change]) -> str:
    kinds = [one.kind for one in changes]
    verdicts, moved = kinds.count("verdict"), kinds.count("moved")
    if not verdicts and not moved:
        return "No verdict changed and no estimate moved."
    told = counted(verdicts, "verdict") if verdicts else "No verdict"
    return f"{told} changed, and {counted(moved, 'estimate')} moved."


def _counts(run: RunResult) -> str:
    return ", ".join(f"{n} {name}" for name, n in tally(run.rows).items()) or "no verdict"


def _pair(change: Change) -> Pair:
    rows = [row for row in (change.before, change.after) if row is not None]
    axis = axis_of_rows(rows)
    before, after = (answer(row, -1, axis) if row is not None else None for row in (change.before, change.after))
    told = [", ".join(row.labels) if row is not None else "" for row in (change.before, change.after)]
    row = change.row
    return Pair(row.id, row.claim, str(row.about["statement"]), before, after, (told[0], told[1]))
