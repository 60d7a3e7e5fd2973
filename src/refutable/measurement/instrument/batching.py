"""Batches: prompts sorted by length, split where padding would cost more than another pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch


def cut_batches(lengths: Sequence[int], *, overhead: int, limit: int) -> list[list[int]]:
    """Group prompts into batches of the least total cost.

    A batch costs its padded tokens plus `overhead` tokens; the cheapest split of the sorted lengths is found exactly.

    Args:
        lengths: number of tokens of each prompt.
        overhead: fixed cost of a pass, in tokens.
        limit: most padded tokens in one batch; a single longer prompt still gets its own.

    Returns:
        Prompt indices of each batch, longest batch first (so that memory runs out early or never).
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


class Padded(NamedTuple):
    """Prompts of one batch, right-padded, on the device."""

    tokens: torch.Tensor  # ids, (B, T)
    mask: torch.Tensor  # 1 at a token, 0 at padding, (B, T)
    last: torch.Tensor  # index of each prompt's last token, (B,)
    ends: torch.Tensor  # the distinct values of `last`, ascending
    end_of: torch.Tensor  # each prompt's index into `ends`, (B,)
    real: torch.Tensor  # positions that hold a token, as indices into B * T, (tokens,)


def pad(ids: Sequence[Sequence[int]], device: torch.device) -> Padded:
    """Pad a batch on the host, where indexing never waits for the device."""
    lengths = np.array([len(one) for one in ids])
    tokens = np.zeros((len(ids), lengths.max()), dtype=np.int64)
    for row, one in enumerate(ids):
        tokens[row, : len(one)] = one
    mask = np.arange(lengths.max())[None, :] < lengths[:, None]
    ends, end_of = np.unique(lengths - 1, return_inverse=True)
    parts = (tokens, mask.astype(np.int64), lengths - 1, ends, end_of, np.flatnonzero(mask))
    return Padded(*(torch.from_numpy(part).to(device) for part in parts))
