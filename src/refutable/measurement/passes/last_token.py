"""A trace of what is read at each prompt's last token: one row per prompt and layer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from refutable.measurement.instrument.interventions import changed_ids
from refutable.measurement.instrument.tables import prompt_columns
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.batches import run_in_batches, token_ids
from refutable.measurement.passes.forward import pass_meta
from refutable.prompts.prompt_set import PromptSet
from refutable.traces.passes import LAST_TOKEN, Bos, Intervention
from refutable.traces.trace import Trace

Run = Callable[[list[list[int]], Sequence[int]], torch.Tensor]


def last_token_trace(
    model: LoadedModel,
    prompts: PromptSet,
    key: str,
    about: Mapping[str, Any],
    columns: Sequence[str],
    run: Run,
    absent: Mapping[str, str] | None = None,
    bos: Bos = "default",
    intervention: Intervention = "none",
) -> Trace:
    """Run one batch at a time and lay out the results as a trace.

    Args:
        model, prompts, key, about, bos: as for `forward.run_pass`.
        columns: names of the columns that `run` returns, in order.
        run: called with the token ids of all prompts and the indices of one batch; returns (B, layers, columns),
            float32, on the device.
        absent: columns that are empty, in every layer or some, and why.
        intervention: how the tokens are changed before they are read; any change to the model is up to `run`.

    Raises:
        InstrumentError, NotMeasured: as `token_ids`.
    """
    ids = changed_ids(token_ids(model, prompts, bos), intervention)
    started = time.perf_counter()
    results, halvings = run_in_batches(model, ids, lambda cut: (cut, run(ids, cut)))
    values = np.full((len(ids), len(model.blocks()), len(columns)), np.nan, dtype=np.float32)
    for cut, tensor in results:
        values[list(cut)] = tensor.cpu().numpy()
    absent = dict(absent or {})
    meta = pass_meta(model, about, ids, started, len(results), halvings, absent)
    return laid_out(key, meta, prompts, ids, columns, values)


def laid_out(
    key: str,
    meta: Mapping[str, Any],
    prompts: PromptSet,
    ids: Sequence[Sequence[int]],
    columns: Sequence[str],
    values: NDArray[np.float32],
) -> Trace:
    """Return values of shape (prompts, layers, columns) as a trace; those of columns that are absent are empty."""
    layers, absent, meta = values.shape[1], meta["absent"], {**meta, "positions": LAST_TOKEN}
    lengths = np.array([len(one) for one in ids])
    flat = values.reshape(-1, len(columns))  # (prompts * layers, columns)
    blocks = {
        "prompt": pa.array(np.repeat(np.arange(len(ids)), layers)),
        "position": pa.array(np.repeat(lengths - 1, layers)),
        "layer": pa.array(np.tile(np.arange(1, layers + 1), len(ids))),
        **{name: pa.array(flat[:, i], from_pandas=name in absent) for i, name in enumerate(columns)},
    }
    return Trace(key, meta, pa.table(blocks), pa.table(prompt_columns(prompts, lengths)))


def at_last(stream: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """Return the vector at each prompt's last token: (B, D) from (B, T, D)."""
    last = last.to(stream.device)
    return stream[torch.arange(len(last), device=stream.device), last]
