"""The journal: every verdict is appended and synced to disk at once, so that a kill -9 loses nothing.

One JSON object per line: first the run's provenance, then which cases were selected, verdicts and checks, what changed
against the baseline, last the end of a complete run.
`read_journal` rebuilds a run from what is there; it drops a last line that was cut off, and names any other that cannot
be read. Lines end with a newline and nothing else: a statement may hold other separators.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout
from pydantic import TypeAdapter

from refutable._util.atomic import aside_of, sweep
from refutable._util.reading import MEGABYTE, parse_json, read_bytes
from refutable._util.text import first_line
from refutable.errors import BadInput
from refutable.reports.baseline import Comparison
from refutable.reports.beside import Beside
from refutable.reports.selection import Selection
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
SELECTION = TypeAdapter(Selection)
COMPARISON = TypeAdapter(Comparison)


@dataclass(frozen=True, slots=True)
class RunResult:
    """A run.

    Attributes:
        provenance: what would make two runs differ.
        rows: its verdicts.
        checks: its other tests.
        complete: whether every case that it selected left a verdict; `selection` says whether these are all.
        selection: which cases it selected; None in files of earlier versions, and before tests are collected.
        comparison: what changed against its baseline, if it had one.
        beside: what it is shown with; not stored.
    """

    provenance: Mapping[str, Any]
    rows: tuple[VerdictRow, ...]
    checks: tuple[Check, ...] = ()
    complete: bool = True
    selection: Selection | None = None
    comparison: Comparison | None = None
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
        self._lock = _locked(path.parent, "or name another --reports")
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

    def selection(self, selection: Selection) -> None:
        """Append which cases were selected."""
        self._write({"kind": "selection", **asdict(selection)})

    def comparison(self, comparison: Comparison) -> None:
        """Append what changed against the baseline."""
        self._write({"kind": "comparison", **asdict(comparison)})

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


@contextmanager
def no_run_in(folder: Path) -> Iterator[None]:
    """Keep runs from beginning in a folder of reports for a while; raises BadInput if one is under way."""
    lock = _locked(folder, "then try again")
    try:
        yield
    finally:
        lock.release()


def _locked(folder: Path, fix: str) -> FileLock:
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise BadInput(f"{folder}: another run is writing its reports there; wait for it, {fix}") from None
    return lock


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
    selection: Selection | None = None
    comparison: Comparison | None = None
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
            case Selection():
                selection = found
            case Comparison():
                comparison = found
            case _:
                ended = ended or found.get("kind") == "end"
    facts = {key: value for key, value in head.items() if key not in ("kind", "format")}
    adjusted = adjust(rows.values(), facts.get(KEY, {}))
    return RunResult(facts, adjusted, tuple(checks.values()), ended and whole, selection, comparison)


def _where(path: Path, number: int) -> str:
    return f"{path.name}:{number}"


def _parsed(line: str, path: Path, number: int) -> VerdictRow | Check | Selection | Comparison | dict[str, Any]:
    """Return what a line holds, plain data if it is of no kind known here, or a check that says it cannot be read."""
    where = _where(path, number)
    try:
        data = parse_json(line, where)
        match data["kind"]:
            case "verdict":
                return VerdictRow.from_dict(data)
            case "check":
                return CHECK.validate_python(data)
            case "selection":
                return SELECTION.validate_python(data)
            case "comparison":
                return COMPARISON.validate_python(data)
        return dict(data)
    except (BadInput, KeyError, TypeError, ValueError) as error:
        told = first_line(error)
        return Check(where, "error", f"a line of the journal cannot be read and is left out ({told})", 0.0)
