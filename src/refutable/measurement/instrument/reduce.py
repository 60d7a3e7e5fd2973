"""Reduces tapped vectors to the 25 primitives per position, in float32, on the device.

The reference is plain torch and runs anywhere. On CUDA one fused kernel (`reduce_fused`) reads each vector once; plain
torch would need about fifty launches per block and several times the memory traffic.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import torch

from refutable.measurement.instrument.reduce_fused import can_fuse, reduce_fused
from refutable.traces.trace import INPUT_TAPS, PRODUCTS, STREAM_TAPS, UPDATE_TAPS, Tap

TAPS: tuple[Tap, ...] = (*STREAM_TAPS, *INPUT_TAPS)
REDUCED = 2 * len(TAPS) + len(STREAM_TAPS) + 2 * len(PRODUCTS) + 1

Vectors = Mapping[Tap, torch.Tensor]


def reduce_blocks(blocks: Sequence[Vectors], scale: float = 1.0) -> torch.Tensor:
    """Reduce the tapped vectors of one or more blocks.

    Args:
        blocks: each block's vectors by tap, shape (B, T, D) or, from a flattened module, (B * T, D); both update taps
            may be absent.
        scale: factor a block applies to both updates.

    Returns:
        Shape (blocks, B, T, REDUCED), float32: norms and centred norms (of `TAPS`), means (of `STREAM_TAPS`),
        `PRODUCTS` raw and centred, the closure residual. Columns that need an absent tap are NaN.
    """
    x = blocks[0]["block_input"]
    if can_fuse(x) and all(block["block_input"].device == x.device for block in blocks):
        vectors = [[block.get(tap) for tap in TAPS] for block in blocks]
        return reduce_fused(vectors, scale).view(len(blocks), *x.shape[:2], REDUCED)
    return torch.stack([reduce_reference(block, scale).to(x.device) for block in blocks])


def reduce_reference(seen: Vectors, scale: float = 1.0) -> torch.Tensor:
    """Reduce one block in plain torch, to (B, T, REDUCED); see `reduce_blocks`.

    One small matrix product gives all inner products of a position: on a CPU each extra call costs as much as the sums.
    """
    batch, length, width = seen["block_input"].shape
    present = tuple(tap for tap in TAPS if tap in seen)
    stack = torch.stack([seen[tap].reshape(batch, length, width) for tap in present], dim=2).float()  # (B, T, taps, D)
    if scale != 1.0:
        stack[:, :, [present.index(tap) for tap in UPDATE_TAPS if tap in present]] *= scale
    mean = stack.mean(dim=-1, keepdim=True)  # (B, T, taps, 1)
    raw = stack @ stack.mT  # (B, T, taps, taps)
    closure = None
    if all(tap in present for tap in UPDATE_TAPS):
        x_in, x_out, a, m = (stack[:, :, i] for i in range(len(STREAM_TAPS)))
        closure = torch.linalg.vector_norm(x_out - x_in - a - m, dim=-1)  # (B, T)
    stack -= mean
    centred = stack @ stack.mT
    out = torch.full((batch, length, REDUCED), torch.nan, device=stack.device)
    for (columns, entries), products in zip(_places(present), (raw, centred, raw, centred), strict=True):
        values = products.flatten(2)[..., entries]
        out[..., columns] = values.sqrt() if columns[0] < 2 * len(TAPS) else values
    means = [2 * len(TAPS) + i for i, tap in enumerate(STREAM_TAPS) if tap in present]
    out[..., means] = mean[:, :, [present.index(tap) for tap in STREAM_TAPS if tap in present], 0]
    if closure is not None:
        out[..., -1] = closure
    return out


def centred(vectors: torch.Tensor) -> torch.Tensor:
    """Return vectors less their mean over the last axis."""
    return vectors - vectors.mean(dim=-1, keepdim=True)


def both_norms(vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the raw and the mean-centred norm over the last axis, in float32."""
    vectors = vectors.float()
    return vectors.norm(dim=-1), centred(vectors).norm(dim=-1)


@functools.cache
def _places(present: tuple[Tap, ...]) -> tuple[tuple[list[int], list[int]], ...]:
    """Return columns and matching entries of the flattened inner products: norms, products, each raw and centred."""
    at = {tap: i for i, tap in enumerate(present)}
    norms = [(i, at[tap] * len(at) + at[tap]) for i, tap in enumerate(TAPS) if tap in at]
    pairs = [(i, at[a] * len(at) + at[b]) for i, (a, b) in enumerate(PRODUCTS) if a in at and b in at]
    products = 2 * len(TAPS) + len(STREAM_TAPS)
    moved = ((norms, 0), (norms, len(TAPS)), (pairs, products), (pairs, products + len(PRODUCTS)))
    return tuple(([start + i for i, _ in places], [entry for _, entry in places]) for places, start in moved)
