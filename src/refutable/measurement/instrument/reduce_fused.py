"""The reduction as one Triton kernel: one program per position, each vector read once.

Columns are in the order of `reduce.reduce_blocks`; tests compare the two.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence

import torch

COLUMNS = 25
MAX_WIDTH = 8192
_WARPS = 4


@functools.cache
def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None


def can_fuse(x: torch.Tensor) -> bool:
    """Whether a vector of the stream can be reduced here: on CUDA, with Triton (which torch brings along on Linux)."""
    return x.is_cuda and x.shape[-1] <= MAX_WIDTH and _has_triton()


def reduce_fused(blocks: Sequence[Sequence[torch.Tensor | None]], scale: float) -> torch.Tensor:
    """Reduce the six tapped vectors of each block.

    Args:
        blocks: each block's vectors in the order of `reduce.TAPS`, each (..., D), all on one CUDA device and in one
            dtype; an absent tap is None, which both updates are or neither.
        scale: factor on both updates.

    Returns:
        Shape (blocks, positions, COLUMNS), float32.
    """
    import triton
    import triton.language as tl

    from refutable.measurement.instrument.reduce_kernel import kernel

    first = blocks[0][0]
    assert first is not None
    width = first.shape[-1]
    rows = first.numel() // width
    has_updates = blocks[0][2] is not None
    alike = [[_alike(first if v is None else v, first.dtype) for v in block] for block in blocks]
    table = torch.tensor([[v.data_ptr() for v in block] for block in alike], dtype=torch.int64)
    out = torch.empty(len(blocks), rows, COLUMNS, device=first.device, dtype=torch.float32)
    dtype = {torch.float32: tl.float32, torch.bfloat16: tl.bfloat16, torch.float16: tl.float16}[first.dtype]
    with torch.cuda.device(first.device):
        kernel[(rows, len(blocks))](
            table.to(first.device, non_blocking=True),
            out,
            rows,
            width,
            scale,
            dtype,
            has_updates,
            triton.next_power_of_2(width),
            COLUMNS,
            num_warps=_WARPS,
        )
    return out  # `alike` lives until the launch; the allocator reuses its memory in stream order


def _alike(vector: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return a vector in the kernel's dtype and layout; nearly always itself, so nothing is copied."""
    return vector if vector.dtype is dtype and vector.is_contiguous() else vector.to(dtype).contiguous()
