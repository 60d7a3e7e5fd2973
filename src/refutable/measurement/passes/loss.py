"""The loss pass: next-token loss, of the model as it is or under an intervention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from refutable.errors import NotMeasured
from refutable.measurement.instrument.batching import pad
from refutable.measurement.instrument.interventions import intervening
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.last_token import last_token_trace
from refutable.measurement.passes.looking_first import look_first
from refutable.prompts.prompt_set import PromptSet
from refutable.traces.passes import LOSS, Pass
from refutable.traces.trace import Trace


def run_loss(model: LoadedModel, prompts: PromptSet, key: str, about: Mapping[str, Any], spec: Pass) -> Trace:
    """Take the mean loss of each prompt's tokens after the first, in nats.

    The loss belongs to no layer, so every layer's row of a prompt holds it.

    Raises:
        NotMeasured: a prompt has one token, or the intervention means nothing on this architecture.
    """
    seen = look_first(model, prompts, spec)
    with intervening(model, spec.intervention, spec.blocks, spec.spare, spec.coordinate, seen):
        run = partial(_run_batch, model)
        return last_token_trace(model, prompts, key, about, [LOSS], run, bos=spec.bos, intervention=spec.intervention)


@torch.inference_mode()
def _run_batch(model: LoadedModel, ids: list[list[int]], cut: Sequence[int]) -> torch.Tensor:
    """Return (B, layers, 1)."""
    if any(len(ids[i]) < 2 for i in cut):
        raise NotMeasured(f"{model.row.name}: a prompt has one token, and nothing in it is foretold; leave it out")
    tokens, mask = pad([ids[i] for i in cut], model.device)[:2]
    logits = model.network(input_ids=tokens, attention_mask=mask, use_cache=False).logits  # (B, T, vocabulary)
    losses = [
        cross_entropy(row[: len(ids[i]) - 1].float(), own[1 : len(ids[i])].to(row.device))
        for i, row, own in zip(cut, logits, tokens, strict=True)
    ]
    return torch.stack(losses)[:, None, None].expand(-1, len(model.blocks()), -1)
