"""The reduction of a block as one Triton kernel: a program a position, each vector read from memory once.

The columns are those of `reduce.reduce_block`, in its order; tests hold the two to each other.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence

import torch

COLUMNS = 21
_BLOCK = 1024


@functools.cache
def fused_available() -> bool:
    """Whether Triton is installed (it comes with torch's CUDA builds on Linux)."""
    return importlib.util.find_spec("triton") is not None


def reduce_fused(vectors: Sequence[torch.Tensor | None], scale: float) -> torch.Tensor:
    """Reduce six tapped vectors; None, for both updates or neither, is an absent tap.

    Args:
        vectors: in the order of `reduce.TAPS`, each (..., D) with D last, on one CUDA device.
        scale: factor on both updates.

    Returns:
        Shape (positions, COLUMNS), float32.
    """
    first = vectors[0]
    assert first is not None
    width = first.shape[-1]
    rows = first.numel() // width
    has_updates = vectors[2] is not None and vectors[3] is not None
    flat = [(first if v is None else v).reshape(rows, width) for v in vectors]  # (positions, D)
    flat = [v if v.stride(1) == 1 else v.contiguous() for v in flat]
    out = torch.empty(rows, COLUMNS, device=first.device, dtype=torch.float32)
    from refutable.measure.reduce_kernel import kernel

    with torch.cuda.device(first.device):
        kernel[(rows,)](
            *flat, out, *(v.stride(0) for v in flat), width, scale, has_updates, _BLOCK, COLUMNS, num_warps=4
        )
    return out
