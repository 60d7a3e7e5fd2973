"""The reach pass: how far back, in tokens and in blocks, the gradient of the top prediction reaches.

The gradient is that of the log-probability of the most probable next token, at each block's input and output:

* *tokens*: |gradient| |state| is the first-order effect of changing a token's state by a small share of its length.
  These products weight the mean distance back from the last token, as a share of the prompt's length less one;
* *writes*: the first-order effect of removing all that a block added, at every token: |sum over tokens of gradient .
  update|.

Both are taken over all tokens, and over all but the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch

from refutable.errors import NotMeasured
from refutable.measurement.instrument.batching import pad
from refutable.measurement.instrument.differentiable import check_differentiable
from refutable.measurement.instrument.reduce import both_norms
from refutable.measurement.instrument.taps import first_tensor, hidden_states, hooked, with_hidden_states
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.last_token import at_last, last_token_trace
from refutable.prompts.prompt_set import PromptSet
from refutable.traces.passes import REACH_TOKENS, REACH_WRITE, First, Pass, beside, paired
from refutable.traces.trace import Trace

FORMS: tuple[First | None, ...] = (None, "without")  # with the first token, and without it
COLUMNS = [beside(name, form) for form in FORMS for name in (*paired(REACH_TOKENS), REACH_WRITE)]


def run_reach(model: LoadedModel, prompts: PromptSet, key: str, about: Mapping[str, Any], spec: Pass) -> Trace:
    """Take the reach over tokens before each block, and the effect of each block's update.

    Raises:
        NotMeasured: a prompt has one token.
        NoSuchTap: an operation of this model has no derivative.
    """
    check_differentiable(model)
    return last_token_trace(model, prompts, key, about, COLUMNS, partial(_run_batch, model), bos=spec.bos)


def _run_batch(model: LoadedModel, ids: list[list[int]], cut: Sequence[int]) -> torch.Tensor:
    """Return (B, layers, COLUMNS)."""
    if any(len(ids[i]) < 2 for i in cut):
        raise NotMeasured(f"{model.row.name}: a prompt has one token, and nothing lies behind it; leave it out")
    tokens, mask, last = pad([ids[i] for i in cut], model.device)[:3]
    stream: list[torch.Tensor] = []  # before the first block and after each: (B, T, D)

    def begin(block: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        stream.append(hidden_states(args, kwargs).detach().requires_grad_())
        return with_hidden_states(args, kwargs, stream[0])

    def see(block: torch.nn.Module, args: Any, output: Any) -> None:
        stream.append(first_tensor(output))

    blocks = list(model.blocks())
    handles = [blocks[0].register_forward_pre_hook(begin, with_kwargs=True)]
    handles += [block.register_forward_hook(see) for block in blocks]
    with hooked(handles), torch.enable_grad():
        logits = model.network(input_ids=tokens, attention_mask=mask, use_cache=False).logits
        chosen = torch.log_softmax(at_last(logits, last).float(), dim=-1).amax(dim=-1)  # (B,)
        gradients = torch.autograd.grad(chosen.sum(), stream)
    return _reduce([one.detach() for one in stream], gradients, last)


def _reduce(stream: Sequence[torch.Tensor], gradients: Sequence[torch.Tensor], last: torch.Tensor) -> torch.Tensor:
    """Return (B, layers, COLUMNS) from states and gradients (B, T, D), one more than there are layers."""
    home, columns = last.device, []
    back = last[:, None] - torch.arange(stream[0].shape[1], device=home)  # (B, T); negative at padding, which is masked
    counted = [(back >= 0) & (back <= farthest) for farthest in (last[:, None], last[:, None] - 1)]  # (B, T)
    for layer in range(len(stream) - 1):
        pull = gradients[layer].float().norm(dim=-1)  # (B, T)
        weights = [(pull * length).to(home) for length in both_norms(stream[layer])]
        update = stream[layer + 1].float() - stream[layer].float().to(stream[layer + 1].device)
        write = (gradients[layer + 1].float() * update).sum(dim=-1).to(home)  # (B, T)
        found = []
        for tokens in counted:
            found += [(w * tokens * back).sum(dim=-1) / (w * tokens).sum(dim=-1) / last for w in weights]
            found.append((write * tokens).sum(dim=-1).abs())
        columns.append(torch.stack(found, dim=-1))
    return torch.stack(columns, dim=1)
