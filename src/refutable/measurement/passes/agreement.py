"""The agreement pass: the next-token predictions of a changed model against those of the model as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch

from refutable.errors import NotMeasured
from refutable.measurement.instrument.batching import pad
from refutable.measurement.instrument.interventions import Seen, changed_ids, intervening
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.last_token import last_token_trace
from refutable.measurement.passes.lens import divergence_and_entropy
from refutable.measurement.passes.looking_first import look_first
from refutable.prompts.prompt_set import PromptSet
from refutable.traces.passes import KEPT_DIVERGENCE, KEPT_TOP, Pass
from refutable.traces.trace import Trace


def run_agreement(model: LoadedModel, prompts: PromptSet, key: str, about: Mapping[str, Any], spec: Pass) -> Trace:
    """Take the share of a prompt's tokens whose most probable next token is kept, and the mean divergence.

    Both are over the tokens after the first, and belong to no layer: every layer's row of a prompt holds them. Under
    ``shuffle-tokens`` each position is held against itself.

    Raises:
        NotMeasured: a prompt has one token, or the intervention means nothing on this architecture.
    """
    columns = [KEPT_TOP, KEPT_DIVERGENCE]
    run = partial(_run_batch, model, spec, look_first(model, prompts, spec))
    return last_token_trace(model, prompts, key, about, columns, run, bos=spec.bos)


@torch.inference_mode()
def _run_batch(
    model: LoadedModel, spec: Pass, seen: Seen | None, ids: list[list[int]], cut: Sequence[int]
) -> torch.Tensor:
    """Return (B, layers, 2)."""
    own = [ids[i] for i in cut]
    if min(map(len, own)) < 2:
        raise NotMeasured(f"{model.row.name}: a prompt has one token, and nothing follows the first; leave it out")
    plain = _logits(model, own)
    with intervening(model, spec.intervention, spec.blocks, spec.spare, spec.coordinate, seen):
        changed = _logits(model, changed_ids(own, spec.intervention))
    rows = []
    for was, now, tokens in zip(plain, changed, own, strict=True):
        p, q = (torch.log_softmax(one[1 : len(tokens)].double(), dim=-1) for one in (was, now))  # (tokens - 1, V)
        kept = (p.argmax(dim=-1) == q.argmax(dim=-1)).float().mean()
        rows.append(torch.stack([kept, divergence_and_entropy(p, q)[:, 0].mean()]))
    return torch.stack(rows)[:, None].expand(-1, len(model.blocks()), -1)


def _logits(model: LoadedModel, ids: Sequence[Sequence[int]]) -> torch.Tensor:
    """Return the logits after every token, (B, T, vocabulary)."""
    tokens, mask = pad(ids, model.device)[:2]
    logits: torch.Tensor = model.network(input_ids=tokens, attention_mask=mask, use_cache=False).logits
    return logits
