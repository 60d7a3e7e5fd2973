"""The Jacobian of all blocks together: d last block_output / d first block_input, at the last token.

No other token sees the last one. So each block's derivative at the last token, taken where the plain pass goes through,
is enough, and the whole is their product: v passes through the blocks' maps in order, u through their transposes in
reverse. Its largest singular value is the growth of the fastest-growing small change of the input; random changes
(`perturbation`) grow more slowly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial, reduce
from typing import Any

import torch

from refutable.measurement.instrument.batching import pad
from refutable.measurement.instrument.differentiable import differentiable
from refutable.measurement.instrument.reduce import both_norms
from refutable.measurement.instrument.taps import first_tensor, hidden_states, hooked
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.jacobian import (
    Maps,
    absent_centred,
    block_maps,
    largest_singular_values,
    start_vectors,
)
from refutable.measurement.passes.last_token import at_last, last_token_trace
from refutable.measurement.passes.perturbation import STREAM
from refutable.prompts.prompt_set import PromptSet
from refutable.traces.passes import THROUGH_NORM, THROUGH_RESIDUAL, Pass, paired
from refutable.traces.trace import Trace

OF_ALL = [*paired(THROUGH_NORM), *paired(THROUGH_RESIDUAL)]  # these belong to no layer and stand in every layer's row
COLUMNS = [*STREAM, *OF_ALL]


def run_through(model: LoadedModel, prompts: PromptSet, key: str, about: Mapping[str, Any], spec: Pass) -> Trace:
    """Take the largest singular value of the Jacobian through all blocks, beside the norms of the stream.

    Raises:
        NoSuchTap: an operation of this model has no derivative.
    """
    absent, run = absent_centred(model, OF_ALL), partial(_run_batch, model)
    with differentiable(model):
        return last_token_trace(model, prompts, key, about, COLUMNS, run, absent, spec.bos)


def _run_batch(model: LoadedModel, ids: list[list[int]], cut: Sequence[int]) -> torch.Tensor:
    """Return (B, layers, COLUMNS)."""
    tokens, mask, last = pad([ids[i] for i in cut], model.device)[:3]
    stream: list[torch.Tensor] = []
    maps: list[Maps] = []

    def see(block: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        if not stream:
            stream.append(at_last(hidden_states(args, kwargs), last).to(model.device))
        stream.append(at_last(first_tensor(output), last).to(model.device))
        maps.append(block_maps(block, args, kwargs, last))

    with hooked([block.register_forward_hook(see, with_kwargs=True) for block in model.blocks()]):
        model.backbone(tokens, mask)
    states = torch.stack(stream)  # (layers + 1, B, D)
    norms = torch.stack([*both_norms(states[:-1]), *both_norms(states[1:])], dim=-1)  # (layers, B, STREAM)
    product = Maps(
        lambda v: reduce(lambda x, one: one.forward(x), maps, v),
        lambda u: reduce(lambda x, one: one.backward(x), reversed(maps), u),
    )
    of_all = largest_singular_values(product, start_vectors(cut, model.width).to(model.device), model)
    values = torch.stack(of_all, dim=-1)  # (B, OF_ALL)
    return torch.cat([norms, values.to(norms).expand(len(maps), -1, -1)], dim=-1).transpose(0, 1)
