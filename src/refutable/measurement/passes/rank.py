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

from collections.abc import Iterator, Mapping, Sequence
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
AT_ONCE = {"cuda": 4096}  # tokens whose states are held in float64; elsewhere 64
SMALL = 32  # tokens up to which a CPU finds eigenvalues sooner than a GPU
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
    tokens are in the same state, or a value is not finite; 1 if they are in two.
    """
    return torch.cat([_effective_ranks(own, lengths) for own, lengths in _about_their_means(states)])


def variances(states: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the trace of the covariance of each prompt's states, (B,), from (tokens, D) each."""
    found = [torch.linalg.vector_norm(own, dim=(1, 2)) ** 2 / lengths for own, lengths in _about_their_means(states)]
    return torch.cat(found).float()


def _effective_ranks(own: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    gram = own @ own.mT  # (B, T, T)
    finite = torch.isfinite(gram).all(dim=-1).all(dim=-1)
    longest = own.shape[1]
    there = "cpu" if longest <= SMALL else gram.device
    values = torch.linalg.eigvalsh(torch.where(finite[:, None, None], gram, 0.0).to(there)).to(gram.device)  # ascending
    counts = torch.arange(longest, device=own.device) > longest - lengths[:, None]  # not padding, nor the mean
    singular = values.clamp(min=0).sqrt() * counts
    share = singular / singular.sum(dim=-1, keepdim=True)
    ranks = torch.exp(-torch.xlogy(share, share).sum(dim=-1))
    return torch.where(finite, ranks, torch.nan).float()


def _about_their_means(states: Sequence[torch.Tensor]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield states less their mean over each prompt's tokens, in float64, zero where padded, (B, T, D); and lengths."""
    most = max(1, AT_ONCE.get(states[0].device.type, 64) // max(map(len, states)))
    for begin in range(0, len(states), most):
        some = states[begin : begin + most]
        lengths = torch.tensor([len(one) for one in some], device=some[0].device)
        own = torch.nn.utils.rnn.pad_sequence(list(some), batch_first=True).double()
        own -= own.sum(dim=1, keepdim=True) / lengths[:, None, None]
        own *= (torch.arange(own.shape[1], device=own.device) < lengths[:, None])[..., None]
        yield own, lengths
