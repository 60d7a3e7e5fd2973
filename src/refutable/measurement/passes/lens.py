"""The lens pass: each block's output at the last token, read by the final norm and the head as the last one's is.

The network itself reads it: a one-token pass whose last block gives the state in question, so that whatever this family
does after its blocks (a norm, a projection, a scale, a cap) is done. Read so, the last block's output must give the
model's own distribution; every run checks this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch

from refutable.errors import InstrumentError
from refutable.measurement.instrument.batching import pad
from refutable.measurement.instrument.taps import first_tensor, hooked, with_first_tensor
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.forward import last_logits
from refutable.measurement.passes.last_token import at_last, last_token_trace
from refutable.prompts.prompt_set import PromptSet
from refutable.traces.passes import LENS_DIVERGENCE, LENS_ENTROPY, Pass
from refutable.traces.trace import Trace

COLUMNS = [LENS_DIVERGENCE, LENS_ENTROPY]
ROWS = 64  # states that are read at once: their log-probabilities are held in float64
LEAST_BOUND, ROUNDINGS = 1e-6, 50  # a divergence is quadratic in the logits' error


def run_lens(model: LoadedModel, prompts: PromptSet, key: str, about: Mapping[str, Any], spec: Pass) -> Trace:
    """Take the divergence of each block's logit lens from the output at each prompt's last token, and its entropy.

    Raises:
        InstrumentError: the lens on the last block's output is not the model's own distribution.
    """
    trace = last_token_trace(model, prompts, key, about, COLUMNS, partial(_run_batch, model), bos=spec.bos)
    worst = float(trace.blocks[LENS_DIVERGENCE].to_numpy().reshape(len(trace), -1)[:, -1].max(initial=0.0))
    bound = max(LEAST_BOUND, (ROUNDINGS * torch.finfo(getattr(torch, model.subject.dtype)).eps) ** 2)
    if worst > bound:
        raise InstrumentError(
            f"{model.row.name} in {model.subject.dtype}: the lens on its last block is {worst:.3g} nats from its own"
            f" output (bound {bound:.3g}); what follows the blocks depends on more than their output"
        )
    return trace


@torch.inference_mode()
def _run_batch(model: LoadedModel, ids: list[list[int]], cut: Sequence[int]) -> torch.Tensor:
    """Return (B, layers, COLUMNS)."""
    padded = pad([ids[i] for i in cut], model.device)
    states: list[torch.Tensor] = []  # after each block, (B, D)

    def see(block: torch.nn.Module, args: Any, output: Any) -> None:
        states.append(at_last(first_tensor(output), padded.last))

    with hooked([block.register_forward_hook(see) for block in model.blocks()]):
        own = torch.log_softmax(last_logits(model, padded)[0].double(), dim=-1)  # (B, vocabulary)
    rows = torch.stack([state.to(own.device) for state in states], dim=1).flatten(0, 1)  # (B layers, D)
    whose = torch.arange(len(own), device=own.device).repeat_interleave(len(states))
    read = [
        divergence_and_entropy(own[whose[begin : begin + ROWS]], read_by_lens(model, rows[begin : begin + ROWS]))
        for begin in range(0, len(rows), ROWS)
    ]
    return torch.cat(read).reshape(len(own), len(states), len(COLUMNS))


def read_by_lens(model: LoadedModel, state: torch.Tensor) -> torch.Tensor:
    """Return the log-probabilities that the network gives after states of its last block, (N, vocabulary) of (N, D)."""

    def give(block: torch.nn.Module, args: Any, output: Any) -> Any:
        return with_first_tensor(output, state[:, None].to(first_tensor(output)))

    tokens = torch.zeros(len(state), 1, dtype=torch.long, device=model.device)
    with hooked([model.blocks()[-1].register_forward_hook(give)]):
        logits = model.network(input_ids=tokens, attention_mask=torch.ones_like(tokens), use_cache=False).logits
    return torch.log_softmax(logits[:, 0].double(), dim=-1)


def divergence_and_entropy(own: torch.Tensor, read: torch.Tensor) -> torch.Tensor:
    """Return KL(own || read) and the entropy of `read`, (B, 2), from log-probabilities (B, vocabulary) in float64.

    A token of probability 0 counts nothing in either sum.
    """
    read = read.to(own.device)
    divergence = torch.where(own.isneginf(), 0.0, own.exp() * (own - read)).sum(dim=-1).clamp(min=0)
    entropy = -torch.where(read.isneginf(), 0.0, read.exp() * read).sum(dim=-1)
    return torch.stack([divergence, entropy], dim=-1).float()
