"""Answers: verdicts as the page shows them, in the matrix and at its top."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from refutable.reports.page.axis import Axis, Bar, axis_of, bar_of, region_of
from refutable.reports.page.words import Origin, found, kind_of_label, models_of, origin_of, subject_of, units
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Estimate, Verdict

MARKS = {
    Verdict.SUPPORTED: "✓",
    Verdict.REFUTED: "✗",
    Verdict.INCONCLUSIVE: "?",
    Verdict.NOT_MEASURED: "·",
    Verdict.ERROR: "!",
}
LOOKED_FIRST = (Verdict.REFUTED, Verdict.SUPPORTED, Verdict.INCONCLUSIVE, Verdict.ERROR, Verdict.NOT_MEASURED)


@dataclass(frozen=True, slots=True)
class Answer:
    """One verdict, or one control of it, in words and as a drawing.

    Attributes:
        row: where it comes from.
        number: its place among the page's answers; -1 for a control, which has none.
        subject: what it is on, in a few words.
        origin: where its numbers come from.
        verdict: the verdict's name.
        found: estimate and interval, or what was seen.
        units: how many units that is of.
        why: the evidence in a line.
        bar: how it lies against the threshold, if it is a number.
    """

    row: VerdictRow
    number: int
    subject: str
    origin: Origin
    verdict: str
    found: str
    units: str
    why: str
    bar: Bar | None

    @property
    def mark(self) -> str:
        """The verdict's sign, beside its word."""
        return MARKS[Verdict(self.verdict)]

    @property
    def models(self) -> str:
        """Every model it is on, by name."""
        return self.row.subject

    @property
    def label_kinds(self) -> tuple[str, ...]:
        """Its labels without their numbers."""
        return tuple(dict.fromkeys(kind_of_label(label) for label in self.row.labels))

    @property
    def column(self) -> str:
        """The matrix's column that it stands in: a model's name, ``several models`` or ``mathematics``."""
        models = models_of(self.row)
        return models[0] if len(models) == 1 else "several models" if models else "mathematics"

    @property
    def told(self) -> str:
        """It in one line: ``REFUTED on gptj (published table): 1.065 [1.06, 1.07], predicted < 1``."""
        text = f"{self.verdict} on {self.subject} ({self.origin.name})"
        return f"{text}: {self.found}, predicted {self.row.predicts}" if self.found and self.bar else text


def answer(row: VerdictRow, number: int, axis: Axis | None) -> Answer:
    """Return a verdict as the page shows it."""
    return Answer(
        row=row,
        number=number,
        subject=subject_of(row),
        origin=origin_of(row),
        verdict=row.verdict.value,
        found=found(row.estimate) or row.details.get("seen", ""),
        units=units(row.estimate),
        why=row.why,
        bar=bar_of(axis, row.estimate),
    )


def axis_of_rows(rows: Sequence[VerdictRow]) -> Axis | None:
    """Return the axis that a claim's verdicts share."""
    return axis_of(region_of(rows[0].predicts) if rows else None, _estimates(rows))


def _estimates(rows: Iterable[VerdictRow]) -> Iterable[Estimate | None]:
    for row in rows:
        yield row.estimate
        for control in row.controls.values():
            yield control.estimate


def in_order(answers: Iterable[Answer]) -> list[Answer]:
    """Return answers with those measured here first, and of each origin the decided ones."""
    origins = {"measured": 0, "twin": 1, "table": 2, "probe": 3, "fact": 4, "reason": 5, "drawn": 6}
    return sorted(
        answers,
        key=lambda one: (origins[one.origin.key], LOOKED_FIRST.index(Verdict(one.verdict)), one.number),
    )
