"""Everything that can go wrong, as a tree.

RefutableError
├── BadInput             what a user wrote or handed over cannot be used; ends the run with one clean message
│   └── UnknownName      a name that is in no registry; carries the nearest known one
├── NotMeasured          there is nothing to measure with here, and why: the only way to the verdict NOT_MEASURED
│   ├── WeightsUnavailable   weights are absent, gated, offline or too large for the device
│   │   └── HubUnreachable       the hub does not answer, and is not asked again in this run
│   └── NoSuchTap            this architecture has no such quantity (a post-norm block adds no updates)
├── InstrumentError      the measurement cannot be believed: an ERROR, never a number
│   ├── ClosureError     x_out - x_in is not the sum of the updates
│   └── NonFiniteError   NaN or infinity in a primitive that a claim reads
└── Undecidable          these data cannot be tested by this statistic: INCONCLUSIVE, with the reason
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RefutableError(Exception):
    """The root of this project's exceptions; its text is meant for the user."""


class BadInput(RefutableError):
    """What a user wrote or handed over cannot be used: where, what, what is allowed, the fix."""


class UnknownName(BadInput):
    """A name that is in no registry.

    Args:
        kind: what was looked up ("metric", "model").
        name: the name that is not known.
        known: every name that is.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        super().__init__(f"unknown {kind} {name!r}; known: {', '.join(names)}.{did_you_mean(name, names)}")


class NotMeasured(RefutableError):
    """There is nothing to measure with here; `fix` is the command that would change it, when there is one."""

    def __init__(self, reason: str, fix: str = "") -> None:
        super().__init__(f"{reason}. To measure: {fix}" if fix else reason)
        self.reason = reason
        self.fix = fix


class WeightsUnavailable(NotMeasured):
    """Weights are absent, gated, offline or too large for the device."""


class HubUnreachable(WeightsUnavailable):
    """The hub does not answer; it is not asked again in this run, since every try takes its client's retries."""


class NoSuchTap(NotMeasured):
    """This architecture has no such quantity, so no run could measure it."""


class InstrumentError(RefutableError):
    """The measurement cannot be believed, so there is no number."""


class ClosureError(InstrumentError):
    """A block's output is not its input plus the two updates that were read."""


class NonFiniteError(InstrumentError):
    """NaN or infinity in a primitive that a claim reads."""


class Undecidable(RefutableError):
    """These data cannot be tested by this statistic; the verdict is INCONCLUSIVE and this says why."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the nearest known name, or an empty string when none is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""
