"""One instrumented pass over a prompt set: a loaded model in, a trace out."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from refutable.errors import InstrumentError
from refutable.measure.attention_probe import LastQuery
from refutable.measure.batching import cut_batches, pad
from refutable.measure.closure import check_closure
from refutable.measure.interventions import intervening
from refutable.measure.loaded import LoadedModel
from refutable.measure.reduce import REDUCED
from refutable.measure.taps import BlockReader, primitives, reading
from refutable.passes import Pass
from refutable.prompts import PromptSet
from refutable.trace import (
    CLOSURE_COLUMN,
    ENTROPY_COLUMN,
    KEYS_COLUMN,
    PRIMITIVE_COLUMNS,
    Trace,
)

OVERHEAD = {"cpu": 24, "cuda": 512, "mps": 512}
LIMIT = {"cpu": 8192, "cuda": 65536, "mps": 8192}
PLAIN = Pass("forward")
Left = TypeVar("Left")


@dataclass(frozen=True, slots=True)
class _Batch:
    """What one batch left: on the device as one vector, so that one transfer brings it home.

    Attributes:
        prompts: indices of its prompts.
        lengths: number of tokens of each.
        layers: number of blocks.
        attention: whether attention was seen.
        packed: float32: blocks (layers, tokens, REDUCED), attention entropy and keys (layers, B) each where seen,
            output entropy, top probability and top token's id (B) each.
    """

    prompts: Sequence[int]
    lengths: NDArray[np.int64]
    layers: int
    attention: bool
    packed: torch.Tensor

    def fetch(self) -> _Fetched:
        """Bring it to the host."""
        values: NDArray[np.float32] = self.packed.cpu().numpy()
        count, layers = len(self.prompts), self.layers
        blocks, rest = np.split(values, [layers * int(self.lengths.sum()) * REDUCED])
        attention, rest = np.split(rest, [2 * layers * count * self.attention])
        entropy, keys = attention.reshape(2, layers, count) if self.attention else (None, None)
        return _Fetched(blocks.reshape(layers, -1, REDUCED), entropy, keys, rest.reshape(3, count))


class _Fetched(NamedTuple):
    """A batch on the host: blocks (layers, tokens, REDUCED), entropy and keys (layers, B), outputs (3, B)."""

    blocks: NDArray[np.float32]
    entropy: NDArray[np.float32] | None
    keys: NDArray[np.float32] | None
    outputs: NDArray[np.float32]


def run_pass(model: LoadedModel, prompts: PromptSet, key: str, about: Mapping[str, Any], one: Pass = PLAIN) -> Trace:
    """Run every prompt through the model once, under an intervention or none, and keep the primitives.

    Args:
        model: loaded, in evaluation mode.
        prompts: the prompt set.
        key: address of the trace.
        about: what is already known of it, for its meta.
        one: the pass; its intervention is what is done to the model.

    Raises:
        NotMeasured: the intervention means nothing on this architecture.
        ClosureError: a block's output is not its input plus the updates that were read.
        InstrumentError: the model has no blocks to read.
    """
    ids = token_ids(model, prompts)
    additive = model.family.is_additive(model.config.to_dict())
    readers = [
        BlockReader(block, model.family, additive=additive, scale=model.scale, title=f"{model.row.name}: layer {layer}")
        for layer, block in enumerate(model.blocks(), start=1)
    ]
    if not readers:
        raise InstrumentError(f"{model.row.name} has no blocks at {model.family.blocks}")
    started = time.perf_counter()
    with intervening(model, one.intervention, one.blocks):
        batches, halvings = _run_batches(model, readers, ids)
    absent = {} if additive else dict.fromkeys(_update_columns(), "its blocks are post-norm and add no updates")
    if not all(batch.attention for batch in batches):
        absent |= dict.fromkeys((ENTROPY_COLUMN, KEYS_COLUMN), "this attention shows no probabilities")
    blocks, outputs = _to_tables(batches, ids, prompts, model, len(readers), absent)
    worst = check_closure(blocks, model, len(readers)) if additive else None
    meta = {
        **about,
        "layers": len(readers),
        "d_model": model.width,
        "closure_worst": worst,
        "absent": absent,
        "pass_seconds": round(time.perf_counter() - started, 4),
        "batches": len(batches),
        "batch_halvings": halvings,
        "first_token": first_token(model, ids),
    }
    return Trace(key, meta, blocks, outputs)


def token_ids(model: LoadedModel, prompts: PromptSet) -> list[list[int]]:
    """Return the token ids of each prompt.

    Raises:
        InstrumentError: the tokenizer makes none of a prompt.
    """
    ids = model.tokenizer.encode(prompts)
    if any(not one for one in ids):
        raise InstrumentError(f"{model.row.name}: the tokenizer makes no token of a prompt")
    return ids


def _run_batches(model: LoadedModel, readers: Sequence[BlockReader], ids: list[list[int]]) -> tuple[list[_Batch], int]:
    return run_in_batches(model, ids, lambda cut: _run_batch(model, readers, ids, cut))


def run_in_batches(
    model: LoadedModel, ids: list[list[int]], run: Callable[[Sequence[int]], Left]
) -> tuple[list[Left], int]:
    """Run all prompts, each batch given by its indices; when memory runs out, halve the batch and begin again.

    Returns:
        What `run` left of each batch, and how often memory ran out.
    """
    limit, halvings = LIMIT.get(model.device.type, 8192), 0
    overhead = OVERHEAD.get(model.device.type, 512)
    lengths = [len(one) for one in ids]
    while True:
        cuts = cut_batches(lengths, overhead=overhead, limit=limit)
        try:
            return [run(cut) for cut in cuts], halvings
        except torch.OutOfMemoryError:
            if max(map(len, cuts)) == 1:
                raise
        largest = max(len(cut) * max(lengths[i] for i in cut) for cut in cuts)
        limit, halvings = min(limit, largest) // 2, halvings + 1
        torch.cuda.empty_cache()


@torch.inference_mode()
def _run_batch(model: LoadedModel, readers: Sequence[BlockReader], ids: list[list[int]], cut: Sequence[int]) -> _Batch:
    tokens, mask, last = pad([ids[i] for i in cut], model.device)
    keep = _is_little(model, tokens, len(readers))
    for reader in readers:
        reader.keep = keep
    watcher = LastQuery(last, keep, model.window)
    with reading(readers, watcher):
        logits = _last_logits(model, tokens, mask, last)  # (B, vocabulary)
    log_p = torch.log_softmax(logits.float(), dim=-1)
    top = log_p.max(dim=-1)
    entropy = -(log_p.exp() * log_p).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0).sum(dim=-1)
    entropy = torch.where(torch.isnan(log_p).any(dim=-1), torch.nan, entropy)
    blocks = primitives(readers, model.scale)[:, mask.bool().to(tokens.device)]  # (layers, tokens, REDUCED)
    seen = [one for one in watcher.entropies(len(readers)) if one is not None]
    parts = (blocks, *seen, entropy, top.values.exp(), top.indices.float())
    packed = torch.cat([part.to(blocks.device).flatten() for part in parts])
    return _Batch(cut, np.array([len(ids[i]) for i in cut]), len(readers), bool(seen), packed)


def _is_little(model: LoadedModel, tokens: torch.Tensor, blocks: int) -> bool:
    """Whether all that is read of a pass may be kept until it ends: on a GPU, within 5 % of the weights' memory."""
    if tokens.device.type != "cuda":
        return False
    batch, length = tokens.shape
    vectors = (
        (4 if model.family.norms == 1 else 5) * batch * length * model.width
    )  # the stream is shared between blocks
    matrices = batch * model.heads * length * length if model.attention_implementation == "eager" else 0
    return 20 * blocks * (vectors + matrices) <= model.row.parameters


def _last_logits(model: LoadedModel, tokens: torch.Tensor, mask: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """Run the model; return the logits after each prompt's last token, the head applied only where it must be."""
    rows = torch.arange(tokens.shape[0], device=tokens.device)
    arguments: dict[str, Any] = {"input_ids": tokens, "attention_mask": mask, "use_cache": False}
    if "logits_to_keep" not in inspect.signature(model.network.forward).parameters:
        logits: torch.Tensor = model.network(**arguments).logits
        return logits[rows.to(logits.device), last.to(logits.device)]
    kept, where = torch.unique(last, return_inverse=True)
    logits = model.network(**arguments, logits_to_keep=kept).logits  # (B, kept, vocabulary)
    return logits[rows.to(logits.device), where.to(logits.device)]


def _to_tables(
    batches: Sequence[_Batch],
    ids: list[list[int]],
    prompts: PromptSet,
    model: LoadedModel,
    layers: int,
    absent: Mapping[str, str],
) -> tuple[pa.Table, pa.Table]:
    """Bring the batches to the host and lay them out as the two tables of a trace; columns in `absent` are null."""
    lengths = np.array([len(one) for one in ids])
    start = np.concatenate([[0], np.cumsum(lengths)])
    rows = int(start[-1])
    width = len(PRIMITIVE_COLUMNS)
    values = np.full((rows, layers, width), np.nan, dtype=np.float32)
    outputs = np.full((3, len(ids)), np.nan, dtype=np.float32)
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
    table = {
        "prompt": pa.array(np.repeat(np.repeat(np.arange(len(ids)), lengths), layers)),
        "position": pa.array(np.repeat(position, layers)),
        "layer": pa.array(np.tile(np.arange(1, layers + 1), rows)),
        **{
            name: pa.nulls(len(flat), pa.float32())
            if name in absent
            else _column(flat[:, i], name, position, lengths, layers)
            for i, name in enumerate(PRIMITIVE_COLUMNS)
        },
    }
    return pa.table(table), _prompt_table(prompts, lengths, outputs, model)


def _column(
    values: NDArray[np.float32], name: str, position: NDArray[np.int64], lengths: NDArray[np.int64], layers: int
) -> pa.Array:
    """Return a column; what was not read is null, what was read and is not a number stays NaN."""
    if name in (ENTROPY_COLUMN, KEYS_COLUMN):
        last = np.repeat(np.repeat(lengths, lengths) - 1 == position, layers)
        return pa.array(values, mask=~last)
    return pa.array(values)


def _prompt_table(
    prompts: PromptSet, lengths: NDArray[np.int64], outputs: NDArray[np.float32], model: LoadedModel
) -> pa.Table:
    top = outputs[2].astype(np.int64)  # ids are exact in float32 below 2^24
    columns = {
        "output_entropy": pa.array(outputs[0]),
        "top_probability": pa.array(outputs[1]),
        "top_token_id": pa.array(top),
        "top_token": [model.tokenizer.decode(int(token)) for token in top],
    }
    return pa.table({**prompt_columns(prompts, lengths), **columns})


def prompt_columns(prompts: PromptSet, lengths: NDArray[np.int64]) -> dict[str, Any]:
    """Return what every trace's table of prompts begins with."""
    return {
        "text": [prompt.text for prompt in prompts.prompts],
        "category": list(prompts.categories),
        "complexity": pa.array([prompts.complexity.get(c) for c in prompts.categories], pa.int64()),
        "tokens": pa.array(lengths),
    }


def _update_columns() -> list[str]:
    return [name for name in PRIMITIVE_COLUMNS if "update" in name or name == CLOSURE_COLUMN]


def first_token(model: LoadedModel, ids: list[list[int]]) -> str:
    """Say whether prompts begin with the tokenizer's BOS."""
    bos = getattr(getattr(model.tokenizer, "tokenizer", None), "bos_token_id", None)
    begins = bos is not None and all(one[0] == bos for one in ids)
    return "the tokenizer's BOS" if begins else "the prompt's own"
