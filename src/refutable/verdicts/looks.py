"""Looks: on which prompts a claim was tried on a subject before, and what trying it again does to its error rate.

Whoever adds prompts until a claim is decided errs more often than alpha, unless one statistic's rates hold at every
look and each look only added prompts to those before. Looks are at the same thing if the claim, by its id, predicts the
same of the same numbers of the same weights (`MeasuredClaim.hypothesis`, `VerdictRow.looked_at`), by whatever
statistic: another prediction is another hypothesis, but another way of judging numbers that were seen is one more try.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field


@dataclass(frozen=True, slots=True)
class Look:
    """One trial of a claim on a subject.

    Attributes:
        prompts: how many prompts the set had.
        links: the last link of the set's hash chain; of a statistic whose rates hold at every look, the link after each
            prompt, which proves that an earlier set is how this one begins.
        anytime: whether the statistic's rates hold at every look.
        statistic: by which statistic, with its version; empty if that was not written down.
        hypothesis: what was predicted of what, as a hash; empty if that was not written down.
    """

    prompts: int
    links: Annotated[tuple[str, ...], Field(min_length=1)]
    anytime: bool = False
    statistic: str = ""
    hypothesis: str = ""

    def extends(self, other: Look) -> bool:
        """Whether its prompts begin with those of another look, as far as its links show."""
        return len(self.links) >= other.prompts > 0 and self.links[other.prompts - 1] == other.links[-1]

    def of_one_hypothesis(self, other: Look) -> bool:
        """Whether another look was at the same hypothesis; one that does not say which may have been."""
        return "" in (self.hypothesis, other.hypothesis) or self.hypothesis == other.hypothesis

    def repeats(self, other: Look) -> bool:
        """Whether another look was at the same prompts by the same statistic, as far as it says which."""
        named = self.statistic in ("", other.statistic)
        return named and (self.links[-1], self.anytime) == (other.links[-1], other.anytime)

    def keeps_rate_of(self, other: Look) -> bool:
        """Whether its error rate is also that of both looks together."""
        one = self.anytime and other.anytime and self.statistic == other.statistic != ""
        return one and self.extends(other)


History = dict[tuple[str, ...], tuple[Look, ...]]
"""Looks by what was looked at (`VerdictRow.looked_at`)."""


def looks_after(earlier: Iterable[Look], own: Look) -> tuple[Look, ...]:
    """Return all looks at a look's hypothesis, its own last; the same prompts count once for each statistic."""
    before = (look for look in earlier if look.of_one_hypothesis(own) and not look.repeats(own))
    return (*dict.fromkeys(before), own)


def label_of(looks: tuple[Look, ...]) -> tuple[str, ...]:
    """Return the label of the last of some looks: which it is among those on fewer prompts; none for the first."""
    if not looks:
        return ()
    *earlier, own = looks
    fewer = [look for look in earlier if look.prompts < own.prompts]
    if not fewer:
        return ()
    number = len({look.links[-1] for look in fewer}) + 1
    return (f"look {number}" + (" (anytime)" if all(map(own.keeps_rate_of, fewer)) else ""),)


def merged(*histories: History) -> History:
    """Return the looks of several reports together, by what was looked at."""
    found: History = {}
    for history in histories:
        for key, looks in history.items():
            found[key] = tuple(dict.fromkeys((*found.get(key, ()), *looks)))
    return found
