"""Packages the rates that docs/calibration.md shows, for the figure `calibration`.

Run it after the table there was brought up to date: python -m benchmarks.calibration.packaged
"""

from __future__ import annotations

from pathlib import Path

from refutable._util.atomic import write_csv

ROOT = Path(__file__).parents[2]
DOCS, PACKAGED = ROOT / "docs" / "calibration.md", ROOT / "src" / "refutable" / "data" / "calibration.csv"
COLUMNS = ("statistic", "data", "n", "supported", "refuted", "not_fitted", "bare_rule", "outcome")


def shown_rates() -> list[dict[str, str]]:
    """Return the rows of the table in docs/calibration.md; rates in per cent, at alpha 5 %."""
    lines = [line for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:])
    return [dict(zip(COLUMNS, row, strict=True)) for row in cells]


if __name__ == "__main__":
    write_csv(PACKAGED, COLUMNS, shown_rates())
