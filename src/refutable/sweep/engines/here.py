"""Jobs one after another in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from refutable.sweep.record import JobRecord
from refutable.sweep.work import Order, do


def run(orders: Iterable[Order]) -> Iterator[JobRecord]:
    """Yield the record of each job, when it is done."""
    return map(do, orders)
