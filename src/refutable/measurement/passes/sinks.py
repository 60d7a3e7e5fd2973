"""The sinks pass: how much each head attends to a prompt's first token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch

from refutable.errors import NotMeasured
from refutable.measurement.instrument.batching import pad
from refutable.measurement.instrument.each_head import EachHead, watching
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.last_token import last_token_trace
from refutable.prompts.prompt_set import PromptSet
from refutable.traces.passes import SINK_ATTENTION, SINK_RATE, SINK_THRESHOLD, First, Pass, beside
from refutable.traces.trace import Trace

FORMS: tuple[First | None, ...] = (None, "with")  # queries after the first, and all of them
COLUMNS = [beside(stem, first) for stem in (SINK_ATTENTION, SINK_RATE) for first in FORMS]


def run_sinks(model: LoadedModel, prompts: PromptSet, key: str, about: Mapping[str, Any], spec: Pass) -> Trace:
    """Take each head's mean attention to the first token, and of each block's heads the mean and the share of sinks.

    Raises:
        NotMeasured: a prompt has one token.
        NoSuchTap: the attention of this model shows no probabilities.
    """
    return last_token_trace(model, prompts, key, about, COLUMNS, partial(_run_batch, model), bos=spec.bos)


@torch.inference_mode()
def _run_batch(model: LoadedModel, ids: list[list[int]], cut: Sequence[int]) -> torch.Tensor:
    """Return (B, layers, COLUMNS)."""
    lengths = [len(ids[i]) for i in cut]
    if min(lengths) < 2:
        raise NotMeasured(f"{model.row.name}: a prompt has one token, which sees itself alone; leave it out")
    watcher = EachHead(lengths, to_first)
    tokens, mask = pad([ids[i] for i in cut], model.device)[:2]
    with watching(model, watcher):
        model.backbone(tokens, mask)
    heads = torch.stack([one.to(model.device) for one in watcher.seen], dim=1)  # (B, layers, heads, FORMS)
    return torch.cat([heads.mean(dim=2), (heads > SINK_THRESHOLD).float().mean(dim=2)], dim=-1)


def to_first(pattern: torch.Tensor) -> torch.Tensor:
    """Return the mean attention to the first key, without the first query and with it, (2,), from (queries, keys)."""
    return torch.stack([pattern[1:, 0].mean(), pattern[:, 0].mean()])
