"""Cuts a plan into shards that end together: the costliest job first, each to the shard that has least to do so far."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

from refutable.errors import BadInput

MOST = 1_000_000
Item = TypeVar("Item")


class Shard(NamedTuple):
    """One part of a plan: its number, from 1, and how many there are."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def read_shard(text: str) -> Shard:
    """Return the shard that ``--shard i/n`` means.

    Raises:
        BadInput: it is not two whole numbers with 1 <= i <= n.
    """
    match = re.fullmatch(r"(\d{1,7})/(\d{1,7})", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]) <= MOST:
        raise BadInput(f"--shard {text}: write which part of how many, from 1: --shard 3/8")
    return Shard(int(match[1]), int(match[2]))


def dealt(costs: Mapping[Item, float], parts: int) -> list[list[Item]]:
    """Deal items out to parts of nearly equal cost: the longest processing time first.

    The dearest part costs at most 4/3 - 1/(3 parts) of what the best cut's does. The same costs give the same parts,
    whatever is stored; items of equal cost keep their order.

    Args:
        costs: of each item, at least 0.
        parts: how many.

    Returns:
        The items of each part, the costliest first; a part is empty where there are fewer items.
    """
    found: list[list[Item]] = [[] for _ in range(parts)]
    load = [0.0] * parts
    for item in sorted(costs, key=lambda one: -costs[one]):
        least = min(range(parts), key=lambda part: (load[part], part))
        found[least].append(item)
        load[least] += costs[item]
    return found


def of_shard(items: Sequence[Item], costs: Mapping[Item, float], shard: Shard) -> list[Item]:
    """Return the items of one shard, in the plan's order."""
    mine = set(dealt(costs, shard.of)[shard.number - 1])
    return [item for item in items if item in mine]
