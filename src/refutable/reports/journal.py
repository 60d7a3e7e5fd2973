"""The journal: every verdict is appended and synced to disk at once, so that a kill -9 loses nothing.

One JSON object per line: first the run's provenance, then verdicts and checks, last the end. `read_journal` rebuilds a
run from what is there, and drops a last line that was cut off.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from refutable.errors import BadInput
from refutable.verdicts.multiplicity import KEY, adjust
from refutable.verdicts.row import VerdictRow

FORMAT = 1
JOURNAL = "journal.jsonl"


@dataclass(frozen=True, slots=True)
class Check:
    """A test of the suite that is not a claim (the instrument's), and what it said if it did not pass."""

    name: str
    outcome: Literal["passed", "failed", "skipped", "error"]
    message: str
    seconds: float


CHECK = TypeAdapter(Check)


@dataclass(frozen=True, slots=True)
class RunResult:
    """A run: its provenance, its verdicts, its other tests, and whether it came to its end."""

    provenance: Mapping[str, Any]
    rows: tuple[VerdictRow, ...]
    checks: tuple[Check, ...] = ()
    complete: bool = True


class Journal:
    """Appends to one file; each line is on disk before the next verdict."""

    def __init__(self, path: Path, provenance: Mapping[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", encoding="utf-8")
        self._write({"format": FORMAT, "kind": "run", **provenance})

    def verdict(self, row: VerdictRow) -> None:
        """Append a verdict."""
        self._write({"kind": "verdict", **row.as_dict()})

    def check(self, check: Check) -> None:
        """Append a check."""
        self._write({"kind": "check", **asdict(check)})

    def close(self, *, complete: bool) -> None:
        """Close the file, with an end line if the run is complete."""
        if complete:
            self._write({"kind": "end"})
        self._file.close()

    def _write(self, line: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def read_journal(path: Path) -> RunResult:
    """Rebuild a run from its journal.

    Raises:
        BadInput: there is no journal, or it is not one.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); run pytest first, it writes the journal") from None
    lines = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            if number < len(text.splitlines()):
                raise BadInput(f"{path}:{number} is not a journal line; the file was changed by hand?") from None
    if not lines or lines[0].get("kind") != "run" or lines[0].get("format") != FORMAT:
        raise BadInput(f"{path}: not a journal of format {FORMAT}")
    try:
        rows = tuple(VerdictRow.from_dict(line) for line in lines if line["kind"] == "verdict")
        checks = tuple(CHECK.validate_python(line) for line in lines if line["kind"] == "check")
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path}: a verdict in it cannot be read ({error}); it was written by another version") from None
    head = {key: value for key, value in lines[0].items() if key not in ("kind", "format")}
    return RunResult(head, adjust(rows, head.get(KEY, {})), checks, complete=lines[-1].get("kind") == "end")
