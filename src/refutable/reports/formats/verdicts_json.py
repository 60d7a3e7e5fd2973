"""verdicts.json: the whole run, versioned; its schema is docs/verdicts.schema.json."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from refutable._util.atomic import write_whole
from refutable._util.reading import MEGABYTE, exists, read_json
from refutable.errors import BadInput
from refutable.reports.baseline import Comparison
from refutable.reports.formats import REPORTS, Report
from refutable.reports.journal import CHECK, JOURNAL, RunResult, read_journal
from refutable.reports.selection import Selection
from refutable.traces.store import Store
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Verdict
from refutable.verdicts.whole_report import KEY, over_report

VERSION = 2
READABLE = (1, VERSION)
FILE = "verdicts.json"
MAX_BYTES = 512 * MEGABYTE
OPTIONAL_SELECTION: TypeAdapter[Selection | None] = TypeAdapter(Selection | None)
OPTIONAL_COMPARISON: TypeAdapter[Comparison | None] = TypeAdapter(Comparison | None)


def as_json(run: RunResult) -> dict[str, Any]:
    """Return a run as plain JSON values."""
    counts = Counter(row.verdict for row in run.rows)
    return {
        "version": VERSION,
        "complete": run.complete,
        "selection": OPTIONAL_SELECTION.dump_python(run.selection, mode="json"),
        "comparison": OPTIONAL_COMPARISON.dump_python(run.comparison, mode="json"),
        "provenance": dict(run.provenance),
        "counts": {verdict.value: counts[verdict] for verdict in Verdict},
        "multiplicity": asdict(over_report(run.rows, run.provenance.get(KEY))),
        "verdicts": [row.as_dict() for row in sorted(run.rows, key=lambda row: row.id)],
        "checks": [asdict(check) for check in sorted(run.checks, key=lambda check: check.name)],
    }


def json_text(run: RunResult) -> str:
    """Return the text of a run's verdicts.json."""
    return json.dumps(as_json(run), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write(run: RunResult, store: Store, folder: Path) -> None:
    """Write verdicts.json."""
    write_whole(folder / FILE, json_text(run))


REPORTS.add(Report("verdicts.json", write))


def read_run(path: Path) -> tuple[RunResult, Path]:
    """Read a run back, with its file: a journal, a verdicts.json, or either in a folder, where the journal comes first.

    Raises:
        BadInput: there is neither, or it cannot be read.
    """
    if path.is_dir():
        path = next((path / name for name in (JOURNAL, FILE) if (path / name).is_file()), path / JOURNAL)
    return (read_verdicts(path) if path.suffix == ".json" else read_journal(path)), path


def read_verdicts(path: Path) -> RunResult:
    """Read back a verdicts.json, or the one in a folder.

    Raises:
        BadInput: it is missing, or not of a known version.
    """
    path = path / FILE if exists(path) and path.is_dir() else path
    data = read_json(path, most=MAX_BYTES, fix="give one that pytest wrote")
    try:
        if data["version"] not in READABLE:
            known = " and ".join(map(str, READABLE))
            raise BadInput(f"{path}: version {data['version']}; this refutable reads versions {known}")
        if not isinstance(data["provenance"], dict) or not isinstance(data["complete"], bool):
            raise TypeError("provenance")
        rows = tuple(VerdictRow.from_dict(row) for row in data["verdicts"])
        checks = tuple(CHECK.validate_python(check) for check in data["checks"])
        return RunResult(
            provenance=data["provenance"],
            rows=rows,
            checks=checks,
            complete=data["complete"],
            selection=OPTIONAL_SELECTION.validate_python(data.get("selection")),
            comparison=OPTIONAL_COMPARISON.validate_python(data.get("comparison")),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise BadInput(f"{path}: not a verdicts.json of this version; give one that pytest wrote") from None
