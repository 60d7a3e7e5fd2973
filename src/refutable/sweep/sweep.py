"""A sweep: the plan of a session, looked over, cut, and done by an engine until nothing is missing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from refutable._util.progress import say, task
from refutable.errors import BadInput
from refutable.models.device import EVERY_GPU
from refutable.session import Session
from refutable.sweep.ahead import Ahead
from refutable.sweep.asked import Asked, Slot, slots_of
from refutable.sweep.engines import here, on_ray, processes
from refutable.sweep.jobs import jobs_of
from refutable.sweep.lines import end_line, estimate, failure_lines, job_line, plan_lines
from refutable.sweep.record import JobRecord, write_records
from refutable.sweep.shards import of_shard
from refutable.sweep.survey import Planned, costs, survey
from refutable.sweep.times import keep_times
from refutable.sweep.work import Order

HANDED_ON = ("REFUTABLE_CACHE", "HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_HUB_DISABLE_XET")
OVERHEAD = 600_000_000  # bytes of host memory that torch, transformers and their buffers take in a process


@dataclass(slots=True)
class Sweep:
    """A sweep over the plan of a session.

    Attributes:
        session: with its plan made.
        asked: how it is done.
        modules: extensions that other processes must import.
        folder: from which they are imported; None where there are none.
        write: writes a line to standard output.
        records: what became of each job so far.
    """

    session: Session
    asked: Asked
    modules: tuple[str, ...] = ()
    folder: Path | None = None
    write: Callable[[str], object] = print
    records: list[JobRecord] = field(default_factory=list)

    def run(self) -> int:
        """Do it, and return the exit status: 0 where all that was asked for is stored, else 1.

        Raises:
            BadInput: it cannot be done so.
        """
        source = self.session.source
        if source.table is not None:
            raise BadInput("--measurements: a published table is judged, not measured; leave it out")
        slots = slots_of(self.asked.devices, self.asked.processes, os.cpu_count() or 1)
        engine = on_ray.address_of(self.asked.on) if self.asked.on else None
        if self.asked.on and (len(slots) > 1 or self.asked.devices):
            raise BadInput("--on ray gives each task its devices; leave out --devices and --processes")
        if self.asked.on and self.asked.disk_budget is not None:
            raise BadInput("--on ray: each host has a disk of its own; leave out --disk-budget")
        jobs = jobs_of(source.plan)
        mine = jobs if self.asked.shard is None else of_shard(jobs, costs(source, jobs), self.asked.shard)
        with task("looking at what is stored"):
            planned, rates = survey(source, mine)
        for line in plan_lines(planned, rates, len(slots), self.asked.shard, len(jobs)):
            self.write(line)
        known = [_known(one) for one in planned if not one.missing]
        for line in failure_lines(known) if self.asked.plan_only else ():
            self.write(line)
        if self.asked.plan_only:
            return 0
        started = time.perf_counter()
        orders = [self._order(one) for one in sorted(planned, key=lambda one: -one.seconds) if one.missing]
        self.records += known
        try:
            self._follow(self._engine(orders, planned, slots, engine), len(orders))
        finally:
            seconds = time.perf_counter() - started
            self._tell(seconds, estimate(planned, len(slots), rates.start), len(planned))
            keep_times(source.store.folder, source.finder.device.title, self.records)
        return int(any(unit.failed for record in self.records for unit in record.units))

    def _engine(
        self, orders: list[Order], planned: Sequence[Planned], slots: Sequence[Slot], address: str | None
    ) -> Iterator[JobRecord]:
        if not orders:
            return iter(())
        if self.asked.on:
            device = self.session.source.finder.device
            needs = {
                one.job.id: on_ray.resources(
                    one.memory.total + (OVERHEAD if device.type == "cpu" else 0), device.type, device.memory
                )
                for one in planned
            }
            return on_ray.run(orders, address, needs)
        most = len(slots) if self.asked.disk_budget is None else None
        ahead = Ahead(orders, most=most, budget=self.asked.disk_budget, drop=not self.asked.keep_weights)
        if len(slots) > 1 or self.asked.devices:
            return processes.run(orders, slots, ahead)
        return here.run(orders, ahead)

    def _follow(self, done: Iterator[JobRecord], jobs: int) -> None:
        with task("measuring", jobs, "jobs") as measuring:
            for record in done:
                self.records.append(record)
                measuring.advance()
                say(job_line(record))

    def _order(self, one: Planned) -> Order:
        source = self.session.source
        names = dict.fromkeys(spec.prompts for _, spec in one.job.units if spec.prompts)
        alone = not self.asked.on and not self.asked.devices and self.asked.processes == 1
        device = source.selection.device.name
        environment = {name: os.environ[name] for name in HANDED_ON if name in os.environ}
        if "REFUTABLE_CACHE" in environment and "://" not in environment["REFUTABLE_CACHE"]:
            environment["REFUTABLE_CACHE"] = str(Path(environment["REFUTABLE_CACHE"]).absolute())
        return Order(
            job=one.job,
            row=one.row,
            prompts=tuple(map(source.prompts, names)),
            device=device if alone or not device.startswith("cuda") or device == EVERY_GPU else "cuda",
            offline=self.session.options.offline,
            tries=self.asked.tries,
            modules=self.modules,
            folder=None if alone else self.folder,
            environment={} if alone else environment,
            passing=not self.asked.keep_weights,
        )

    def _tell(self, seconds: float, estimated: float, jobs: int) -> None:
        for line in failure_lines(self.records):
            self.write(line)
        self.write(end_line(self.records, seconds, jobs))
        if self.asked.json is not None:
            about = {
                "complete": len(self.records) == jobs,
                "shard": None if self.asked.shard is None else str(self.asked.shard),
                "on": self.asked.on or "this host",
                "device": self.session.source.finder.device.title,
                "claims": self.session.claims_hash,
                "seconds": round(seconds, 3),
                "estimated_seconds": round(estimated, 1),
            }
            write_records(self.asked.json, self.records, about)


def _known(one: Planned) -> JobRecord:
    """Return the record of a job of which nothing is to be measured."""
    units = tuple(one.known[unit] for unit in one.job.units)
    return JobRecord(model=one.job.model, revision=one.job.revision, units=units, tries=0)
