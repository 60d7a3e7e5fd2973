"""One instrumented pass over a prompt set: a loaded model in, a trace out."""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from refutable.errors import ClosureError, InstrumentError
from refutable.measure.attention_probe import LastQuery
from refutable.measure.batching import cut_batches
from refutable.measure.loaded import LoadedModel
from refutable.measure.taps import BlockReader, primitives, reading
from refutable.prompts import PromptSet
from refutable.trace import (
    CLOSURE_COLUMN,
    ENTROPY_COLUMN,
    KEYS_COLUMN,
    PRIMITIVE_COLUMNS,
    STREAM_TAPS,
    UPDATE_TAPS,
    Trace,
    norm_column,
)

OVERHEAD = {"cpu": 24, "cuda": 4096, "mps": 512}
LIMIT = {"cpu": 8192, "cuda": 65536, "mps": 8192}


@dataclass(frozen=True, slots=True)
class _Batch:
    """What one batch left, still on the device.

    Attributes:
        prompts: indices of its prompts.
        blocks: (layers, B, T, REDUCED).
        entropy: (layers, B) or None; keys likewise.
        outputs: (B, 2): output entropy and top probability.
        top: (B,): id of the top token.
    """

    prompts: Sequence[int]
    blocks: torch.Tensor
    entropy: torch.Tensor | None
    keys: torch.Tensor | None
    outputs: torch.Tensor
    top: torch.Tensor


def run_pass(model: LoadedModel, prompts: PromptSet, key: str, about: Mapping[str, Any]) -> Trace:
    """Run every prompt through the model once and keep the primitives.

    Args:
        model: loaded, in evaluation mode.
        prompts: the prompt set.
        key: address of the trace.
        about: what is already known of it, for its meta.

    Raises:
        ClosureError: a block's output is not its input plus the updates that were read.
        InstrumentError: the model has no blocks to read.
    """
    ids = model.tokenizer.encode(prompts)
    if any(not one for one in ids):
        raise InstrumentError(f"{model.row.name}: the tokenizer makes no token of a prompt")
    additive = model.family.is_additive(model.config.to_dict())
    readers = [
        BlockReader(block, model.family, additive=additive, scale=model.scale, title=f"{model.row.name}: layer {layer}")
        for layer, block in enumerate(model.blocks(), start=1)
    ]
    if not readers:
        raise InstrumentError(f"{model.row.name} has no blocks at {model.family.blocks}")
    started = time.perf_counter()
    batches, halvings = _run_batches(model, readers, ids)
    absent = {} if additive else dict.fromkeys(_update_columns(), "its blocks are post-norm and add no updates")
    if any(batch.entropy is None for batch in batches):
        absent |= dict.fromkeys((ENTROPY_COLUMN, KEYS_COLUMN), "this attention shows no probabilities")
    blocks, outputs = _to_tables(batches, ids, prompts, model, len(readers), absent)
    worst = _check_closure(blocks, model, len(readers)) if additive else None
    meta = {
        **about,
        "layers": len(readers),
        "d_model": int(getattr(model.config, "hidden_size", None) or model.config.d_model),
        "closure_worst": worst,
        "absent": absent,
        "pass_seconds": round(time.perf_counter() - started, 4),
        "batches": len(batches),
        "batch_halvings": halvings,
        "first_token": "the tokenizer's BOS" if _begins_with_bos(model, ids) else "the prompt's own",
    }
    return Trace(key, meta, blocks, outputs)


def _run_batches(model: LoadedModel, readers: Sequence[BlockReader], ids: list[list[int]]) -> tuple[list[_Batch], int]:
    """Run all prompts; when memory runs out, halve the batch and begin again."""
    limit, halvings = LIMIT.get(model.device.type, 8192), 0
    overhead = OVERHEAD.get(model.device.type, 512)
    lengths = [len(one) for one in ids]
    while True:
        cuts = cut_batches(lengths, overhead=overhead, limit=limit)
        try:
            return [_run_batch(model, readers, ids, cut) for cut in cuts], halvings
        except torch.OutOfMemoryError:
            if max(map(len, cuts)) == 1:
                raise
        largest = max(len(cut) * max(lengths[i] for i in cut) for cut in cuts)
        limit, halvings = min(limit, largest) // 2, halvings + 1
        torch.cuda.empty_cache()


@torch.inference_mode()
def _run_batch(model: LoadedModel, readers: Sequence[BlockReader], ids: list[list[int]], cut: Sequence[int]) -> _Batch:
    tokens, mask, last = _pad([ids[i] for i in cut], model.device)
    keep = _is_little(model, tokens, len(readers))
    for reader in readers:
        reader.keep = keep
    watcher = LastQuery(last, keep)
    with reading(readers, watcher):
        logits = _last_logits(model, tokens, mask, last)  # (B, vocabulary)
    log_p = torch.log_softmax(logits.float(), dim=-1)
    top = log_p.max(dim=-1)
    entropy = -(log_p.exp() * log_p).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0).sum(dim=-1)
    entropy = torch.where(torch.isnan(log_p).any(dim=-1), torch.nan, entropy)
    seen, keys = watcher.entropies(len(readers))
    return _Batch(
        cut,
        primitives(readers, model.scale),
        seen,
        keys,
        torch.stack([entropy, top.values.exp()], dim=-1),
        top.indices,
    )


def _is_little(model: LoadedModel, tokens: torch.Tensor, blocks: int) -> bool:
    """Whether all that is read of a pass may be kept until it ends: on a GPU, within 5 % of the weights' memory."""
    if tokens.device.type != "cuda":
        return False
    batch, length = tokens.shape
    width, heads = (int(model.row.fact(name, model.config.to_dict())) for name in ("d_model", "heads"))
    vectors = (4 if model.family.norms == 1 else 5) * batch * length * width  # the stream is shared between blocks
    matrices = batch * heads * length * length if model.attention_implementation == "eager" else 0
    return 20 * blocks * (vectors + matrices) <= model.row.parameters


def _pad(ids: Sequence[Sequence[int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
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
    outputs = np.full((len(ids), 2), np.nan, dtype=np.float32)
    top = np.zeros(len(ids), dtype=np.int64)
    for batch in batches:
        blocks = batch.blocks.cpu().numpy()  # (layers, B, T, REDUCED)
        entropy = batch.entropy.cpu().numpy() if batch.entropy is not None else None
        keys = batch.keys.cpu().numpy() if batch.keys is not None else None
        outputs[list(batch.prompts)] = batch.outputs.cpu().numpy()
        top[list(batch.prompts)] = batch.top.cpu().numpy()
        for row, prompt in enumerate(batch.prompts):
            here = slice(start[prompt], start[prompt + 1])
            values[here, :, : blocks.shape[-1]] = blocks[:, row, : lengths[prompt]].transpose(1, 0, 2)
            if entropy is not None and keys is not None:
                values[start[prompt + 1] - 1, :, width - 2] = entropy[:, row]
                values[start[prompt + 1] - 1, :, width - 1] = keys[:, row]
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
    return pa.table(table), _prompt_table(prompts, lengths, outputs, top, model)


def _column(
    values: NDArray[np.float32], name: str, position: NDArray[np.int64], lengths: NDArray[np.int64], layers: int
) -> pa.Array:
    """Return a column; what was not read is null, what was read and is not a number stays NaN."""
    if name in (ENTROPY_COLUMN, KEYS_COLUMN):
        last = np.repeat(np.repeat(lengths, lengths) - 1 == position, layers)
        return pa.array(values, mask=~last)
    return pa.array(values)


def _prompt_table(
    prompts: PromptSet,
    lengths: NDArray[np.int64],
    outputs: NDArray[np.float32],
    top: NDArray[np.int64],
    model: LoadedModel,
) -> pa.Table:
    return pa.table(
        {
            "text": [prompt.text for prompt in prompts.prompts],
            "category": list(prompts.categories),
            "tokens": pa.array(lengths),
            "output_entropy": pa.array(outputs[:, 0]),
            "top_probability": pa.array(outputs[:, 1]),
            "top_token_id": pa.array(top),
            "top_token": [model.tokenizer.decode(int(token)) for token in top],
        }
    )


def _check_closure(blocks: pa.Table, model: LoadedModel, layers: int) -> float | None:
    """Return the worst closure residual over its bound; None where no block is finite and none could be checked."""
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


def _update_columns() -> list[str]:
    return [name for name in PRIMITIVE_COLUMNS if "update" in name or name == CLOSURE_COLUMN]


def _begins_with_bos(model: LoadedModel, ids: list[list[int]]) -> bool:
    bos = getattr(getattr(model.tokenizer, "tokenizer", None), "bos_token_id", None)
    return bos is not None and all(one[0] == bos for one in ids)
