"""Sealed traces copied from one store to another, byte for byte."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Literal

from refutable._util.progress import task
from refutable.traces.store import Store

AT_ONCE = 8
Outcome = Literal["copied", "skipped", "damaged"]


@dataclass(frozen=True, slots=True)
class Copied:
    """What became of the traces that were to be copied.

    Attributes:
        copied: keys of those that are in the other store now.
        skipped: of those that were there, whole.
        damaged: of those that are not as they were written, and were left out.
        bytes: of what was copied.
    """

    copied: tuple[str, ...]
    skipped: tuple[str, ...]
    damaged: tuple[str, ...]
    bytes: int


def copy(source: Store, to: Store, keys: Sequence[str]) -> Copied:
    """Copy traces to another store, unless they are there whole; every seal is checked, at either end.

    Raises:
        OSError: a folder cannot be read or written.
        StoreUnavailable: a store does not answer, or refuses. What was copied until then stays.
    """
    there = {one.key for one in to.stored(described=False)}
    with task(f"copying from {source} to {to}", total=len(keys), unit="traces") as copying:
        pool = ThreadPoolExecutor(AT_ONCE)
        try:
            found = []
            for one in pool.map(partial(_copied, source, to, there), keys):
                copying.advance()
                found.append(one)
        finally:
            pool.shutdown(cancel_futures=True)
    of = {what: tuple(key for key, (done, _) in zip(keys, found, strict=True) if done == what) for what in _OUTCOMES}
    return Copied(of["copied"], of["skipped"], of["damaged"], sum(size for _, size in found))


_OUTCOMES: tuple[Outcome, ...] = ("copied", "skipped", "damaged")


def _copied(source: Store, to: Store, there: set[str], key: str) -> tuple[Outcome, int]:
    if key in there and to.is_whole(key):
        return "skipped", 0
    sealed = source.sealed(key)
    if sealed is None:
        return "damaged", 0
    to.put_sealed(key, sealed)
    return "copied", sealed.size


def damaged(store: Store, keys: Sequence[str]) -> list[str]:
    """Return the keys of traces that are not stored as they were written; errors as `copy`."""
    with task(f"verifying {store}", total=len(keys), unit="traces") as verifying:
        pool = ThreadPoolExecutor(AT_ONCE)
        try:
            found = []
            for key, whole in zip(keys, pool.map(store.is_whole, keys), strict=True):
                verifying.advance()
                if not whole:
                    found.append(key)
        finally:
            pool.shutdown(cancel_futures=True)
    return found
