"""What earlier sweeps of this machine took beside passes and loading: plans are estimated by it.

A process imports torch and transformers; a job finds and hashes its files; a unit cuts prompts
into tokens, checks what it measured and stores it. On small models that is most of the time, and no trace holds it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from refutable._util.atomic import write_whole
from refutable._util.reading import read_json
from refutable.errors import BadInput
from refutable.sweep.record import JobRecord, Outcome

FILE = "sweep-times.json"
START, JOB, UNIT, PROBE = KINDS = ("start", "job", "unit", "probe")
MOST = 500.0  # so many of one kind count at most, so that a machine's later times outweigh its earlier ones


@dataclass(frozen=True, slots=True)
class Times:
    """Mean times in seconds.

    Attributes:
        totals: of each kind, the seconds of all that count, and how many they are.
    """

    totals: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def mean(self, kind: str, otherwise: float) -> float:
        """Return the mean of a kind; `otherwise` where none was measured."""
        seconds, count = self.totals.get(kind, (0.0, 0.0))
        return seconds / count if count > 0 else otherwise

    def added(self, records: Iterable[JobRecord]) -> Times:
        """Return these times with those of the jobs of a sweep; jobs that were begun again are left out."""
        new: dict[str, list[float]] = {kind: [] for kind in KINDS}
        for record in records:
            made = [unit for unit in record.units if unit.outcome is Outcome.MEASURED]
            if record.starting:
                new[START].append(record.starting)
            apart = record.starting + sum(unit.seconds for unit in made)
            if record.tries == 1 and made and len(made) == len(record.units):
                new[JOB].append(max(record.seconds - apart, 0.0))
                new[UNIT] += [unit.beside for unit in made if unit.prompts]
                new[PROBE] += [unit.seconds for unit in made if not unit.prompts]
        totals = dict(self.totals)
        for kind, found in new.items():
            seconds, count = totals.get(kind, (0.0, 0.0))
            kept = min(1.0, max(MOST - len(found), 0.0) / count) if count else 0.0
            totals[kind] = (seconds * kept + sum(found), count * kept + len(found))
        return Times(totals)


def read_times(folder: Path, title: str) -> Times:
    """Return the times of earlier sweeps on a device, which a cache folder holds; none where it does not."""
    try:
        found = read_json(folder / FILE)[title]
        return Times({kind: (float(found[kind][0]), float(found[kind][1])) for kind in KINDS})
    except (BadInput, TypeError, ValueError, KeyError, IndexError):
        return Times()


def keep_times(folder: Path, title: str, records: Iterable[JobRecord]) -> None:
    """Add the times of a sweep to those that a cache folder holds, as far as it can be written."""
    try:
        known = read_json(folder / FILE)
    except BadInput:
        known = {}
    kept = known if isinstance(known, dict) else {}
    with suppress(OSError):
        new = read_times(folder, title).added(records).totals
        write_whole(folder / FILE, json.dumps({**kept, title: new}, indent=1))
