"""The induction pass: random tokens that stand twice, and how much each head attends to what followed the first time.

A prompt lends its first token and its length alone: after it, as many random tokens as the prompt has after its first,
drawn from the whole vocabulary by the prompt's number, stand twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from refutable.errors import NotMeasured
from refutable.measurement.instrument.batching import pad
from refutable.measurement.instrument.each_head import EachHead, watching
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.loading.tokens import check_lengths
from refutable.measurement.passes.batches import token_ids
from refutable.measurement.passes.last_token import last_token_trace
from refutable.prompts.prompt_set import PromptSet
from refutable.traces.passes import INDUCTION, PASSES, Pass
from refutable.traces.trace import Trace

LEAST = 3  # two tokens that stand twice


def run_induction(model: LoadedModel, prompts: PromptSet, key: str, about: Mapping[str, Any], spec: Pass) -> Trace:
    """Take the attention of each block's best head to the token after the last occurrence of the one it reads.

    Raises:
        NotMeasured: a prompt has fewer than three tokens, or what stands twice is longer than the model can read.
        NoSuchTap: the attention of this model shows no probabilities.
    """
    vocabulary = int(model.config.vocab_size)
    ids = [twice(own, vocabulary, number) for number, own in enumerate(token_ids(model, prompts, spec.bos))]
    if min(map(len, ids)) < 2 * LEAST - 1:
        raise NotMeasured(f"{model.row.name}: a prompt has fewer than {LEAST} tokens to repeat; leave it out")
    check_lengths(model.row.name, model.config, ids, prompts)
    run = partial(_run_batch, model, ids)
    return last_token_trace(model, prompts, key, about, [INDUCTION], run, bos=spec.bos)


def twice(ids: Sequence[int], vocabulary: int, number: int) -> list[int]:
    """Return a prompt's first token and, twice, as many random ones as it has after that."""
    rng = np.random.default_rng([int(PASSES["induction"].parameters["seed"]), number])
    drawn = rng.integers(vocabulary, size=len(ids) - 1).tolist()
    return [ids[0], *drawn, *drawn]


@torch.inference_mode()
def _run_batch(model: LoadedModel, repeated: list[list[int]], ids: list[list[int]], cut: Sequence[int]) -> torch.Tensor:
    """Return (B, layers, 1)."""
    read = [repeated[i] for i in cut]
    watcher = EachHead([len(one) for one in read], to_what_followed)
    tokens, mask = pad(read, model.device)[:2]
    with watching(model, watcher):
        model.backbone(tokens, mask)
    return torch.stack([one.to(model.device).amax(dim=1) for one in watcher.seen], dim=1)


def to_what_followed(pattern: torch.Tensor) -> torch.Tensor:
    """Return a head's mean attention in the second half to the token after the same one's first occurrence, (1,).

    `pattern` is (1 + 2m, 1 + 2m): token m + j, for j in 1, ..., m, is token j again, and token j + 1 followed that.
    """
    m = len(pattern) // 2
    query = torch.arange(m + 1, 2 * m + 1, device=pattern.device)
    return pattern[query, query - m + 1].mean()[None]
