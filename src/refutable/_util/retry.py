"""Trying again what may pass: a share that hangs, a server that is busy."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

PAUSES = (0.2, 1.0, 3.0)  # seconds between one attempt and the next
PATIENCE = 20.0  # seconds after which nothing is tried again: the client below has tried for so long itself
PASSING = frozenset(
    getattr(errno, name)
    for name in ("EAGAIN", "EBUSY", "EINTR", "EIO", "EREMOTEIO", "ESTALE", "ETIMEDOUT", "EHOSTDOWN", "ENETDOWN")
    if hasattr(errno, name)
)
T = TypeVar("T")


_BY_NAME = frozenset(  # of botocore, aiohttp, requests and fsspec, which need not be installed
    ("ConnectionError", "HTTPClientError", "ClientConnectionError", "ClientPayloadError", "IncompleteRead", "Timeout")
)


def may_pass(error: Exception) -> bool:
    """Whether the same request may succeed a moment later: a fault of what lies between, not of what was asked."""
    if isinstance(error, TimeoutError) or not _BY_NAME.isdisjoint(kind.__name__ for kind in type(error).__mro__):
        return True
    return isinstance(error, OSError) and error.errno in PASSING


def tried_again(action: Callable[[], T], pauses: Sequence[float] | None = None) -> T:
    """Do something, and again after a pause for as long as its fault may pass; raises what the last attempt raised."""
    started = time.monotonic()
    for pause in PAUSES if pauses is None else pauses:
        try:
            return action()
        except Exception as error:
            if not may_pass(error) or time.monotonic() - started > PATIENCE:
                raise
        time.sleep(pause)
    return action()
