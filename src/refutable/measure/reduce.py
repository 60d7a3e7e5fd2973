"""Blocks' tapped vectors, reduced to the primitives of a trace: 25 numbers a position, in float32, on the device.

The reference is plain torch and runs anywhere. On CUDA one fused kernel reads each vector once (`reduce_fused`):
written out in torch the same takes some fifty launches a block and several times the memory traffic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from refutable.measure.reduce_fused import can_fuse, reduce_fused
from refutable.trace import INPUT_TAPS, PRODUCTS, STREAM_TAPS, UPDATE_TAPS, Tap

TAPS: tuple[Tap, ...] = (*STREAM_TAPS, *INPUT_TAPS)
REDUCED = 2 * len(TAPS) + len(STREAM_TAPS) + 2 * len(PRODUCTS) + 1

Vectors = Mapping[Tap, torch.Tensor]


def reduce_blocks(blocks: Sequence[Vectors], scale: float = 1.0) -> torch.Tensor:
    """Reduce the tapped vectors of one block or of several.

    Args:
        blocks: for each block the vector of each tap, shape (B, T, D) or, for a flattened module, (B * T, D); both
            update taps may be absent.
        scale: factor that a block puts on both updates.

    Returns:
        Shape (blocks, B, T, REDUCED), float32: norms and centred norms (of `TAPS`), means (of `STREAM_TAPS`),
        `PRODUCTS` raw and centred, the closure residual. What an absent tap would have given is NaN.
    """
    x = blocks[0]["block_input"]
    if can_fuse(x) and all(block["block_input"].device == x.device for block in blocks):
        vectors = [[block.get(tap) for tap in TAPS] for block in blocks]
        return reduce_fused(vectors, scale).view(len(blocks), *x.shape[:2], REDUCED)
    return torch.stack([reduce_reference(block, scale).to(x.device) for block in blocks])


def reduce_reference(seen: Vectors, scale: float = 1.0) -> torch.Tensor:
    """Reduce one block in plain torch, to (B, T, REDUCED); see `reduce_blocks`."""
    batch, length, width = seen["block_input"].shape
    present = [tap for tap in TAPS if tap in seen]
    index = {tap: i for i, tap in enumerate(present)}
    stack = torch.stack([seen[tap].reshape(batch, length, width) for tap in present]).float()  # (taps, B, T, D)
    if scale != 1.0:
        stack[[index[tap] for tap in present if tap in UPDATE_TAPS]] *= scale
    mean = stack.mean(dim=-1)  # (taps, B, T)
    nothing = torch.full((batch, length), torch.nan, device=stack.device)
    closure = nothing
    if all(tap in index for tap in UPDATE_TAPS):
        x_in, x_out, a, m = (stack[index[tap]] for tap in STREAM_TAPS)
        closure = torch.linalg.vector_norm(x_out - x_in - a - m, dim=-1)

    def norms() -> list[torch.Tensor]:
        return of(torch.linalg.vector_norm(stack, dim=-1), TAPS)

    def of(values: torch.Tensor, taps: Sequence[Tap]) -> list[torch.Tensor]:
        return [values[index[tap]] if tap in index else nothing for tap in taps]

    def products() -> list[torch.Tensor]:
        pairs = [(index.get(a), index.get(b)) for a, b in PRODUCTS]
        return [
            torch.linalg.vecdot(stack[a], stack[b]) if a is not None and b is not None else nothing for a, b in pairs
        ]

    raw_norms, raw_products = norms(), products()
    stack -= mean[..., None]
    columns = (*raw_norms, *norms(), *of(mean, STREAM_TAPS), *raw_products, *products(), closure)
    return torch.stack(columns).movedim(0, -1)  # (B, T, REDUCED)
