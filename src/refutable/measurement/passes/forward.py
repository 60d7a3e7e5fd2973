"""The forward pass over a prompt set: a loaded model in, a trace out."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from refutable.errors import InstrumentError
from refutable.measurement.instrument.attention_probe import LastQuery
from refutable.measurement.instrument.batching import Padded, pad
from refutable.measurement.instrument.closure import check_closure
from refutable.measurement.instrument.interventions import changed_ids, intervening
from refutable.measurement.instrument.reduce import both_norms
from refutable.measurement.instrument.tables import ReducedBatch, to_tables
from refutable.measurement.instrument.taps import BlockReader, hooked, primitives, reading
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.batches import run_in_batches, token_ids
from refutable.measurement.passes.looking_first import look_first
from refutable.models.device import EVERY_GPU
from refutable.prompts.prompt_set import PromptSet
from refutable.traces.passes import Pass
from refutable.traces.trace import CLOSURE_COLUMN, ENTROPY_COLUMN, FIRST_IS_BOS, KEYS_COLUMN, PRIMITIVE_COLUMNS, Trace

PLAIN = Pass("forward")
UPDATE_COLUMNS = [name for name in PRIMITIVE_COLUMNS if "update" in name or name == CLOSURE_COLUMN]


def run_pass(model: LoadedModel, prompts: PromptSet, key: str, about: Mapping[str, Any], spec: Pass = PLAIN) -> Trace:
    """Run every prompt through the model once, with or without an intervention, and keep the primitives.

    Args:
        model: loaded, in evaluation mode.
        prompts: the prompt set.
        key: address of the trace.
        about: what is already known about the trace, for its meta.
        spec: the pass: how prompts begin, and what is done to the model.

    Raises:
        ClosureError: a block's output is not its input plus the updates that were read.
        InstrumentError: the model has no blocks to read, or as `token_ids`.
        NotMeasured: the intervention means nothing on this architecture, or as `token_ids`.
    """
    ids = changed_ids(token_ids(model, prompts, spec.bos), spec.intervention)
    additive = model.family.is_additive(model.config.to_dict())
    readers = [
        BlockReader(block, model.family, additive=additive, scale=model.scale, title=f"{model.row.name}: layer {layer}")
        for layer, block in enumerate(model.blocks(), start=1)
    ]
    if not readers:
        raise InstrumentError(f"{model.row.name} has no blocks at {model.family.blocks}")
    started = time.perf_counter()
    seen = look_first(model, prompts, spec)
    with intervening(model, spec.intervention, spec.blocks, spec.spare, spec.coordinate, seen):
        batches, halvings = run_in_batches(model, ids, lambda cut: run_batch(model, readers, ids, cut))
    absent = {} if additive else dict.fromkeys(UPDATE_COLUMNS, "its blocks are post-norm and add no updates")
    if not all(batch.attention for batch in batches):
        absent |= dict.fromkeys((ENTROPY_COLUMN, KEYS_COLUMN), "this attention shows no probabilities")
    blocks, outputs = to_tables(batches, ids, prompts, model, len(readers), absent)
    worst = check_closure(blocks, model, len(readers)) if additive else None
    meta = {**pass_meta(model, about, ids, started, len(batches), halvings, absent), "closure_worst": worst}
    return Trace(key, meta, blocks, outputs)


def pass_meta(
    model: LoadedModel,
    about: Mapping[str, Any],
    ids: list[list[int]],
    started: float,
    batches: int,
    halvings: int,
    absent: Mapping[str, str],
) -> dict[str, Any]:
    """Return the meta that every pass over prompts leaves, `started` seconds on `time.perf_counter`."""
    bos = getattr(getattr(model.tokenizer, "tokenizer", None), "bos_token_id", None)
    begins = bos is not None and all(tokens[0] == bos for tokens in ids)
    return {
        **about,
        "layers": len(model.blocks()),
        "d_model": model.width,
        "absent": absent,
        "pass_seconds": round(time.perf_counter() - started, 4),
        "batches": batches,
        "batch_halvings": halvings,
        "first_token": FIRST_IS_BOS if begins else "the prompt's own",
    }


@torch.inference_mode()
def run_batch(
    model: LoadedModel, readers: Sequence[BlockReader], ids: list[list[int]], cut: Sequence[int]
) -> ReducedBatch:
    """Run the prompts of one batch, read by one reader per block; the result stays on the device."""
    padded = pad([ids[i] for i in cut], model.device)
    keep = _is_little(model, padded.tokens, len(readers))
    for reader in readers:
        reader.keep = keep
    watcher = LastQuery(padded.last, keep, model.window)
    head: torch.nn.Module = model.network.get_output_embeddings()
    head_input: list[torch.Tensor] = []  # the stream after the final norm, (B, T or kept, D)
    keep_input = head.register_forward_pre_hook(lambda module, args: head_input.append(args[0]))
    with hooked([keep_input]), reading(readers, watcher):
        logits, which = last_logits(model, padded)  # (B, vocabulary)
    log_p = torch.log_softmax(logits.float(), dim=-1)
    top = log_p.max(dim=-1)
    entropy = -(log_p.exp() * log_p).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0).sum(dim=-1)
    entropy = torch.where(torch.isnan(log_p).any(dim=-1), torch.nan, entropy)
    blocks = primitives(readers, model.scale).flatten(1, 2)[:, padded.real]  # (layers, tokens, REDUCED)
    seen = [entropy for entropy in watcher.entropies(len(readers)) if entropy is not None]
    parts = (blocks, *seen, entropy, top.values.exp(), top.indices.float(), *both_norms(head_input[0][which]))
    packed = torch.cat([part.to(blocks.device).flatten() for part in parts])
    return ReducedBatch(cut, np.array([len(ids[i]) for i in cut]), len(readers), bool(seen), packed)


def _is_little(model: LoadedModel, tokens: torch.Tensor, blocks: int) -> bool:
    """Whether all tapped tensors may be kept until the pass ends: on a GPU, within 5 % of the weights' memory."""
    if tokens.device.type != "cuda" or model.subject.device == EVERY_GPU:
        return False
    batch, length = tokens.shape
    taps = 4 if model.family.norms == 1 else 5  # the stream is shared between blocks
    vectors = taps * batch * length * model.width
    matrices = batch * model.heads * length * length if model.attention_implementation == "eager" else 0
    return 20 * blocks * (vectors + matrices) <= model.row.parameters


def last_logits(model: LoadedModel, padded: Padded) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
    """Run the model, applying the head to as few positions as possible.

    Returns:
        The logits after each prompt's last token, (B, vocabulary), and their indices into the head's input.
    """
    rows = torch.arange(len(padded.last), device=padded.last.device)
    arguments: dict[str, Any] = {"input_ids": padded.tokens, "attention_mask": padded.mask, "use_cache": False}
    which = padded.last
    spread = model.subject.device == EVERY_GPU  # accelerate would move the index to a GPU other than the head's
    if _keeps_logits(model.network.__class__) and not spread:
        arguments["logits_to_keep"], which = padded.ends, padded.end_of
    logits: torch.Tensor = model.network(**arguments).logits  # (B, T or kept, vocabulary)
    where = rows.to(logits.device), which.to(logits.device)
    return logits[where], where


@functools.cache
def _keeps_logits(network: Hashable) -> bool:
    """Whether a model class can apply its head to selected positions only."""
    return "logits_to_keep" in inspect.signature(network.forward).parameters  # type: ignore[attr-defined]
