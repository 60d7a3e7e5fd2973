"""Verdicts as a pandas table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refutable._util import extras
from refutable.reports.journal import RunResult

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("value", "low", "high", "level", "n", "unit", "p", "p_refuted", "e", "e_refuted", "effect_size")
ABOUT = ("statement", "evidence", "alpha")
WEIGHTS = ("weights_kind", "weights_detail", "dtype", "device", "tokens", "prompt_set")


def verdicts_frame(run: RunResult) -> pd.DataFrame:
    """Return a row for each verdict of a run."""
    rows = [
        {
            "id": row.id,
            "claim": row.claim,
            "subject": row.subject,
            "verdict": row.verdict.value,
            **{name: getattr(row.estimate, name, None) for name in COLUMNS},
            "predicts": row.predicts,
            "labels": ", ".join(row.labels),
            "why": row.why,
            **{name: row.about.get(name) for name in ABOUT},
            **{name: row.weights.get(name) for name in WEIGHTS},
        }
        for row in run.rows
    ]
    frame: pd.DataFrame = extras.pandas().DataFrame(rows)
    return frame
