"""variations.csv (specification curves) and controls.csv.

The claim's own verdict is also a row of variations.csv, the one without changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from refutable._util.atomic import write_csv
from refutable.reports.formats import REPORTS, Report
from refutable.reports.journal import RunResult
from refutable.traces.store import Store
from refutable.verdicts.robustness import Control, Variation
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Estimate, Verdict

NUMBERS = ("value", "low", "high", "level", "n", "unit", "p", "e", "e_refuted", "statistic", "method")
_COLUMNS = {"value": "Estimate", "p": "P", "e_refuted": "E_Refuted"}
ESTIMATE_COLUMNS = tuple(_COLUMNS.get(name, name.capitalize()) for name in NUMBERS)
VARIATION_COLUMNS = ("Claim", "Subject", "Variation", "Verdict", *ESTIMATE_COLUMNS, "Why")
CONTROL_COLUMNS = ("Claim", "Subject", "Control", "Part", "Verdict", "Share", *ESTIMATE_COLUMNS, "Why")


def write_variations(run: RunResult, store: Store, folder: Path) -> None:
    """Write variations.csv: each claim that was looked at and declares variations, as it is and under each."""
    rows = (line for row in _looked(run) if row.variations for line in _variations(row))
    write_csv(folder / "variations.csv", VARIATION_COLUMNS, rows)


REPORTS.add(Report("variations.csv", write_variations))


def write_controls(run: RunResult, store: Store, folder: Path) -> None:
    """Write controls.csv: each control of each claim that was looked at, and each part of it."""
    found = ((row, *item) for row in _looked(run) for item in row.controls.items())
    rows = (line for row, name, control in found for line in _control(row, name, control))
    write_csv(folder / "controls.csv", CONTROL_COLUMNS, rows)


REPORTS.add(Report("controls.csv", write_controls))


def _looked(run: RunResult) -> list[VerdictRow]:
    return sorted((row for row in run.rows if row.verdict is not Verdict.NOT_MEASURED), key=lambda row: row.id)


def _variations(row: VerdictRow) -> Iterator[Mapping[str, object]]:
    own = Variation(row.verdict, row.why, row.estimate)
    for name, one in {"": own, **row.variations}.items():
        yield {**_found(row, one.verdict, one.why, one.estimate), "Variation": name}


def _control(row: VerdictRow, name: str, control: Control) -> Iterator[Mapping[str, object]]:
    for part, one in {"": control, **control.parts}.items():
        share = "" if one.share is None else repr(one.share)
        yield {**_found(row, one.verdict, one.why, one.estimate), "Control": name, "Part": part, "Share": share}


def _found(row: VerdictRow, verdict: Verdict, why: str, estimate: Estimate | None) -> dict[str, object]:
    numbers = (getattr(estimate, name, None) for name in NUMBERS)
    cells = ["" if number is None else number for number in numbers]
    return {
        "Claim": row.claim,
        "Subject": row.subject,
        "Verdict": str(verdict.value),
        **dict(zip(ESTIMATE_COLUMNS, cells, strict=True)),
        "Why": why,
    }
