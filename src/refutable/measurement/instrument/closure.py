"""Closure: every block's output must equal its input plus the two updates that were read."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import torch

from refutable.errors import ClosureError
from refutable.measurement.loading.loaded import LoadedModel
from refutable.traces.trace import CLOSURE_COLUMN, STREAM_TAPS, UPDATE_TAPS, norm_column


def check_closure(blocks: pa.Table, model: LoadedModel, layers: int) -> float | None:
    """Return the worst closure residual relative to its bound; None if no block is finite.

    Raises:
        ClosureError: it exceeds 4 eps of the dtype.
    """
    columns = {
        name: blocks[name].to_numpy(zero_copy_only=False).astype(np.float64)
        for name in (CLOSURE_COLUMN, *(norm_column(tap) for tap in STREAM_TAPS))
    }
    eps = torch.finfo(getattr(torch, model.subject.dtype)).eps
    size = sum(columns[norm_column(tap)] for tap in ("block_input", *UPDATE_TAPS))
    with np.errstate(invalid="ignore"):
        ratio = columns[CLOSURE_COLUMN] / (4 * eps * size)
    finite = np.isfinite(ratio)
    if not finite.any():
        return None
    worst = int(np.argmax(np.where(finite, ratio, -np.inf)))
    if ratio[worst] > 1:
        raise ClosureError(
            f"{model.row.name} in {model.subject.dtype}: layer {worst % layers + 1} does not close:"
            f" |x_out - x_in - attention - MLP| = {columns[CLOSURE_COLUMN][worst]:.3g} is {ratio[worst]:.3g} times the"
            f" bound; the taps of family {model.row.family!r} do not read what is added to the stream (families.py)"
        )
    return float(ratio[worst])
