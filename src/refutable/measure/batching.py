"""Batches: prompts sorted by length and cut where padding would cost more than another pass; token ids padded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch


def cut_batches(lengths: Sequence[int], *, overhead: int, limit: int) -> list[list[int]]:
    """Group prompts into batches of the least total cost.

    A batch costs its padded tokens plus `overhead` tokens; the cheapest cut of the sorted lengths is found exactly.

    Args:
        lengths: number of tokens of each prompt.
        overhead: what a pass costs beyond its tokens, in tokens.
        limit: most padded tokens in one batch; a single longer prompt still gets one.

    Returns:
        Indices of the prompts of each batch, longest batch first (so that memory runs out early or never).
    """
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    best = [0.0] + [float("inf")] * len(order)
    cut = [0] * (len(order) + 1)
    for end in range(1, len(order) + 1):
        longest = lengths[order[end - 1]]
        for start in range(end - 1, -1, -1):
            padded = (end - start) * longest
            if padded > limit and end - start > 1:
                break
            cost = best[start] + padded + overhead
            if cost < best[end]:
                best[end], cut[end] = cost, start
    batches = []
    end = len(order)
    while end > 0:
        batches.append(order[cut[end] : end])
        end = cut[end]
    return batches


def pad(ids: Sequence[Sequence[int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return token ids and mask, right-padded to (B, T), and the index of each prompt's last token, (B,)."""
    lengths = np.array([len(one) for one in ids])
    tokens = np.zeros((len(ids), lengths.max()), dtype=np.int64)
    for row, one in enumerate(ids):
        tokens[row, : len(one)] = one
    mask = np.arange(lengths.max())[None, :] < lengths[:, None]
    return (
        torch.from_numpy(tokens).to(device),
        torch.from_numpy(mask.astype(np.int64)).to(device),
        torch.from_numpy(lengths - 1).to(device),
    )
