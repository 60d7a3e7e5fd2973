"""Jobs as tasks of Ray Core: one task a job, with the GPUs and the memory that it needs.

Nothing but records comes back, and the store is the only state. A task is begun again only where its process or its
host died: the driver does that itself, so that each such fault is recorded. Where the driver dies, what was stored is
stored, and the same command asks for what is missing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from refutable._util.text import first_line
from refutable.errors import BadInput
from refutable.sweep.record import JobRecord, Outcome, lost
from refutable.sweep.work import Order, do_and_drop, unit_record

LOCAL = "ray"
REMOTE = "ray://"
INSTALL = "pip install 'refutable[ray]'"
LEAST_SHARE = 0.05  # of a GPU, which bounds how many processes share one


def run(orders: Sequence[Order], address: str | None, needs: Mapping[str, Mapping[str, float]]) -> Iterator[JobRecord]:
    """Yield the record of each job, when it is done.

    Args:
        orders: the costliest first.
        address: of the cluster: ``ray://host:port``, ``host:port``, ``auto``, or None to start one on this host.
        needs: by a job's id, what it asks of its host (`resources`).

    Raises:
        BadInput: Ray is not installed, or no cluster answers there.
    """
    ray = _connected(address)
    task = ray.remote(max_retries=0)(do_and_drop)
    faults: dict[str, list[str]] = {order.job.id: [] for order in orders}

    def begin(order: Order) -> Any:
        return task.options(name=order.job.id, **needs[order.job.id]).remote(order)

    running: dict[Any, Order] = {}
    try:
        for order in orders:
            wanting = _too_much(ray, needs[order.job.id])
            if wanting:
                units = (unit_record(*unit, Outcome.NOT_MEASURED, wanting) for unit in order.job.units)
                yield lost(order.job, units, ())
            else:
                running[begin(order)] = order
        while running:
            (ready, *_), _ = ray.wait(list(running))
            order = running.pop(ready)
            known = faults[order.job.id]
            try:
                record: JobRecord = ray.get(ready)
            except ray.exceptions.RayError as error:
                known.append(f"{type(error).__name__}: {first_line(error)}")
                if len(known) < max(order.tries, 1):
                    running[begin(order)] = order
                else:
                    units = (unit_record(*unit, Outcome.LOST, known[-1]) for unit in order.job.units)
                    yield lost(order.job, units, known)
            else:
                yield replace(record, tries=record.tries + len(known), faults=(*known, *record.faults))
    finally:
        ray.shutdown()


def resources(memory: int, device: str, of_one: int) -> dict[str, float]:
    """Return what a task asks of its host.

    Args:
        memory: bytes that it takes on its device, by the forecast.
        device: type of the device.
        of_one: bytes of one GPU.
    """
    if device != "cuda":
        return {"num_cpus": 1, "num_gpus": 0, "memory": memory}
    share = 1.0 if memory > of_one / 2 else max(LEAST_SHARE, 1 / int(of_one // max(memory, 1)))
    return {"num_cpus": 1, "num_gpus": round(share + 0.00005, 4) if share < 1 else 1}


def address_of(on: str) -> str | None:
    """Return the address in ``--on ray[://address]``; None for a cluster that is started on this host.

    Raises:
        BadInput: it names no engine that is known.
    """
    if on == LOCAL:
        return os.environ.get("RAY_ADDRESS")
    if on.startswith(REMOTE) and on != REMOTE:
        there = on.removeprefix(REMOTE)
        return "auto" if there == "auto" else there
    raise BadInput(f"--on {on}: unknown engine; write ray, ray://auto or ray://HOST:PORT, or leave it out")


def _connected(address: str | None) -> Any:
    try:
        import ray
    except ImportError:
        raise BadInput(f"--on ray needs Ray, which is not installed here: {INSTALL}") from None
    own: dict[str, Any] = {"include_dashboard": False} if address is None else {"address": address}
    try:
        ray.init(log_to_driver=False, configure_logging=False, **own)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise BadInput(f"--on ray://{address}: no cluster of Ray answers there ({first_line(error)})") from None
    return ray


def _too_much(ray: Any, needs: Mapping[str, float]) -> str:
    """Return why no host of the cluster can ever run a task, or an empty string; Ray itself would wait for one."""
    hosts = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    names = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}
    asked = {names[name]: amount for name, amount in needs.items() if amount}
    if not hosts or any(all(host.get(name, 0) >= amount for name, amount in asked.items()) for host in hosts):
        return ""
    told = ", ".join(f"{size / 1e9:.1f} GB" if name == "memory" else f"{size:g} {name}" for name, size in asked.items())
    return f"no host of the cluster has {told} free of other uses; add a larger one, or --dtype bfloat16"
