"""Fetches the weights of the jobs that come next while others are measured, and drops them afterwards if asked.

A fault here is no job's fault: a job whose weights did not come fetches them itself, and reports what it meets.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Self

from refutable._util.host import free_disk
from refutable._util.text import size_text
from refutable.errors import WeightsUnavailable
from refutable.models.hub_cache import repository_folder
from refutable.models.passing import Admit, Terms
from refutable.sweep.work import Order, drop_weights, finder_for, to_fetch


class Ahead:
    """What fetches ahead in this process, for one sweep.

    Args:
        orders: in the order in which they are begun.
        most: how many may be fetched and not begun; None for as many as the disk budget allows.
        budget: bytes that this sweep may have brought and not dropped; None for as many as the disk has.
        drop: whether weights that this sweep brought are dropped after their job.
    """

    def __init__(
        self, orders: Sequence[Order], *, most: int | None = 1, budget: int | None = None, drop: bool = False
    ) -> None:
        self._orders, self._most, self._budget, self._drop = orders, most, budget, drop
        self._changed = threading.Condition()
        self._wanted = {order.job.id for order in orders if to_fetch(order) is not None}
        self._tried: set[str] = set()
        self._begun: set[str] = set()
        self._held: dict[str, Mapping[str, int]] = {}  # bytes of each blob that was fetched, by job
        self._barred: dict[str, str] = {}
        self._stopped = False

    def __enter__(self) -> Self:
        if self._wanted:
            threading.Thread(target=self._fetch_all, daemon=True).start()
        return self

    def __exit__(self, *raised: object) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def take(self, order: Order) -> Order:
        """Return an order when its weights are there, or did not come: it then fetches them itself, unless barred."""
        name = order.job.id
        with self._changed:
            self._begun.add(name)
            self._changed.notify_all()
            self._changed.wait_for(lambda: name not in self._wanted or name in self._tried or self._stopped)
            return replace(order, barred=self._barred.get(name, ""))

    def end(self, order: Order) -> int:
        """Hear that a job is done; return how many bytes of its weights were dropped."""
        if not self._drop:
            return 0
        with self._changed:
            self._held.pop(order.job.id, None)
            dropped = drop_weights(order, {blob for blobs in self._held.values() for blob in blobs})
            self._changed.notify_all()
        return dropped

    def _fetch_all(self) -> None:
        for order in self._orders:
            name = order.job.id
            subject = to_fetch(order)
            if subject is None:
                continue
            with self._changed:
                self._changed.wait_for(partial(self._near, name))
                if self._stopped:
                    return
            try:
                terms = Terms(self._drop, self._admit_for(order))
                with suppress(Exception):  # the job meets it too, and reports it
                    finder_for(order, terms).find(order.row, subject, whole=True)
            finally:
                with self._changed:
                    self._tried.add(name)
                    self._changed.notify_all()

    def _near(self, name: str) -> bool:
        """Whether a job's weights may be fetched now, by how many others wait to be begun; or the sweep was stopped."""
        if self._stopped:
            return True
        return self._most is None or name in self._begun or len(self._tried - self._begun) < self._most

    def _admit_for(self, order: Order) -> Admit:
        return partial(self._admit, order)

    def _admit(self, order: Order, blobs: Mapping[str, int]) -> None:
        """Wait until there is room for some blobs, as long as a job that runs may still make some.

        Raises:
            WeightsUnavailable: there will be none.
        """
        name, folder = order.job.id, repository_folder(str(order.row.hub))
        with self._changed:
            while not self._stopped:
                held = {blob: size for job, own in self._held.items() if job != name for blob, size in own.items()}
                size = sum(blobs[blob] for blob in blobs.keys() - held.keys())
                within = self._budget is None or sum(held.values()) + size <= self._budget
                if within and size <= free_disk(folder):
                    break
                if not self._drop or not held:  # nothing that ends will make room
                    if within:
                        break  # the disk is too small: whoever fetches says so
                    self._barred[name] = self._no_room(order, size, sum(held.values()))
                    raise WeightsUnavailable(self._barred[name])
                self._changed.wait(1.0)
            if self._stopped:
                raise WeightsUnavailable("the sweep was stopped")
            self._held[name] = {**self._held.get(name, {}), **blobs}

    def _no_room(self, order: Order, size: int, held: int) -> str:
        kept = f", and {size_text(held)} that this sweep fetched are kept" if held else ""
        fix = "raise it" if self._drop else "raise it, or add --keep-weights none"
        return (
            f"{order.job.id}: {size_text(size)} are to be fetched, more than --disk-budget"
            f" {size_text(self._budget or 0)} leaves{kept}; {fix}"
        )
