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
from refutable.measurement.passes.forward import first_token, run_in_batches, token_ids
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
    """Run a batch at a time and lay out what it leaves as a trace.

    Args:
        model: loaded.
        prompts: the prompt set.
        key: address of the trace.
        about: what is already known of it.
        columns: names of what `run` gives, in its order.
        run: token ids of all prompts and the indices of one batch's in; (B, layers, columns) out, float32, on the
            device.
        absent: columns that hold nothing, or not at every layer, and why.
        bos: whether prompts begin with the beginning-of-sequence token.
        intervention: what is done to the tokens that are read; `run` does what is done to the model.

    Raises:
        InstrumentError, NotMeasured: as `token_ids`.
    """
    ids = changed_ids(token_ids(model, prompts, bos), intervention)
    started = time.perf_counter()
    left, halvings = run_in_batches(model, ids, lambda cut: (cut, run(ids, cut)))
    layers = len(model.blocks())
    values = np.full((len(ids), layers, len(columns)), np.nan, dtype=np.float32)
    for cut, tensor in left:
        values[list(cut)] = tensor.cpu().numpy()
    lengths = np.array([len(one) for one in ids])
    meta = {
        **about,
        "positions": LAST_TOKEN,
        "layers": layers,
        "d_model": model.width,
        "absent": dict(absent or {}),
        "pass_seconds": round(time.perf_counter() - started, 4),
        "batches": len(left),
        "batch_halvings": halvings,
        "first_token": first_token(model, ids),
    }
    return Trace(
        key, meta, _blocks(values, lengths, columns, meta["absent"]), pa.table(prompt_columns(prompts, lengths))
    )


def _blocks(
    values: NDArray[np.float32], lengths: NDArray[np.int64], columns: Sequence[str], absent: Mapping[str, str]
) -> pa.Table:
    prompts, layers, _ = values.shape
    flat = values.reshape(prompts * layers, len(columns))
    return pa.table(
        {
            "prompt": pa.array(np.repeat(np.arange(prompts), layers)),
            "position": pa.array(np.repeat(lengths - 1, layers)),
            "layer": pa.array(np.tile(np.arange(1, layers + 1), prompts)),
            **{name: pa.array(flat[:, i], from_pandas=name in absent) for i, name in enumerate(columns)},
        }
    )


def at_last(stream: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """Return (B, D) of (B, T, D): the vector at each prompt's last token."""
    last = last.to(stream.device)
    return stream[torch.arange(len(last), device=stream.device), last]


def both_norms(vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the norm over the last axis, raw and after its mean is taken off, in float32."""
    vectors = vectors.float()
    return vectors.norm(dim=-1), (vectors - vectors.mean(dim=-1, keepdim=True)).norm(dim=-1)
