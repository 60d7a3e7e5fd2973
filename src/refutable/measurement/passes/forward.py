"""The forward pass over a prompt set: a loaded model in, a trace out."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import torch

from refutable._util.progress import task
from refutable.errors import BadInput, InstrumentError
from refutable.measurement.instrument.attention_probe import LastQuery
from refutable.measurement.instrument.batching import Padded, depends_on_company, pad, switch_lengths
from refutable.measurement.instrument.closure import check_closure
from refutable.measurement.instrument.cutting import LIMIT, OVERHEAD, cut_batches
from refutable.measurement.instrument.interventions import changed_ids, intervening
from refutable.measurement.instrument.reduce import both_norms
from refutable.measurement.instrument.tables import ReducedBatch, to_tables
from refutable.measurement.instrument.taps import BlockReader, hooked, primitives, reading
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.loading.tokens import check_lengths
from refutable.models.device import EVERY_GPU
from refutable.prompts.prompt_set import PromptSet
from refutable.traces.passes import Bos, Pass
from refutable.traces.trace import CLOSURE_COLUMN, ENTROPY_COLUMN, FIRST_IS_BOS, KEYS_COLUMN, PRIMITIVE_COLUMNS, Trace

PLAIN = Pass("forward")
UPDATE_COLUMNS = [name for name in PRIMITIVE_COLUMNS if "update" in name or name == CLOSURE_COLUMN]
Result = TypeVar("Result")


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
    with intervening(model, spec.intervention, spec.blocks, spec.spare, spec.coordinate):
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


def token_ids(model: LoadedModel, prompts: PromptSet, bos: Bos = "default") -> list[list[int]]:
    """Return the token ids of each prompt, which begin as `bos` says.

    Raises:
        InstrumentError: the tokenizer returns no token for a prompt.
        NotMeasured: there is no beginning-of-sequence token, or a prompt is longer than the model can read.
    """
    try:
        ids = model.tokenizer.encode(prompts) if bos == "default" else model.tokenizer.encode(prompts, bos)
    except BadInput as error:
        raise BadInput(f"{model.row.name}: {error}") from None
    empty = [number for number, tokens in enumerate(ids) if not tokens]
    if empty:
        more = f" and of {len(empty) - 1} more" if empty[1:] else ""
        raise InstrumentError(
            f"{model.row.name}: its tokenizer makes no token of {prompts.called(empty[0])}{more}; give prompts in"
            " letters that it knows (--prompts), or the tokenizer that belongs to the weights"
        )
    check_lengths(model.row.name, model.config, ids, prompts)
    return ids


def run_in_batches(
    model: LoadedModel, ids: list[list[int]], run: Callable[[Sequence[int]], Result]
) -> tuple[list[Result], int]:
    """Call `run` with the prompt indices of each batch; when memory runs out, halve the batches and start over.

    Returns:
        The result of each batch, and how often the batches were halved.

    Raises:
        torch.OutOfMemoryError: not even one prompt fits.
    """
    limit, halvings = 1 if depends_on_company(model.network) else LIMIT.get(model.device.type, 8192), 0
    overhead = OVERHEAD.get(model.device.type, 512)
    lengths = [len(tokens) for tokens in ids]
    while True:
        cuts = cut_batches(lengths, overhead=overhead, limit=limit, switches=switch_lengths(model.network))
        try:
            return [run(cut) for cut in _told(cuts, lengths, overhead)], halvings
        except torch.OutOfMemoryError:
            if max(map(len, cuts)) == 1:
                raise
        largest = max(len(cut) * max(lengths[i] for i in cut) for cut in cuts)
        limit, halvings = min(limit, largest) // 2, halvings + 1
        torch.cuda.empty_cache()


def _told(cuts: Sequence[Sequence[int]], lengths: Sequence[int], overhead: int) -> Iterator[Sequence[int]]:
    """Yield each batch, and tell how many prompts are done and how much work that is: padded tokens and passes."""
    costs = [len(cut) * max(lengths[i] for i in cut) + overhead for cut in cuts]
    with task("", sum(map(len, cuts)), "prompts") as running:
        for number, cut in enumerate(cuts):
            running.share, running.step = sum(costs[:number]) / sum(costs), costs[number] / sum(costs)
            running.part = 0.0
            yield cut
            running.advance(len(cut))


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
