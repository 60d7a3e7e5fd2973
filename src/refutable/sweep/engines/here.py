"""Jobs one after another in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from refutable.sweep.ahead import Ahead
from refutable.sweep.record import JobRecord
from refutable.sweep.work import Order, do


def run(orders: Sequence[Order], ahead: Ahead | None = None) -> Iterator[JobRecord]:
    """Yield the record of each job, when it is done; weights come and go as `ahead` has it."""
    with ahead or Ahead(orders) as fetching:
        for order in orders:
            record = do(fetching.take(order))
            yield replace(record, dropped=fetching.end(order))
