"""The tree of exceptions.

RefutableError
├── BadInput             the user's input cannot be used; ends the run with one clean message
│   └── UnknownName      a name is in no registry; the message suggests the nearest known one
├── NotMeasured          nothing can be measured here, and why: the only way to the verdict NOT_MEASURED
│   ├── WeightsUnavailable   weights are absent, gated, offline or too large for the device
│   │   └── HubFailed            the hub failed in a way that may pass: a server error, a rate limit, a broken line
│   │       └── HubUnreachable       it does not answer at all, and is not asked again in this run
│   ├── StoreReadOnly        what is measured could not be stored, so nothing is
│   └── NoSuchTap            this architecture has no such quantity (a post-norm block adds no updates)
├── StoreUnavailable     the store of traces does not answer, or refuses: an ERROR, never "not stored"
├── InstrumentError      the measurement cannot be trusted: an ERROR, never a number
│   ├── ClosureError     x_out - x_in is not the sum of the updates
│   └── NonFiniteError   NaN or infinity in a primitive that a claim reads
└── Undecidable          this statistic cannot test these data: INCONCLUSIVE, with the reason
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RefutableError(Exception):
    """The base class of this project's exceptions; its text is meant for the user."""


class BadInput(RefutableError):
    """The user's input cannot be used: where, what, what is allowed, the fix."""


class UnknownName(BadInput):
    """A name is not among the known names of its kind, such as "metric" or "model"."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        super().__init__(f"unknown {kind} {name!r}; known: {', '.join(names)}.{did_you_mean(name, names)}")


class NotMeasured(RefutableError):
    """Nothing can be measured here; `fix` is the command that would change this, if there is one."""

    def __init__(self, reason: str, fix: str = "") -> None:
        super().__init__(f"{reason}. To measure: {fix}" if fix else reason)
        self.reason = reason
        self.fix = fix


class WeightsUnavailable(NotMeasured):
    """Weights are absent, gated, offline or too large for the device."""


class HubFailed(WeightsUnavailable):
    """The hub failed in a way that may pass by itself, and went on failing as often as it was asked."""


class HubUnreachable(HubFailed):
    """The hub does not answer; it is not asked again in this run, since each request waits for its client's retries."""


class StoreReadOnly(NotMeasured):
    """The store of traces can be read and not written, so that nothing is measured into it."""


class NoSuchTap(NotMeasured):
    """This architecture has no such quantity, so no run could measure it."""


class StoreUnavailable(RefutableError):
    """The store of traces does not answer, or refuses; whether it holds a trace is not known."""


class InstrumentError(RefutableError):
    """The measurement cannot be trusted, so there is no number."""


class ClosureError(InstrumentError):
    """A block's output is not its input plus the two updates that were read."""


class NonFiniteError(InstrumentError):
    """NaN or infinity in a primitive that a claim reads."""


class Undecidable(RefutableError):
    """This statistic cannot test these data, so the verdict is INCONCLUSIVE."""


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return ``" Did you mean 'x'?"`` for the nearest known name, or an empty string if none is near.

    Args:
        name: as it was written.
        known: the names that it may mean.
        cutoff: from which share of common letters on, from 0 to 1, a name is near.
    """
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f" Did you mean {near[0]!r}?" if near else ""
