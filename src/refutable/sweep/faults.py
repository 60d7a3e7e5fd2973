"""What an exception means for a unit: nothing to measure, a final error, or a fault that another try may not meet."""

from __future__ import annotations

import traceback
from pathlib import Path

from refutable._util.text import printable
from refutable.errors import HubFailed, NotMeasured, RefutableError
from refutable.sweep.record import Outcome

INFRASTRUCTURE = (HubFailed, OSError, MemoryError, EOFError)
"""Network, disk and memory of the host: the same try may succeed a moment later, or elsewhere."""


def verdict_on(error: BaseException) -> tuple[Outcome, str]:
    """Return what an exception makes of the units it prevented, and the reason in one line."""
    if isinstance(error, HubFailed):
        return Outcome.LOST, _line(str(error))
    if isinstance(error, NotMeasured):
        return Outcome.NOT_MEASURED, _line(str(error))
    if isinstance(error, RefutableError):
        return Outcome.ERROR, _line(f"{type(error).__name__}: {error}")
    told = _line(f"{type(error).__name__}: {error}")
    if isinstance(error, INFRASTRUCTURE):
        return Outcome.LOST, told
    where = traceback.extract_tb(error.__traceback__)[-1:]
    place = f" ({Path(where[0].filename).name}:{where[0].lineno})" if where else ""
    return Outcome.ERROR, f"{told}{place}; this is a fault of refutable"


def _line(text: str) -> str:
    return printable(" ".join(text.split()))
