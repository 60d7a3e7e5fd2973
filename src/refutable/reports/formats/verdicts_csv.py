"""verdicts.csv: one row a case, flat, with what decides whether to look at a verdict and where.

Numbers have all their digits, and what there is none of is an empty cell, never zero. docs/reports.md says what each
column means.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from refutable._util.atomic import write_csv
from refutable.reports.formats import REPORTS, Report
from refutable.reports.journal import RunResult
from refutable.statistics.region import parse_region
from refutable.traces.store import Store
from refutable.verdicts.row import VerdictRow

FILE = "verdicts.csv"
_CLAIM = ("catalogue", "evidence", "alpha", "registration", "claim_hash", "statement")
_NUMBERS = ("value", "low", "high", "level", "n", "unit", "statistic", "method", "p", "p_refuted", "effect_size", "e")
_ADJUSTED = ("family", "holm", "benjamini_hochberg")
_WEIGHTS = (
    *("weights_kind", "weights_detail", "revision", "weights_hash", "dtype", "device", "tokens", "tap"),
    *("prompt_set", "prompt_set_hash"),
)

COLUMNS = (
    *("id", "claim", "subject", "weights_kind", "weights_detail", "verdict", "decided", "has_error_rate"),
    *("value", "low", "high", "level", "n", "unit", "statistic", "of", "method"),
    *("predicts", "threshold_low", "threshold_high", "p", "p_refuted", "alpha", "effect_size", "e"),
    *("family", "holm", "benjamini_hochberg", "labels", "controls", "variations", "recorded"),
    *("document", "section", "evidence", "catalogue", "registration", "statement", "why"),
    *("prompt_set", "prompt_set_hash", "tap", "tokens", "dtype", "device", "revision", "weights_hash"),
    *("claim_hash", "traces", "seconds"),
)


def write(run: RunResult, store: Store, folder: Path) -> None:
    """Write verdicts.csv."""
    write_csv(folder / FILE, COLUMNS, (flat(row) for row in sorted(run.rows, key=lambda row: row.id)))


REPORTS.add(Report(FILE, write))


def flat(row: VerdictRow) -> dict[str, Any]:
    """Return a row as one value for each of `COLUMNS`: text, a number, a truth value as text, or None."""
    source = row.about.get("source") or {}
    return {
        "id": row.id,
        "claim": row.claim,
        "subject": None if row.subject == "-" else row.subject,
        "verdict": str(row.verdict.value),
        "decided": _truth(row.decided),
        "has_error_rate": _truth(row.has_error_rate),
        **{name: getattr(row.estimate, name, None) for name in _NUMBERS},
        "of": ", ".join(row.estimate.of) if row.estimate is not None else None,
        "predicts": row.predicts,
        **_threshold(row.predicts),
        **{name: getattr(row.adjusted, name, None) for name in _ADJUSTED},
        "labels": ", ".join(row.labels),
        "controls": _each(row.controls, lambda control: control.verdict.value),
        "variations": _counted([one.verdict.value for one in row.variations.values()]),
        "recorded": _each(row.recorded, lambda record: repr(record.get("value"))),
        "document": source.get("document"),
        "section": source.get("section"),
        **{name: row.about.get(name) for name in _CLAIM},
        "why": row.why,
        **{name: row.weights.get(name) for name in _WEIGHTS},
        "traces": ", ".join(row.traces),
        "seconds": round(row.seconds, 3),
    }


def _threshold(predicts: str) -> dict[str, float | None]:
    """Return the finite ends of what a claim allows; none if it predicts something other than a region of numbers."""
    try:
        region = parse_region(predicts)
    except ValueError:
        return {"threshold_low": None, "threshold_high": None}
    low, high = (end if math.isfinite(end) else None for end in (region.low, region.high))
    return {"threshold_low": low, "threshold_high": high}


def _each(beside: Mapping[str, Any], told: Callable[[Any], str]) -> str:
    return "; ".join(f"{name}: {told(one)}" for name, one in beside.items())


def _counted(verdicts: list[str]) -> str:
    return ", ".join(f"{n} {verdict}" for verdict, n in Counter(verdicts).most_common())


def _truth(value: bool) -> str:
    return "true" if value else "false"
