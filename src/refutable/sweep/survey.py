"""Looks over a plan before anything is loaded: what is stored and what is to be read, how much memory and time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from refutable.errors import BadInput, NotMeasured, RefutableError, WeightsUnavailable
from refutable.evidence.sample_source import SampleSource
from refutable.measurement.forecast import Forecast, forecast
from refutable.models.row import ModelRow
from refutable.models.subject import INIT, PRETRAINED, Subject
from refutable.models.weights import BYTES
from refutable.sweep.faults import verdict_on
from refutable.sweep.jobs import Job
from refutable.sweep.rates import Rates, assumed, job_seconds, measured
from refutable.sweep.record import Outcome, Unit, bytes_of
from refutable.sweep.times import JOB, PROBE, START, UNIT, read_times
from refutable.sweep.work import unit_record
from refutable.traces.passes import PROBE_PASSES, Pass

LOOKED_AT = 2000  # stored traces whose times are read, of a store that may hold many more


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A job before it is done.

    Attributes:
        job: the job.
        row: the model's row of the registry.
        known: units that need no measuring, or cannot have any, each with its record.
        to_fetch: whether its weights are not at hand, so that nobody can say what is stored of it.
        bytes: of weight files that will be read.
        memory: what the pass that takes most will take.
        seconds: in a process that has started.
        cost: what shards are cut by: seconds at assumed rates, whatever is stored.
    """

    job: Job
    row: ModelRow
    known: Mapping[tuple[Subject, Pass], Unit]
    to_fetch: bool
    bytes: int
    memory: Forecast
    seconds: float
    cost: float

    @property
    def missing(self) -> int:
        """Number of units that are to be measured."""
        return sum(1 for unit in self.job.units if unit not in self.known)


def survey(source: SampleSource, jobs: Sequence[Job]) -> tuple[list[Planned], Rates]:
    """Return every job with what it will take, and the rates that its time is estimated by."""
    device = source.finder.device
    title = device.title if device.type != "cpu" else "CPU"
    known = _sizes(source)
    metas = (one.meta for one in islice(source.store.stored(), LOOKED_AT))
    rates = measured(metas, device.type, title, lambda name: _known_tokens(known, name))
    times = read_times(source.store.folder, device.title)
    rates = replace(
        rates,
        start=times.mean(START, rates.start),
        job=times.mean(JOB, rates.job),
        unit=times.mean(UNIT, rates.unit),
        probe=times.mean(PROBE, rates.probe),
    )
    return [_planned(source, job, rates, known) for job in jobs], rates


def costs(source: SampleSource, jobs: Iterable[Job]) -> dict[Job, float]:
    """Return what each job costs at assumed rates: the same on every machine of one kind, whatever is stored there."""
    rates, tokens = assumed(source.finder.device.type), _sizes(source)
    registry = source.selection.registry
    return {job: job_seconds(dict(job.passes), registry[job.model].parameters, rates, tokens) for job in jobs}


def _planned(source: SampleSource, job: Job, rates: Rates, tokens: Callable[[str], int]) -> Planned:
    row = source.selection.registry[job.model]
    known: dict[tuple[Subject, Pass], Unit] = {}
    to_fetch, size = False, 0.0
    left: dict[Subject, list[Pass]] = {}
    for subject, passes in job.passes:
        for spec in passes:
            found = _known(source, subject, spec)
            if isinstance(found, Unit):
                known[subject, spec] = found
            else:
                to_fetch |= found
                left.setdefault(subject, []).append(spec)
    for subject, missing in left.items():
        size += _bytes(source, row, subject, missing[0])
    takes = [
        forecast(row, row.config, subject, spec, [prompt.tokens for prompt in source.prompts(spec.prompts).prompts])
        for subject, missing in left.items()
        for spec in missing
        if spec.name not in PROBE_PASSES
    ]
    return Planned(
        job=job,
        row=row,
        known=known,
        to_fetch=to_fetch,
        bytes=round(size),
        memory=max(takes, key=lambda one: one.total, default=Forecast(0)),
        seconds=job_seconds(left, row.parameters, rates, tokens),
        cost=job_seconds(dict(job.passes), row.parameters, assumed(rates.device), tokens),
    )


def _known(source: SampleSource, subject: Subject, spec: Pass) -> Unit | bool:
    """Return the record of a unit that need not or cannot be measured; else whether its weights are to be fetched."""
    try:
        key = source.address(subject, spec, download=source.finder.offline)  # which asks nobody, and says so
        if source.store.is_whole(key):
            return unit_record(subject, spec, Outcome.STORED, key=key)
        if source.find_weights(subject, spec, download=source.finder.offline).dropped:
            source.finder.find(source.selection.registry[subject.model], subject, download=False, whole=True)
    except WeightsUnavailable as error:
        return _may_come(source, subject) or unit_record(subject, spec, *verdict_on(error))
    except (RefutableError, OSError) as error:
        return unit_record(subject, spec, *verdict_on(error))
    return False


def _may_come(source: SampleSource, subject: Subject) -> bool:
    """Whether weights that are not at hand may be fetched, and would fit."""
    row = source.selection.registry[subject.model]
    if not subject.named or source.finder.offline or row.hub is None or row.weights or subject.weights != PRETRAINED:
        return False
    try:
        source.finder.check_fits(row, subject)
    except WeightsUnavailable:
        return False
    return True


def _bytes(source: SampleSource, row: ModelRow, subject: Subject, spec: Pass) -> float:
    """Return the bytes of the files that loading a subject reads; where they are not here, by the row's own dtype."""
    if subject.weights == INIT or row.stand_in or spec.name in PROBE_PASSES:
        return 0.0
    try:
        return bytes_of(source.find_weights(subject, spec, download=False))
    except NotMeasured:
        stored = str(row.config.get("dtype") or row.config.get("torch_dtype") or "float32")
        return row.parameters * BYTES.get(stored, 4)


def _sizes(source: SampleSource) -> Callable[[str], int]:
    """Return a function from a prompt set to the number of its tokens."""
    found: dict[str, int] = {}

    def tokens(name: str) -> int:
        if name not in found:
            found[name] = sum(prompt.tokens for prompt in source.prompts(name).prompts)
        return found[name]

    return tokens


def _known_tokens(tokens: Callable[[str], int], name: str) -> int | None:
    try:
        return tokens(name)
    except (BadInput, OSError):  # a set of another suite
        return None
