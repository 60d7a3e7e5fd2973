"""What a sweep says: its plan, a line for each job, what failed and why, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from refutable._util.progress_line import duration
from refutable._util.text import counted, few, size_text
from refutable.sweep.jobs import called
from refutable.sweep.rates import START, Rates
from refutable.sweep.record import JobRecord, Outcome, Unit, counts
from refutable.sweep.shards import Shard, dealt
from refutable.sweep.survey import Planned

HEAD = ("model", "revisions", "passes", "stored", "to measure", "not here", "to read", "memory", "time")


def plan_lines(
    planned: Sequence[Planned], rates: Rates, processes: int, shard: Shard | None, all_jobs: int
) -> list[str]:
    """Return a plan as text: a row for each model, what it takes together, and from what that is estimated.

    Args:
        planned: the jobs of this shard.
        rates: by which times are estimated.
        processes: that share them.
        shard: which part of the plan, if it is cut.
        all_jobs: number of jobs of the whole plan.
    """
    rows = [HEAD, *(_row(jobs) for jobs in _by_model(planned))]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    lines = ["  ".join(_cell(row[i], widths[i], i) for i in range(len(HEAD))).rstrip() for row in rows]
    units, missing = sum(len([*one.job.units]) for one in planned), sum(one.missing for one in planned)
    part = f" (shard {shard} of {counted(all_jobs, 'job')})" if shard is not None else ""
    lines.append(
        f"plan{part}: {counted(units, 'unit')} in {counted(len(planned), 'job')}, {missing} to measure; to read"
        f" {size_text(sum(one.bytes for one in planned))}; at most"
        f" {size_text(max((one.memory.total for one in planned), default=0))} of memory a process"
    )
    if missing:
        told = "" if processes == 1 else f" with {processes} processes"
        takes = estimate(planned, processes, rates.start)
        lines.append(f"estimated time{told}: {duration(takes)}, from {rates.source}")
    if any(one.to_fetch for one in planned):
        names = [one.job.id for one in planned if one.to_fetch]
        lines.append(f"to be fetched first, so that what is stored of them is not known yet: {few(names)}")
    return lines


def estimate(planned: Sequence[Planned], processes: int, start: float = START) -> float:
    """Return how long the jobs take, dealt out to processes, in seconds.

    Args:
        planned: the jobs.
        processes: that share them.
        start: seconds in which each starts.
    """
    seconds = {one.job: one.seconds for one in planned if one.missing}
    if not seconds:
        return 0.0
    return start + max(sum(seconds[job] for job in part) for part in dealt(seconds, processes))


def job_line(record: JobRecord) -> str:
    """Return what became of a job in one line."""
    found = counts([record])
    told = ", ".join(f"{number} {outcome}" for outcome, number in found.items() if number)
    again = f", {counted(record.tries, 'try')} ({few(record.faults, most=1)})" if record.tries > 1 else ""
    return f"{called(record.model, record.revision)}: {told} in {duration(record.seconds)}{again}"


def failure_lines(records: Iterable[JobRecord]) -> Iterator[str]:
    """Yield each unit that left no trace and why; units of one subject that share a reason share a line."""
    shared: dict[tuple[str, str | None, str, Outcome, str], list[Unit]] = {}
    for unit in (unit for record in records for unit in record.units if unit.reason):
        shared.setdefault((unit.model, unit.revision, unit.subject, unit.outcome, unit.reason), []).append(unit)
    for (*_, outcome, reason), units in shared.items():
        more = f" and {len(units) - 1} more of its passes" if len(units) > 1 else ""
        yield f"{outcome.upper().replace(' ', '_')} {units[0].title}{more}: {reason}"


def end_line(records: Sequence[JobRecord], seconds: float, jobs: int) -> str:
    """Return how a sweep of so many jobs ended in one line."""
    found = counts(records)
    told = ", ".join(f"{number} {outcome}" for outcome, number in found.items() if number) or "no unit"
    retried = sum(record.tries > 1 for record in records)
    again = f"; {counted(retried, 'job')} begun again" if retried else ""
    again += f"; cut short after {len(records)} of {counted(jobs, 'job')}" if len(records) < jobs else ""
    loads, dropped = sum(record.loads for record in records), sum(record.dropped for record in records)
    again += f"; {size_text(dropped)} of weights dropped" if dropped else ""
    return (
        f"{told}; {counted(loads, 'load')}, {size_text(sum(record.bytes for record in records))} read in"
        f" {duration(seconds)}{again}"
    )


def _by_model(planned: Sequence[Planned]) -> list[list[Planned]]:
    grouped: dict[str, list[Planned]] = {}
    for one in planned:
        grouped.setdefault(one.job.base, []).append(one)
    return [*grouped.values()]


def _row(jobs: Sequence[Planned]) -> tuple[str, ...]:
    known = [unit.outcome for one in jobs for unit in one.known.values()]
    missing = sum(one.missing for one in jobs)
    stored = known.count(Outcome.STORED)
    return (
        jobs[0].job.base,
        str(len(jobs)),
        str(missing + len(known)),
        str(stored),
        str(missing),
        str(len(known) - stored),
        size_text(sum(one.bytes for one in jobs)),
        size_text(max(one.memory.total for one in jobs)),
        duration(sum(one.seconds for one in jobs)) if missing else "-",
    )


def _cell(text: str, width: int, column: int) -> str:
    return text.rjust(width) if column else text.ljust(width)
