"""The rank pass: effective rank and variance of token states, before and after each block.

The states of a prompt's tokens, at one depth, form a matrix (tokens, width). Their mean over the tokens is subtracted;
what is left has singular values s. The effective rank is exp(H(s / sum s)) (Roy and Vetterli, 2007), between 1 and one
less than the number of those tokens. Scaling or rotating all states, or adding one vector to each, does not change it.
The variance is sum s^2 over the number of tokens. Both are taken raw, and with each state's mean over the width
subtracted; of all tokens but the first, as at position ``all``, and of all.

The massive activation of the first token, where there is one, is almost the only direction of all the states, and a
block that removes it seems to add new ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch

from refutable.measurement.instrument.batching import pad
from refutable.measurement.instrument.reduce import centred
from refutable.measurement.instrument.taps import first_tensor, hidden_states, hooked
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.batches import check_tokens
from refutable.measurement.passes.last_token import last_token_trace
from refutable.prompts.prompt_set import PromptSet
from refutable.traces.passes import RANK_IN, RANK_OUT, VARIANCE_IN, VARIANCE_OUT, First, Pass, beside, paired
from refutable.traces.trace import Trace

STEMS = (RANK_IN, RANK_OUT, VARIANCE_IN, VARIANCE_OUT)
FORMS: tuple[First | None, ...] = (None, "with")  # without the first token, and with it
COLUMNS = [beside(name, form) for form in FORMS for stem in STEMS for name in paired(stem)]
LEAST = 3  # with a single token after the first there is nothing to vary


def run_rank(model: LoadedModel, prompts: PromptSet, key: str, about: Mapping[str, Any], spec: Pass) -> Trace:
    """Take the effective rank and the variance of each prompt's token states before and after every block.

    Raises:
        NotMeasured: a prompt has fewer than three tokens.
    """
    return last_token_trace(model, prompts, key, about, COLUMNS, partial(_run_batch, model), bos=spec.bos)


@torch.inference_mode()
def _run_batch(model: LoadedModel, ids: list[list[int]], cut: Sequence[int]) -> torch.Tensor:
    """Return (B, layers, COLUMNS)."""
    lengths = [len(ids[i]) for i in cut]
    check_tokens(model, lengths, LEAST, "a rank needs")
    tokens, mask = pad([ids[i] for i in cut], model.device)[:2]
    seen: list[torch.Tensor] = []

    def see(block: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        both = hidden_states(args, kwargs), first_tensor(output)
        forms = [form for states in both for form in (states, centred(states.float()))]
        values = [
            of([row[start:length] for row, length in zip(form, lengths, strict=True)])
            for start in (1, 0)
            for of in (effective_ranks, variances)
            for form in forms
        ]
        seen.append(torch.stack([value.to(model.device) for value in values], dim=-1))

    with hooked([block.register_forward_hook(see, with_kwargs=True) for block in model.blocks()]):
        model.backbone(tokens, mask)
    return torch.stack(seen, dim=1)


def effective_ranks(states: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the effective rank of each prompt's states, (B,), from (tokens, D) each.

    The square roots of the eigenvalues of the tokens' Gram matrix, in float64, are the singular values. NaN if all
    tokens are in the same state; 1 if they are in two.
    """
    ranks = []
    for own in map(_about_their_mean, states):
        gram = own @ own.T  # (tokens, tokens)
        if not bool(torch.isfinite(gram).all()):
            ranks.append(torch.full((), torch.nan, device=own.device))
            continue
        singular = torch.linalg.eigvalsh(gram)[1:].clamp(min=0).sqrt()  # the smallest is 0: the mean was subtracted
        share = singular / singular.sum()
        ranks.append(torch.exp(-torch.xlogy(share, share).sum()).float())
    return torch.stack(ranks)


def variances(states: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the trace of the covariance of each prompt's states, (B,), from (tokens, D) each."""
    return torch.stack([(own**2).sum(dim=-1).mean().float() for own in map(_about_their_mean, states)])


def _about_their_mean(states: torch.Tensor) -> torch.Tensor:
    """Return states less their mean over the tokens, in float64, (tokens, D)."""
    own = states.double()
    return own - own.mean(dim=0)
