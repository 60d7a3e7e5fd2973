"""The forward pass over a prompt set: a loaded model in, a trace out."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch

from refutable.errors import InstrumentError
from refutable.measurement.instrument.attention_probe import LastQuery
from refutable.measurement.instrument.batching import Padded, cut_batches, pad, switch_lengths
from refutable.measurement.instrument.closure import check_closure
from refutable.measurement.instrument.interventions import changed_ids, intervening
from refutable.measurement.instrument.tables import ReducedBatch, to_tables
from refutable.measurement.instrument.taps import BlockReader, hooked, primitives, reading
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.loading.tokens import check_lengths
from refutable.models.device import EVERY_GPU
from refutable.prompts.prompt_set import PromptSet
from refutable.traces.passes import Bos, Pass
from refutable.traces.trace import CLOSURE_COLUMN, ENTROPY_COLUMN, FIRST_IS_BOS, KEYS_COLUMN, PRIMITIVE_COLUMNS, Trace

OVERHEAD = {"cpu": 24, "cuda": 512, "mps": 512}
LIMIT = {"cpu": 8192, "cuda": 65536, "mps": 8192}
PLAIN = Pass("forward")
Left = TypeVar("Left")


def run_pass(model: LoadedModel, prompts: PromptSet, key: str, about: Mapping[str, Any], spec: Pass = PLAIN) -> Trace:
    """Run every prompt through the model once, under an intervention or none, and keep the primitives.

    Args:
        model: loaded, in evaluation mode.
        prompts: the prompt set.
        key: address of the trace.
        about: what is already known of it, for its meta.
        spec: the pass: how prompts begin, and what is done to the model.

    Raises:
        ClosureError: a block's output is not its input plus the updates that were read.
        InstrumentError: the model has no blocks to read.
        NotMeasured: the intervention means nothing on this architecture.
        InstrumentError, NotMeasured: as `token_ids`.
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
    with intervening(model, spec.intervention, spec.blocks):
        batches, halvings = run_batches(model, readers, ids)
    absent = {} if additive else dict.fromkeys(_update_columns(), "its blocks are post-norm and add no updates")
    if not all(batch.attention for batch in batches):
        absent |= dict.fromkeys((ENTROPY_COLUMN, KEYS_COLUMN), "this attention shows no probabilities")
    blocks, outputs = to_tables(batches, ids, prompts, model, len(readers), absent)
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


def token_ids(model: LoadedModel, prompts: PromptSet, bos: Bos = "default") -> list[list[int]]:
    """Return the token ids of each prompt, begun as `bos` says.

    Raises:
        InstrumentError: the tokenizer makes none of a prompt.
        NotMeasured: there is no beginning-of-sequence token, or a prompt is longer than what the model can read.
    """
    ids = model.tokenizer.encode(prompts) if bos == "default" else model.tokenizer.encode(prompts, bos)
    if any(not tokens for tokens in ids):
        raise InstrumentError(f"{model.row.name}: the tokenizer makes no token of a prompt")
    check_lengths(model.row.name, model.config, ids)
    return ids


def run_batches(
    model: LoadedModel, readers: Sequence[BlockReader], ids: list[list[int]]
) -> tuple[list[ReducedBatch], int]:
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
    return run_in_batches(model, ids, lambda cut: _run_batch(model, readers, ids, cut))


def run_in_batches(
    model: LoadedModel, ids: list[list[int]], run: Callable[[Sequence[int]], Left]
) -> tuple[list[Left], int]:
    """Run all prompts, each batch given by its indices; when memory runs out, halve the batch and begin again.

    Returns:
        What `run` left of each batch, and how often the batch was halved.

    Raises:
        torch.OutOfMemoryError: not even one prompt fits.
    """
    limit, halvings = LIMIT.get(model.device.type, 8192), 0
    overhead = OVERHEAD.get(model.device.type, 512)
    lengths = [len(tokens) for tokens in ids]
    while True:
        cuts = cut_batches(lengths, overhead=overhead, limit=limit, switches=switch_lengths(model.network))
        try:
            return [run(cut) for cut in cuts], halvings
        except torch.OutOfMemoryError:
            if max(map(len, cuts)) == 1:
                raise
        largest = max(len(cut) * max(lengths[i] for i in cut) for cut in cuts)
        limit, halvings = min(limit, largest) // 2, halvings + 1
        torch.cuda.empty_cache()


@torch.inference_mode()
def _run_batch(
    model: LoadedModel, readers: Sequence[BlockReader], ids: list[list[int]], cut: Sequence[int]
) -> ReducedBatch:
    padded = pad([ids[i] for i in cut], model.device)
    keep = _is_little(model, padded.tokens, len(readers))
    for reader in readers:
        reader.keep = keep
    watcher = LastQuery(padded.last, keep, model.window)
    with reading(readers, watcher), _head_input(model) as head_input:
        logits, which = _last_logits(model, padded)  # (B, vocabulary)
    log_p = torch.log_softmax(logits.float(), dim=-1)
    top = log_p.max(dim=-1)
    entropy = -(log_p.exp() * log_p).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0).sum(dim=-1)
    entropy = torch.where(torch.isnan(log_p).any(dim=-1), torch.nan, entropy)
    blocks = primitives(readers, model.scale).flatten(1, 2)[:, padded.real]  # (layers, tokens, REDUCED)
    seen = [entropy for entropy in watcher.entropies(len(readers)) if entropy is not None]
    norms = _norms(head_input[0][which].float())
    parts = (blocks, *seen, entropy, top.values.exp(), top.indices.float(), *norms)
    packed = torch.cat([part.to(blocks.device).flatten() for part in parts])
    return ReducedBatch(cut, np.array([len(ids[i]) for i in cut]), len(readers), bool(seen), packed)


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


@contextmanager
def _head_input(model: LoadedModel) -> Iterator[list[torch.Tensor]]:
    """Keep what the unembedding reads in the passes inside, (B, T or kept, D): the stream behind the final norm."""
    seen: list[torch.Tensor] = []
    head: torch.nn.Module = model.network.get_output_embeddings()
    with hooked([head.register_forward_pre_hook(lambda module, args: seen.append(args[0]))]):
        yield seen


def _norms(vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the norms of vectors (B, D), and with their mean over the width taken off, (B,) each."""
    return vectors.norm(dim=-1), (vectors - vectors.mean(dim=-1, keepdim=True)).norm(dim=-1)


def _last_logits(model: LoadedModel, padded: Padded) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
    """Run the model, the head applied only where it must be.

    Returns:
        The logits after each prompt's last token, (B, vocabulary), and where these stand in what the head read.
    """
    rows = torch.arange(len(padded.last), device=padded.last.device)
    arguments: dict[str, Any] = {"input_ids": padded.tokens, "attention_mask": padded.mask, "use_cache": False}
    which = padded.last
    spread = model.subject.device == EVERY_GPU  # accelerate would move the index to another GPU than the head's
    if _keeps_logits(model.network.__class__) and not spread:
        arguments["logits_to_keep"], which = padded.ends, padded.end_of
    logits: torch.Tensor = model.network(**arguments).logits  # (B, T or kept, vocabulary)
    where = rows.to(logits.device), which.to(logits.device)
    return logits[where], where


@functools.cache
def _keeps_logits(network: Hashable) -> bool:
    """Whether a model class can apply its head to selected positions only."""
    return "logits_to_keep" in inspect.signature(network.forward).parameters  # type: ignore[attr-defined]


def _update_columns() -> list[str]:
    return [name for name in PRIMITIVE_COLUMNS if "update" in name or name == CLOSURE_COLUMN]


def first_token(model: LoadedModel, ids: list[list[int]]) -> str:
    """Say whether prompts begin with the tokenizer's BOS."""
    bos = getattr(getattr(model.tokenizer, "tokenizer", None), "bos_token_id", None)
    begins = bos is not None and all(tokens[0] == bos for tokens in ids)
    return FIRST_IS_BOS if begins else "the prompt's own"
