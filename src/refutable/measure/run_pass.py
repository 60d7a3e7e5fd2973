"""One instrumented pass over a prompt set: a loaded model in, a trace out."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch

from refutable.device import EVERY_GPU
from refutable.errors import ClosureError, InstrumentError
from refutable.measure.attention_probe import LastQuery
from refutable.measure.batching import cut_batches
from refutable.measure.loaded import LoadedModel
from refutable.measure.tables import Measured, to_tables
from refutable.measure.taps import BlockReader, primitives, reading
from refutable.measure.tokens import check_lengths
from refutable.plan import Bos
from refutable.prompts import PromptSet
from refutable.trace import (
    CLOSURE_COLUMN,
    ENTROPY_COLUMN,
    FIRST_IS_BOS,
    KEYS_COLUMN,
    PRIMITIVE_COLUMNS,
    STREAM_TAPS,
    UPDATE_TAPS,
    Trace,
    norm_column,
)

OVERHEAD = {"cpu": 24, "cuda": 512, "mps": 512}
LIMIT = {"cpu": 8192, "cuda": 65536, "mps": 8192}


def run_pass(model: LoadedModel, prompts: PromptSet, key: str, about: Mapping[str, Any], bos: Bos = "default") -> Trace:
    """Run every prompt through the model once and keep the primitives.

    Args:
        model: loaded, in evaluation mode.
        prompts: the prompt set.
        key: address of the trace.
        about: what is already known of it, for its meta.
        bos: whether prompts begin with the beginning-of-sequence token.
        bos: whether prompts begin with the beginning-of-sequence token.

    Raises:
        ClosureError: a block's output is not its input plus the updates that were read.
        InstrumentError: the model has no blocks to read.
        NotMeasured: there is no such token, or a prompt is longer than what the model can read.
    """
    ids = model.tokenizer.encode(prompts) if bos == "default" else model.tokenizer.encode(prompts, bos)
    if any(not one for one in ids):
        raise InstrumentError(f"{model.row.name}: the tokenizer makes no token of a prompt")
    check_lengths(model.row.name, model.config, ids)
    additive = model.family.is_additive(model.config.to_dict())
    readers = [
        BlockReader(block, model.family, additive=additive, scale=model.scale, title=f"{model.row.name}: layer {layer}")
        for layer, block in enumerate(model.blocks(), start=1)
    ]
    if not readers:
        raise InstrumentError(f"{model.row.name} has no blocks at {model.family.blocks}")
    started = time.perf_counter()
    batches, halvings = run_batches(model, readers, ids)
    absent = {} if additive else dict.fromkeys(_update_columns(), "its blocks are post-norm and add no updates")
    if not all(batch.attention for batch in batches):
        absent |= dict.fromkeys((ENTROPY_COLUMN, KEYS_COLUMN), "this attention shows no probabilities")
    blocks, outputs = to_tables(batches, ids, prompts, model, len(readers), absent)
    worst = _check_closure(blocks, model, len(readers)) if additive else None
    meta = {
        **about,
        "layers": len(readers),
        "d_model": model.width,
        "closure_worst": worst,
        "absent": absent,
        "pass_seconds": round(time.perf_counter() - started, 4),
        "batches": len(batches),
        "batch_halvings": halvings,
        "first_token": FIRST_IS_BOS if _begins_with_bos(model, ids) else "the prompt's own",
    }
    return Trace(key, meta, blocks, outputs)


def run_batches(model: LoadedModel, readers: Sequence[BlockReader], ids: list[list[int]]) -> tuple[list[Measured], int]:
    """Run all prompts; when memory runs out, halve the batch and begin again.

    Args:
        model: loaded, in evaluation mode.
        readers: one for each of its blocks.
        ids: token ids of each prompt.

    Returns:
        What each batch left, still on the device, and how often the batch was halved.

    Raises:
        torch.OutOfMemoryError: not even one prompt fits.
    """
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
def _run_batch(
    model: LoadedModel, readers: Sequence[BlockReader], ids: list[list[int]], cut: Sequence[int]
) -> Measured:
    padded = _pad([ids[i] for i in cut], model.device)
    keep = _is_little(model, padded.tokens, len(readers))
    for reader in readers:
        reader.keep = keep
    watcher = LastQuery(padded.last, keep, model.window)
    with reading(readers, watcher):
        logits = _last_logits(model, padded)  # (B, vocabulary)
    log_p = torch.log_softmax(logits.float(), dim=-1)
    top = log_p.max(dim=-1)
    entropy = -(log_p.exp() * log_p).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0).sum(dim=-1)
    entropy = torch.where(torch.isnan(log_p).any(dim=-1), torch.nan, entropy)
    blocks = primitives(readers, model.scale).flatten(1, 2)[:, padded.real]  # (layers, tokens, REDUCED)
    seen = [one for one in watcher.entropies(len(readers)) if one is not None]
    parts = (blocks, *seen, entropy, top.values.exp(), top.indices.float())
    packed = torch.cat([part.to(blocks.device).flatten() for part in parts])
    return Measured(cut, np.array([len(ids[i]) for i in cut]), len(readers), bool(seen), packed)


def _is_little(model: LoadedModel, tokens: torch.Tensor, blocks: int) -> bool:
    """Whether all that is read of a pass may be kept until it ends: on a GPU, within 5 % of the weights' memory."""
    if tokens.device.type != "cuda" or model.subject.device == EVERY_GPU:
        return False
    batch, length = tokens.shape
    vectors = (
        (4 if model.family.norms == 1 else 5) * batch * length * model.width
    )  # the stream is shared between blocks
    matrices = batch * model.heads * length * length if model.attention_implementation == "eager" else 0
    return 20 * blocks * (vectors + matrices) <= model.row.parameters


class _Padded(NamedTuple):
    """Prompts of one batch, right-padded, on the device.

    Attributes:
        tokens: ids, (B, T).
        mask: 1 at a token, 0 at padding, (B, T).
        last: index of each prompt's last token, (B,).
        ends: the distinct values of `last`, ascending.
        end_of: index into `ends` of each prompt, (B,).
        real: indices of the positions that hold a token, of B * T, (tokens,).
    """

    tokens: torch.Tensor
    mask: torch.Tensor
    last: torch.Tensor
    ends: torch.Tensor
    end_of: torch.Tensor
    real: torch.Tensor


def _pad(ids: Sequence[Sequence[int]], device: torch.device) -> _Padded:
    """Pad on the host, where no index has to wait for the device."""
    lengths = np.array([len(one) for one in ids])
    tokens = np.zeros((len(ids), lengths.max()), dtype=np.int64)
    for row, one in enumerate(ids):
        tokens[row, : len(one)] = one
    mask = np.arange(lengths.max())[None, :] < lengths[:, None]
    ends, end_of = np.unique(lengths - 1, return_inverse=True)
    parts = (tokens, mask.astype(np.int64), lengths - 1, ends, end_of, np.flatnonzero(mask))
    return _Padded(*(torch.from_numpy(part).to(device) for part in parts))


def _last_logits(model: LoadedModel, padded: _Padded) -> torch.Tensor:
    """Run the model; return the logits after each prompt's last token, the head applied only where it must be."""
    rows = torch.arange(len(padded.last), device=padded.last.device)
    arguments: dict[str, Any] = {"input_ids": padded.tokens, "attention_mask": padded.mask, "use_cache": False}
    which = padded.last
    spread = model.subject.device == EVERY_GPU  # accelerate would move the index to another GPU than the head's
    if _keeps_logits(model.network.__class__) and not spread:
        arguments["logits_to_keep"], which = padded.ends, padded.end_of
    logits: torch.Tensor = model.network(**arguments).logits  # (B, T or kept, vocabulary)
    return logits[rows.to(logits.device), which.to(logits.device)]


@functools.cache
def _keeps_logits(network: Hashable) -> bool:
    """Whether a class of models can apply its head to some positions alone."""
    return "logits_to_keep" in inspect.signature(network.forward).parameters  # type: ignore[attr-defined]


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
