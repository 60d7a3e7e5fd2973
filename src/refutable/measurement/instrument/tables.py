"""Lays out the batches of a pass as the two tables of a trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from refutable.measurement.instrument.reduce import REDUCED
from refutable.measurement.loading.loaded import LoadedModel
from refutable.prompts.prompt_set import PromptSet
from refutable.traces.trace import (
    CENTRED_HEAD_INPUT_COLUMN,
    ENTROPY_COLUMN,
    HEAD_INPUT_COLUMN,
    KEYS_COLUMN,
    PRIMITIVE_COLUMNS,
)

OUTPUTS = 5  # numbers per prompt that are read after the last block


@dataclass(frozen=True, slots=True)
class ReducedBatch:
    """The output of one batch, packed into one vector on the device so that a single transfer is enough.

    Attributes:
        prompts: indices of its prompts.
        lengths: number of tokens of each.
        layers: number of blocks.
        attention: whether attention was seen.
        packed: float32: blocks (layers, tokens, REDUCED); if seen, attention entropy and keys, (layers, B) each; output
            entropy, top probability, top token's id, and the norm and mean-centred norm of what the head reads, (B,)
            each.
    """

    prompts: Sequence[int]
    lengths: NDArray[np.int64]
    layers: int
    attention: bool
    packed: torch.Tensor

    def fetch(self) -> _Fetched:
        """Transfer it to the host."""
        pinned = self.packed.device.type == "cuda"
        host = torch.empty(self.packed.shape, dtype=torch.float32, pin_memory=pinned)
        values: NDArray[np.float32] = host.copy_(self.packed).numpy()
        count, layers = len(self.prompts), self.layers
        blocks, rest = np.split(values, [layers * int(self.lengths.sum()) * REDUCED])
        attention, rest = np.split(rest, [2 * layers * count * self.attention])
        entropy, keys = attention.reshape(2, layers, count) if self.attention else (None, None)
        return _Fetched(blocks.reshape(layers, -1, REDUCED), entropy, keys, rest.reshape(OUTPUTS, count))


class _Fetched(NamedTuple):
    """A batch on the host: blocks (layers, tokens, REDUCED), entropy and keys (layers, B), outputs (OUTPUTS, B)."""

    blocks: NDArray[np.float32]
    entropy: NDArray[np.float32] | None
    keys: NDArray[np.float32] | None
    outputs: NDArray[np.float32]


def to_tables(
    batches: Sequence[ReducedBatch],
    ids: list[list[int]],
    prompts: PromptSet,
    model: LoadedModel,
    layers: int,
    absent: Mapping[str, str],
) -> tuple[pa.Table, pa.Table]:
    """Fetch the batches and return a trace's tables of blocks and prompts; columns in `absent` are null."""
    lengths = np.array([len(one) for one in ids])
    start = np.concatenate([[0], np.cumsum(lengths)])
    rows = int(start[-1])
    width = len(PRIMITIVE_COLUMNS)
    values = np.full((rows, layers, width), np.nan, dtype=np.float32)
    outputs = np.full((OUTPUTS, len(ids)), np.nan, dtype=np.float32)
    for batch in batches:
        here = batch.fetch()
        outputs[:, list(batch.prompts)] = here.outputs
        ends = np.cumsum(batch.lengths)
        for row, (prompt, end) in enumerate(zip(batch.prompts, ends, strict=True)):
            rows_of_prompt = slice(start[prompt], start[prompt + 1])
            values[rows_of_prompt, :, :REDUCED] = here.blocks[:, end - lengths[prompt] : end].transpose(1, 0, 2)
            if here.entropy is not None and here.keys is not None:
                values[start[prompt + 1] - 1, :, width - 2] = here.entropy[:, row]
                values[start[prompt + 1] - 1, :, width - 1] = here.keys[:, row]
    flat = values.reshape(rows * layers, width)
    position = np.concatenate([np.arange(n) for n in lengths])
    not_last = np.repeat(position != np.repeat(lengths, lengths) - 1, layers)  # attention was not read there: null
    table = {
        "prompt": pa.array(np.repeat(np.repeat(np.arange(len(ids)), lengths), layers)),
        "position": pa.array(np.repeat(position, layers)),
        "layer": pa.array(np.tile(np.arange(1, layers + 1), rows)),
    }
    for i, name in enumerate(PRIMITIVE_COLUMNS):
        mask = not_last if name in (ENTROPY_COLUMN, KEYS_COLUMN) else None
        table[name] = pa.nulls(len(flat), pa.float32()) if name in absent else pa.array(flat[:, i], mask=mask)
    return pa.table(table), _prompt_table(prompts, lengths, outputs, model)


def _prompt_table(
    prompts: PromptSet, lengths: NDArray[np.int64], outputs: NDArray[np.float32], model: LoadedModel
) -> pa.Table:
    top = outputs[2].astype(np.int64)  # ids are exact in float32 below 2^24
    columns = {
        "output_entropy": pa.array(outputs[0]),
        "top_probability": pa.array(outputs[1]),
        HEAD_INPUT_COLUMN: pa.array(outputs[3]),
        CENTRED_HEAD_INPUT_COLUMN: pa.array(outputs[4]),
        "top_token_id": pa.array(top),
        "top_token": [model.tokenizer.decode(int(token)) for token in top],
    }
    return pa.table({**prompt_columns(prompts, lengths), **columns})


def prompt_columns(prompts: PromptSet, lengths: NDArray[np.int64]) -> dict[str, Any]:
    """Return the columns that every trace's table of prompts begins with."""
    return {
        "text": [prompt.text for prompt in prompts.prompts],
        "category": list(prompts.categories),
        "complexity": pa.array([prompts.complexity.get(c) for c in prompts.categories], pa.int64()),
        "tokens": pa.array(lengths),
    }
