"""What became of each unit of a sweep, as plain values that any process can hand over."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from refutable._util.atomic import write_whole
from refutable.models.subject import WeightsSource
from refutable.models.weight_files import weight_files
from refutable.sweep.jobs import Job, called

SCHEMA = 1


class Outcome(StrEnum):
    """What became of a unit."""

    STORED = "stored"  # before this sweep
    MEASURED = "measured"
    NOT_MEASURED = "not measured"  # there is nothing to measure it with here, or it means nothing on this model
    ERROR = "error"  # the measurement cannot be trusted, or its input cannot be used: final
    LOST = "lost"  # the network, a disk or a process failed as often as it was tried


DONE = (Outcome.STORED, Outcome.MEASURED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One pass over one subject.

    Attributes:
        model: name of its row.
        revision: as asked for.
        subject: what else tells it from the model's other subjects, in words.
        pass_title: the pass, in words.
        prompts: name of the prompt set; empty for a probe.
        outcome: what became of it.
        key: of its trace; empty where that is not known.
        reason: why there is no trace; empty where there is one.
        needed: whether the user named the model, so that a run without it is not what was asked for.
        seconds: that making it took; the first pass over a subject includes loading.
        beside: how many of them went by beside the pass and loading: tokens, checks and storing.
    """

    model: str
    revision: str | None
    subject: str
    pass_title: str
    prompts: str
    outcome: Outcome
    key: str = ""
    reason: str = ""
    needed: bool = False
    seconds: float = 0.0
    beside: float = 0.0

    @property
    def title(self) -> str:
        """Its name in words."""
        of = f" ({self.subject})" if self.subject else ""
        over = f" over {self.prompts}" if self.prompts else ""
        return f"{called(self.model, self.revision)}{of}: {self.pass_title}{over}"

    @property
    def failed(self) -> bool:
        """Whether the sweep did not do what it was asked for."""
        return self.outcome in (Outcome.ERROR, Outcome.LOST) or (self.outcome is Outcome.NOT_MEASURED and self.needed)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """What became of a job.

    Attributes:
        model: name of its row.
        revision: as asked for.
        units: what became of each.
        seconds: from its beginning to its end.
        loads: how often weights were loaded or drawn.
        bytes: of weight files that were read.
        tries: how often it was begun.
        faults: of the infrastructure, one for each try that failed.
        worker: host and process that did it.
        starting: seconds in which its process started; 0 where it ran already.
        dropped: bytes of weight files that were dropped after it.
    """

    model: str
    revision: str | None
    units: tuple[Unit, ...]
    seconds: float = 0.0
    loads: int = 0
    bytes: int = 0
    tries: int = 1
    faults: tuple[str, ...] = field(default=())
    worker: str = ""
    starting: float = 0.0
    dropped: int = 0


def lost(job: Job, units: Iterable[Unit], faults: Sequence[str]) -> JobRecord:
    """Return the record of a job whose process failed as often as it was tried."""
    return JobRecord(
        model=job.model, revision=job.revision, units=tuple(units), tries=len(faults), faults=tuple(faults)
    )


def counts(records: Iterable[JobRecord]) -> Mapping[str, int]:
    """Return how many units came to each outcome, none of them left out."""
    found = Counter(unit.outcome for record in records for unit in record.units)
    return {outcome.value: found[outcome] for outcome in Outcome}


def bytes_of(source: WeightsSource) -> int:
    """Return the bytes of the weight files of a source; 0 for weights that are drawn."""
    if source.location is None or source.dropped:
        return source.dropped
    files = [source.location] if source.location.is_file() else weight_files(source.location)[0]
    return sum(file.stat().st_size for file in files)


def write_records(path: Path, records: Sequence[JobRecord], about: Mapping[str, Any]) -> None:
    """Write what became of a sweep as JSON, atomically.

    Args:
        path: of the file.
        records: of every job.
        about: what was asked for and how long it took.
    """
    jobs = [{**asdict(record), "units": [asdict(unit) for unit in record.units]} for record in records]
    data = {"schema": SCHEMA, **about, "counts": counts(records), "jobs": jobs}
    write_whole(path, json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
