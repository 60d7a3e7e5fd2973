"""Looks: on which prompts a claim was tried on a subject before, and what trying it again does to its error rate.

Whoever adds prompts until a claim is decided errs more often than alpha, unless the statistic's rates hold at every
look and each look only added prompts to those before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Look:
    """One trial of a claim on a subject.

    Attributes:
        prompts: how many prompts the set had.
        links: the last link of the set's hash chain; of a statistic whose rates hold at every look, the link after each
            prompt, which proves that an earlier set is how this one begins.
        anytime: whether the statistic's rates hold at every look.
    """

    prompts: int
    links: tuple[str, ...]
    anytime: bool = False

    def extends(self, other: Look) -> bool:
        """Whether its prompts begin with those of another look, as far as its links show."""
        return len(self.links) >= other.prompts > 0 and self.links[other.prompts - 1] == other.links[-1]


History = dict[tuple[str, ...], tuple[Look, ...]]
"""Looks by what was looked at (`VerdictRow.looked_at`)."""


def looks_after(earlier: Iterable[Look], own: Look) -> tuple[Look, ...]:
    """Return all looks, a look's own last; the same prompts count once."""
    before = (look for look in earlier if look.links[-1] != own.links[-1])
    return (*dict.fromkeys(before), own)


def label_of(looks: tuple[Look, ...]) -> tuple[str, ...]:
    """Return the label of the last of some looks: which it is among those on fewer prompts; none for the first."""
    if not looks:
        return ()
    *earlier, own = looks
    fewer = [look for look in earlier if look.prompts < own.prompts]
    if not fewer:
        return ()
    keeps = own.anytime and all(look.anytime and own.extends(look) for look in fewer)
    return (f"look {len(fewer) + 1}" + (" (anytime)" if keeps else ""),)


def merged(*histories: History) -> History:
    """Return the looks of several reports together, by what was looked at."""
    found: History = {}
    for history in histories:
        for key, looks in history.items():
            found[key] = tuple(dict.fromkeys((*found.get(key, ()), *looks)))
    return found
