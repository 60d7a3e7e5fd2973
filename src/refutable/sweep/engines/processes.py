"""Jobs in several processes of this host, each of which takes the next job when it is done: one a GPU, or several."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection

from refutable.sweep.ahead import Ahead
from refutable.sweep.record import JobRecord, Outcome, lost
from refutable.sweep.work import Order, do, unit_record

SPAWN = multiprocessing.get_context("spawn")  # a fork of a process that has used CUDA, or threads, is none


def run(orders: Sequence[Order], slots: Sequence[Mapping[str, str]], ahead: Ahead | None = None) -> Iterator[JobRecord]:
    """Yield the record of each job, when it is done.

    A process that dies is replaced, and its job is begun again, as often as its order says; each death is recorded.

    Args:
        orders: the costliest first, so that all processes end together.
        slots: for each process, variables of its environment, such as the one GPU that it sees.
        ahead: fetches weights, in this process.
    """
    waiting, done = deque(orders), queue.SimpleQueue[JobRecord | None]()
    slots = slots[: max(len(orders), 1)]
    stopped = threading.Event()
    running = len(slots)
    with ahead or Ahead(orders, most=running) as fetching:
        for slot in slots:
            threading.Thread(target=_serve, args=(slot, waiting, done, stopped, fetching), daemon=True).start()
        try:
            while running:
                record = done.get()
                if record is None:
                    running -= 1
                else:
                    yield record
        finally:
            stopped.set()


class Worker:
    """A process that does jobs, seen from the one that hands them out."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._here, there = SPAWN.Pipe()
        self._process = SPAWN.Process(target=_work, args=(there, dict(environment), time.time()), daemon=True)
        self._process.start()
        there.close()

    def do(self, order: Order, stopped: threading.Event) -> JobRecord:
        """Return the record of a job.

        Raises:
            EOFError: the process died; the message says of what.
        """
        try:
            self._here.send(order)
            while not self._here.poll(0.2):
                if stopped.is_set():
                    self._process.kill()
            record: JobRecord = self._here.recv()
        except (EOFError, OSError):
            self._process.join()
            raise EOFError(died(self._process.exitcode)) from None
        return record

    def close(self) -> None:
        """Let the process end."""
        with suppress(OSError):
            self._here.close()
        self._process.join(5)


def died(status: int | None) -> str:
    """Return what a process died of, in words."""
    if status == -signal.SIGKILL:
        return "its process was killed (signal 9: out of memory, or by hand)"
    if status is not None and status < 0:
        return f"its process died of signal {-status}"
    return f"its process ended with status {status}"


def _serve(
    slot: Mapping[str, str],
    waiting: deque[Order],
    done: queue.SimpleQueue[JobRecord | None],
    stopped: threading.Event,
    ahead: Ahead,
) -> None:
    """Hand out jobs to one process after another, until none is left."""
    worker: Worker | None = None
    while not stopped.is_set():
        try:
            order = ahead.take(waiting.popleft())
        except IndexError:
            break
        faults: list[str] = []
        record: JobRecord | None = None
        while record is None and len(faults) < max(order.tries, 1) and not stopped.is_set():
            worker = worker or Worker(slot)
            try:
                record = worker.do(order, stopped)
            except EOFError as error:
                faults.append(str(error))
                worker = None
        dropped = ahead.end(order)
        if record is None:
            told = faults[-1] if faults else "the sweep was stopped"
            units = (unit_record(*unit, Outcome.LOST, told) for unit in order.job.units)
            done.put(replace(lost(order.job, units, faults), dropped=dropped))
        else:
            faults_of_both = (*faults, *record.faults)
            done.put(replace(record, tries=record.tries + len(faults), faults=faults_of_both, dropped=dropped))
    if worker is not None:
        worker.close()
    done.put(None)


def _work(orders: Connection, environment: Mapping[str, str], born: float) -> None:
    """Do the jobs that come, until whoever sends them is gone; `born` is when this process was begun."""
    ready = max(time.time() - born, 0.0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that hands out jobs
    os.environ.update(environment)
    with suppress(EOFError, OSError):
        while True:
            record = do(orders.recv())
            orders.send(replace(record, starting=round(record.starting + ready, 3), seconds=record.seconds + ready))
            ready = 0.0
