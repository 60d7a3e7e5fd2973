"""looks.json: what was looked at before the present run; a run that leaves a claim out forgets none of its looks.

Every run reads it together with the reports of the run before, and writes it anew before any verdict.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from refutable._util.atomic import write_whole
from refutable._util.reading import MEGABYTE, read_json
from refutable.errors import BadInput
from refutable.reports.formats.verdicts_json import FILE as VERDICTS
from refutable.reports.formats.verdicts_json import read_verdicts
from refutable.reports.journal import JOURNAL, RunResult, read_journal
from refutable.verdicts.looks import History, Look, merged

FILE = "looks.json"
MAX_BYTES = 512 * MEGABYTE


@dataclass(frozen=True, slots=True)
class _Looked:
    at: tuple[str, ...]
    looks: tuple[Look, ...]


_ALL = TypeAdapter(tuple[_Looked, ...])


def read_looks(folder: Path) -> History:
    """Return the looks that a reports folder knows of, as far as its files can be read."""
    remembered: History = {}
    with suppress(BadInput, ValidationError):
        if (folder / FILE).is_file():
            found = _ALL.validate_python(read_json(folder / FILE, most=MAX_BYTES))
            remembered = {one.at: one.looks for one in found}
    return merged(remembered, *map(looks_of, _runs_in(folder)))


def write_looks(folder: Path, history: History) -> None:
    """Write looks.json.

    Raises:
        OSError: it cannot be written.
    """
    found = [asdict(_Looked(at, looks)) for at, looks in sorted(history.items())]
    write_whole(folder / FILE, json.dumps(found, ensure_ascii=False) + "\n")


def looks_of(run: RunResult) -> History:
    """Return the looks that the verdicts of a run remember."""
    return {row.looked_at: row.looks for row in run.rows if row.looks}


def _runs_in(folder: Path) -> Iterator[RunResult]:
    """Yield the runs whose reports lie in a folder, as far as they can be read."""
    for name, read in ((JOURNAL, read_journal), (VERDICTS, read_verdicts)):
        with suppress(BadInput):
            if (folder / name).is_file():
                yield read(folder / name)
