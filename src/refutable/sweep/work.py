"""Does one job, in whatever process: finds the weights, measures what is not stored, and says what became of it.

A process needs no claims for this. An `Order` holds all that it is told, and the store is all that it leaves: what
comes back are keys and reasons.
"""

from __future__ import annotations

import importlib
import os
import socket
import sys
import time
import traceback
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from refutable._util.progress import say, task
from refutable._util.text import first_line
from refutable.errors import BadInput
from refutable.evidence.sample_source import SampleSource
from refutable.extensions import HOOK, Extensions, extend, import_modules, load_installed
from refutable.models.device import EVERY_GPU, choose_device
from refutable.models.file_hashes import FileHashes
from refutable.models.passing import Terms, drop
from refutable.models.reduced_config import reduced
from refutable.models.registry import ModelRegistry
from refutable.models.row import ModelRow
from refutable.models.selection import Selection
from refutable.models.subject import PRETRAINED, Subject
from refutable.models.weights import Finder
from refutable.prompts.prompt_set import PromptSet
from refutable.sweep.faults import verdict_on
from refutable.sweep.jobs import Job, subject_text
from refutable.sweep.record import JobRecord, Outcome, Unit, bytes_of
from refutable.traces.passes import PROBE_PASSES, Pass
from refutable.traces.store import cache_folder, open_store

PAUSE = 1.0  # seconds before the second try; twice as long before each later one


class _Imports:
    """What a process imports once, before its first unit and timed, so that no unit's time includes it.

    Attributes:
        seconds: that torch, transformers and all that transformers imports to build a first model took.
    """

    seconds = 0.0

    def make(self, row: ModelRow) -> None:
        """Import what measures models, if this process has not; what is wrong with a row is left to measuring."""
        if "refutable.measurement.session" in sys.modules:
            return
        started = time.perf_counter()
        with task("loading torch and transformers"):
            importlib.import_module("refutable.measurement.session")
            from refutable.measurement.loading.shape import on_meta

            with suppress(Exception):
                on_meta(reduced(row.config), "float32", "eager")
        self.seconds += time.perf_counter() - started


_IMPORTS = _Imports()


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A job, with all that a process needs to do it.

    Attributes:
        job: which passes over which model.
        row: the model's row of the registry.
        prompts: every prompt set that the passes read.
        device: as ``--device`` takes it.
        offline: whether the hub may never be asked.
        tries: how often it is begun where the network or a disk fails.
        modules: extensions, as the ini key `refutable_extensions` names them.
        folder: that of the ini file, from which they are imported.
        environment: variables that say where the store and the hub's cache are.
        passing: whether weights that are fetched for it are dropped afterwards.
        barred: why nothing may be fetched for it; empty where it may.
    """

    job: Job
    row: ModelRow
    prompts: tuple[PromptSet, ...] = ()
    device: str = "cpu"
    offline: bool = False
    tries: int = 3
    modules: tuple[str, ...] = ()
    folder: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    passing: bool = False
    barred: str = ""


def do(order: Order) -> JobRecord:
    """Do a job. Always returns a record; only a process that is killed leaves none."""
    started, faults = time.perf_counter(), []
    os.environ.update(order.environment)
    known: dict[tuple[Subject, Pass], Unit] = {}
    before = _IMPORTS.seconds
    loads = read = turn = 0
    for turn in range(1, max(order.tries, 1) + 1):
        left = [unit for unit in order.job.units if unit not in known or known[unit].outcome is Outcome.LOST]
        if not left:
            break
        if turn > 1:
            time.sleep(PAUSE * 2 ** (turn - 2))
        try:
            if turn == 1:
                _extend(order)
            source = source_for(order)
            for subject, spec, unit, weighed in _units(source, order.job, left):
                known[subject, spec] = unit
                loads, read = loads + (weighed is not None), read + (weighed or 0)
        except Exception as error:  # before any unit could be looked at
            traceback.clear_frames(error.__traceback__)
            known |= {unit: unit_record(*unit, *verdict_on(error)) for unit in left if unit not in known}
        failed = [unit.reason for unit in known.values() if unit.outcome is Outcome.LOST]
        faults += failed[:1]
        if not failed:
            break
    return JobRecord(
        model=order.job.model,
        revision=order.job.revision,
        units=tuple(known[unit] for unit in order.job.units),
        seconds=round(time.perf_counter() - started, 3),
        loads=loads,
        bytes=read,
        tries=turn,
        faults=tuple(faults),
        starting=round(_IMPORTS.seconds - before, 3),
        worker=f"{socket.gethostname()}:{os.getpid()}",
    )


def source_for(order: Order) -> SampleSource:
    """Return where a job's numbers come from, with nothing remembered of an earlier try."""
    finder = finder_for(order, Terms(order.passing, barred=order.barred))
    source = SampleSource(Selection(ModelRegistry([order.row]), finder.device), finder, open_store())
    for prompts in order.prompts:
        source.give(prompts)
    return source


def finder_for(order: Order, terms: Terms) -> Finder:
    """Return what finds an order's weights."""
    device = choose_device(order.device)
    hashes = FileHashes(cache_folder())
    return Finder(hashes, device, offline=order.offline, cpu_asked=device.type == "cpu", terms=terms)


def to_fetch(order: Order) -> Subject | None:
    """Return the subject whose weights may have to be fetched, or None where the hub has no part in the job."""
    row = order.row
    if order.offline or row.hub is None or row.weights is not None or row.stand_in:
        return None
    reading = (subject for subject, spec in order.job.units if spec.name not in PROBE_PASSES)
    return next((one for one in reading if one.named and one.weights == PRETRAINED), None)


def drop_weights(order: Order, kept: Collection[str] = ()) -> int:
    """Drop the weights that were fetched for an order, and return how many bytes that freed.

    What cannot be removed, or whose hashes cannot be written down first, stays.

    Args:
        order: the job, which is done.
        kept: names of blobs that are being fetched for other jobs.
    """
    subject, hub = to_fetch(order), order.row.hub
    if subject is None or hub is None:
        return 0
    try:
        return drop(hub, subject.revision or order.row.revision, FileHashes(cache_folder()), kept)
    except (OSError, BadInput) as error:
        say(f"{order.job.id}: its weights could not be dropped ({first_line(error)})")
        return 0


def do_and_drop(order: Order) -> JobRecord:
    """Do a job, and drop the weights that were fetched for it if its order says so."""
    record = do(order)
    return replace(record, dropped=drop_weights(order)) if order.passing else record


def unit_record(subject: Subject, spec: Pass, outcome: Outcome, reason: str = "", key: str = "") -> Unit:
    """Return the record of a unit."""
    return Unit(
        model=subject.model,
        revision=subject.revision,
        subject=subject_text(subject),
        pass_title=spec.title if spec.bos == "default" else f"{spec.title} {spec.bos} BOS",
        prompts=spec.prompts,
        outcome=outcome,
        key=key,
        reason=reason,
        needed=subject.named,
    )


def _units(
    source: SampleSource, job: Job, left: list[tuple[Subject, Pass]]
) -> Iterator[tuple[Subject, Pass, Unit, int | None]]:
    """Yield each unit that is left with what became of it, and the bytes that were read for it: None without a load."""
    wanted = set(left)
    for asked, passes in job.passes:
        specs = [spec for spec in passes if (asked, spec) in wanted]
        subject = _here(asked, source)
        missing: dict[Pass, str] = {}
        for spec in specs:
            try:
                key = source.address(subject, spec)
                stored = source.store.is_whole(key)
            except Exception as error:
                yield asked, spec, unit_record(asked, spec, *verdict_on(error)), None
                continue
            if stored:
                yield asked, spec, unit_record(asked, spec, Outcome.STORED, key=key), None
            else:
                missing[spec] = key
        if missing:
            for spec, unit, weighed in _measured(source, asked, subject, missing):
                yield asked, spec, unit, weighed


def _measured(
    source: SampleSource, asked: Subject, subject: Subject, missing: dict[Pass, str]
) -> Iterator[tuple[Pass, Unit, int | None]]:
    """Yield what became of each pass that is not stored; the first that was made says what loading read."""
    weighed: int | None = bytes_of(source.find_weights(subject, next(iter(missing))))
    _IMPORTS.make(source.selection.registry[subject.model])
    before, first = time.perf_counter(), True
    try:
        for spec, key, error in source.measure(subject, tuple(missing)):
            del missing[spec]
            seconds, before = time.perf_counter() - before, time.perf_counter()
            found = _stored(source, key) if error is None else verdict_on(error)
            made, loading = source.timed.get(key, (0.0, 0.0))
            beside = max(seconds - made - (loading if first else 0.0), 0.0)
            told = replace(
                unit_record(asked, spec, *found, key=key), seconds=round(seconds, 3), beside=round(beside, 3)
            )
            yield spec, told, weighed
            first, weighed = first and spec.name in PROBE_PASSES, None
    except Exception as error:
        traceback.clear_frames(error.__traceback__)  # its frames may hold tensors
        outcome, reason = verdict_on(error)
    else:  # somebody else stored them meanwhile
        outcome, reason = Outcome.STORED, ""
    for spec, key in missing.items():
        yield spec, unit_record(asked, spec, outcome, reason, key), None


def _stored(source: SampleSource, key: str) -> tuple[Outcome, str]:
    """Return whether a trace that was made is in the store, for whoever judges: a store may refuse to keep it."""
    if source.store.is_whole(key):
        return Outcome.MEASURED, ""
    return Outcome.LOST, "it was measured, and the store did not keep it"


def _here(subject: Subject, source: SampleSource) -> Subject:
    """Return a subject on this process's device: the one GPU seen here may have had another number in the plan."""
    device = source.selection.device.name
    if subject.device_type != "cuda" or subject.device == EVERY_GPU:
        return subject
    return replace(subject, device=device)


def _extend(order: Order) -> None:
    """Let the suite's extensions register what they add, if this process has not read them yet."""
    if order.folder is None:
        return
    load_installed()
    modules = import_modules(order.modules, order.folder)

    def every(extensions: Extensions) -> None:
        for module in modules:
            if hasattr(module, HOOK):
                getattr(module, HOOK)(extensions)

    if modules:
        extend(HOOK, every)
