"""Cuts prompts into batches: sorted by length, split where padding would cost more than another pass.

It needs no torch, so that what a pass will take can be said before torch is there.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

OVERHEAD = {"cpu": 24, "cuda": 512, "mps": 512}  # what a pass costs beside its tokens, in tokens
LIMIT = {"cpu": 8192, "cuda": 65536, "mps": 8192}  # padded tokens of one batch at most


def cut_batches(lengths: Sequence[int], *, overhead: int, limit: int, switches: Sequence[int] = ()) -> list[list[int]]:
    """Group prompts into batches of the least total cost, none of which has prompts on both sides of a switch.

    Args:
        lengths: number of tokens of each prompt.
        overhead: fixed cost of a pass, in tokens.
        limit: most padded tokens in one batch; a single longer prompt still gets its own.
        switches: as `switch_lengths`.

    Returns:
        Prompt indices of each batch, longest batch first (so that memory runs out early or never).
    """
    sides: dict[int, list[int]] = {}
    for i, length in enumerate(lengths):
        sides.setdefault(bisect_left(switches, length), []).append(i)
    return [
        [side[i] for i in batch]
        for _, side in sorted(sides.items(), reverse=True)
        for batch in _cheapest([lengths[i] for i in side], overhead, limit)
    ]


def _cheapest(lengths: Sequence[int], overhead: int, limit: int) -> list[list[int]]:
    """Return the cut of least total cost.

    A batch costs its padded tokens plus `overhead` tokens; the cheapest cut of the sorted lengths is found exactly.
    """
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    ends = [at for at in range(1, len(order) + 1) if at == len(order) or lengths[order[at]] > lengths[order[at - 1]]]
    best, cut = {0: 0}, {0: 0}
    for start in range(len(order)):  # a batch ends where the length changes or where it is full
        if start not in best:
            continue
        for end in (end for end in ends if end > start):
            longest = lengths[order[end - 1]]
            full = start + max(1, limit // longest)
            at = min(end, full)
            if lengths[order[at - 1]] < longest:
                break
            cost = best[start] + (at - start) * longest + overhead
            if at not in best or cost < best[at]:
                best[at], cut[at] = cost, start
            if full < end:
                break
    batches = []
    end = len(order)
    while end > 0:
        batches.append(order[cut[end] : end])
        end = cut[end]
    return batches
