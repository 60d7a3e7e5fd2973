"""verdicts.csv: whatever a row holds is in its cells, exactly; and the documentation names every column."""

from __future__ import annotations

import csv
import re
import tempfile
from pathlib import Path
from typing import Any

from generated_rows import runs
from hypothesis import given, settings
from places import ROOT

from refutable._util.atomic import unmarked
from refutable.reports.formats.verdicts_csv import COLUMNS, FILE, flat, write
from refutable.reports.journal import RunResult

NUMBERS = {
    *("value", "low", "high", "level", "n", "p", "p_refuted", "alpha", "effect_size", "e", "holm"),
    *("benjamini_hochberg", "threshold_low", "threshold_high", "seconds"),
}


def written(run: RunResult) -> list[dict[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        write(run, None, Path(folder))
        with (Path(folder) / FILE).open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))


def same(cell: str, value: Any) -> bool:
    if value is None:
        return cell == ""
    return float(cell) == value if isinstance(value, int | float) else unmarked(cell) == value


@given(runs(3))
@settings(max_examples=15, deadline=None)
def test_a_row_is_read_back_as_it_was(run: RunResult) -> None:
    lines = written(run)
    assert [line["id"] for line in lines] == [row.id for row in sorted(run.rows, key=lambda row: row.id)]
    for line, row in zip(lines, sorted(run.rows, key=lambda row: row.id), strict=True):
        expected = flat(row)
        assert set(expected) == set(COLUMNS) == set(line)
        for name in COLUMNS:
            assert same(line[name], expected[name]), name
            assert name in NUMBERS or not isinstance(expected[name], int | float), name
        assert line["decided"] == str(row.decided).lower()
        if row.estimate is not None:
            assert float(line["value"]) == row.estimate.value
        else:
            assert line["value"] == line["n"] == "", "what was not measured is never zero"


def test_thresholds_are_the_finite_ends_of_the_prediction() -> None:
    from refutable.reports.formats.verdicts_csv import _threshold

    assert _threshold("< 1") == {"threshold_low": None, "threshold_high": 1.0}
    assert _threshold(">= 0.97") == {"threshold_low": 0.97, "threshold_high": None}
    assert _threshold("within [-1, 2]") == {"threshold_low": -1.0, "threshold_high": 2.0}
    assert _threshold("parallel") == {"threshold_low": None, "threshold_high": None}


def test_the_documentation_names_every_column_in_its_order() -> None:
    page = (ROOT / "docs" / "reports.md").read_text(encoding="utf-8")
    section = page.split("## Columns of verdicts.csv")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert tuple(name for cell in cells for name in re.findall(r"`(\w+)`", cell)) == COLUMNS
