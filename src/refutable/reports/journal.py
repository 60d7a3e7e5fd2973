"""The journal: every verdict is appended and synced to disk at once, so that a kill -9 loses nothing.

One JSON object per line: first the run's provenance, then verdicts and checks, last the end of a complete run.
`read_journal` rebuilds a run from what is there; it drops a last line that was cut off, and names any other that cannot
be read. Lines end with a newline and nothing else: a statement may hold other separators.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout
from pydantic import TypeAdapter

from refutable._util.atomic import aside_of, sweep
from refutable._util.reading import MEGABYTE, parse_json, read_bytes
from refutable._util.text import first_line
from refutable.errors import BadInput
from refutable.reports.beside import Beside
from refutable.verdicts.multiplicity import KEY, adjust
from refutable.verdicts.row import VerdictRow

FORMAT = 1
JOURNAL = "journal.jsonl"
PREVIOUS = "journal.previous.jsonl"  # of the run before, until the next one
LOCK = ".journal.lock"
MAX_BYTES = 2048 * MEGABYTE


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
    """A run.

    Attributes:
        provenance: what would make two runs differ.
        rows: its verdicts.
        checks: its other tests.
        complete: whether it came to its end.
        beside: what it is shown with; not stored.
    """

    provenance: Mapping[str, Any]
    rows: tuple[VerdictRow, ...]
    checks: tuple[Check, ...] = ()
    complete: bool = True
    beside: Beside = field(default_factory=Beside, compare=False)


class Journal:
    """Appends to one file; each line is on disk before the next verdict.

    The journal of an earlier run is replaced only once this one's first line is on disk, and no two runs write into one
    folder at a time.

    Raises:
        BadInput: another run is writing there.
        OSError: the file cannot be written.
    """

    def __init__(self, path: Path, provenance: Mapping[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent, (".",))
        self._lock = FileLock(path.parent / LOCK)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise BadInput(
                f"{path.parent}: another run is writing its reports there; wait for it, or name another --reports"
            ) from None
        aside = aside_of(path)
        try:
            self._file = aside.open("x", encoding="utf-8", errors="replace", newline="\n")
            self._write({"format": FORMAT, "kind": "run", **provenance})
            if path.is_file():
                path.replace(path.parent / PREVIOUS)
            aside.replace(path)
        except OSError:
            self._lock.release()
            aside.unlink(missing_ok=True)
            raise

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
        self._lock.release()

    def _write(self, line: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def read_journal(path: Path) -> RunResult:
    """Rebuild a run from its journal.

    Raises:
        BadInput: there is no journal, or it is not one.
    """
    absent = "run pytest first, it writes the journal"
    lines = read_bytes(path, most=MAX_BYTES, absent=absent).decode(errors="replace").split("\n")
    head = _parsed(lines[0], path, 1)
    if not isinstance(head, dict) or head.get("kind") != "run" or head.get("format") != FORMAT:
        raise BadInput(f"{path}: not a journal of format {FORMAT}")
    rows: dict[str, VerdictRow] = {}
    checks: dict[str, Check] = {}
    ended, whole = False, True
    for number, line in enumerate(lines[1:], start=2):
        if number == len(lines):  # empty, or cut off by whatever ended the run
            break
        found = _parsed(line, path, number)
        match found:
            case VerdictRow():
                rows[found.id] = found
            case Check():
                checks[found.name] = found
                whole = whole and found.name != _where(path, number)
            case _:
                ended = ended or found.get("kind") == "end"
    facts = {key: value for key, value in head.items() if key not in ("kind", "format")}
    return RunResult(facts, adjust(rows.values(), facts.get(KEY, {})), tuple(checks.values()), complete=ended and whole)


def _where(path: Path, number: int) -> str:
    return f"{path.name}:{number}"


def _parsed(line: str, path: Path, number: int) -> VerdictRow | Check | dict[str, Any]:
    """Return what a line holds: a verdict, a check, or plain data; of one that cannot be read, a check that says so."""
    where = _where(path, number)
    try:
        data = parse_json(line, where)
        match data["kind"]:
            case "verdict":
                return VerdictRow.from_dict(data)
            case "check":
                return CHECK.validate_python(data)
        return dict(data)
    except (BadInput, KeyError, TypeError, ValueError) as error:
        told = first_line(error)
        return Check(where, "error", f"a line of the journal cannot be read and is left out ({told})", 0.0)
