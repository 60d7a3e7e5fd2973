"""looks.json: what was looked at before the present run, so that a run which leaves a claim out forgets no look at it.

Every run reads it, with the reports of the run before, and writes it anew before any verdict.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from refutable._util.atomic import write_whole
from refutable._util.reading import MEGABYTE, exists, read_json
from refutable.errors import BadInput
from refutable.reports.formats.verdicts_json import FILE as VERDICTS
from refutable.reports.formats.verdicts_json import read_verdicts
from refutable.reports.journal import JOURNAL, RunResult, read_journal
from refutable.verdicts.looks import History, Look, merged

FILE = "looks.json"
MAX_BYTES = 512 * MEGABYTE


@dataclass(frozen=True, slots=True)
class _LookedAt:
    at: tuple[str, ...]
    looks: tuple[Look, ...]


_ALL = TypeAdapter(tuple[_LookedAt, ...])


def read_looks(folder: Path) -> History:
    """Return the looks that a reports folder knows of: its looks.json, and its last run as far as that can be read.

    Raises:
        BadInput: there is a looks.json, and it cannot be read.
    """
    path, remembered = folder / FILE, History()
    if exists(path):
        fix = "name another --reports, or delete it to forget those looks"
        try:
            found = _ALL.validate_python(read_json(path, most=MAX_BYTES, fix=fix))
        except ValidationError:
            raise BadInput(f"{path}: not the looks of earlier runs; {fix}") from None
        remembered = {one.at: one.looks for one in found}
    return merged(remembered, *map(looks_of, _runs_in(folder)))


def write_looks(folder: Path, history: History) -> None:
    """Write looks.json, if there is anything to remember.

    Raises:
        OSError: it cannot be written.
    """
    if history:
        found = [asdict(_LookedAt(at, looks)) for at, looks in sorted(history.items())]
        write_whole(folder / FILE, json.dumps(found, ensure_ascii=False) + "\n")


def looks_of(run: RunResult) -> History:
    """Return the looks that the verdicts of a run remember."""
    return merged(*({row.looked_at: row.looks} for row in run.rows if row.looks))


def _runs_in(folder: Path) -> Iterator[RunResult]:
    """Yield the runs whose reports lie in a folder, as far as they can be read."""
    for name, read in ((JOURNAL, read_journal), (VERDICTS, read_verdicts)):
        with suppress(BadInput):
            if (folder / name).is_file():
                yield read(folder / name)
