"""The Jacobian of all blocks together: d last block_output / d first block_input, at the last token.

No other token sees the last one, so every block's derivative at the last token is taken where the plain pass came by,
and the whole is their product: v goes through the blocks' maps in order, u through their transposes in reverse. Its
largest singular value is what the fastest of all small changes of the input grows by; random ones (`perturbation`) are
slower.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import torch

from refutable.measurement.instrument.batching import pad
from refutable.measurement.instrument.differentiable import differentiable
from refutable.measurement.instrument.taps import first_tensor, hooked
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.jacobian import Maps, block_maps, centred_maps, largest_singular_value, start_vectors
from refutable.measurement.passes.last_token import at_last, both_norms, last_token_trace
from refutable.measurement.passes.perturbation import STREAM
from refutable.prompts.prompt_set import PromptSet
from refutable.traces.passes import THROUGH_NORM, THROUGH_RESIDUAL, Pass, paired
from refutable.traces.trace import Trace

OF_ALL = [*paired(THROUGH_NORM), *paired(THROUGH_RESIDUAL)]  # of no layer: they stand in every layer's row
COLUMNS = [*STREAM, *OF_ALL]


def run_through(model: LoadedModel, prompts: PromptSet, key: str, about: Mapping[str, Any], spec: Pass) -> Trace:
    """Take the largest singular value of the Jacobian through all blocks, beside the norms of the stream.

    Raises:
        NoSuchTap: an operation of this model has no derivative.
    """
    absent = {}
    if model.family.norm != "LayerNorm":
        absent = dict.fromkeys((OF_ALL[1], OF_ALL[3]), "its norms do not take the mean off")
    with differentiable(model):
        return last_token_trace(
            model, prompts, key, about, COLUMNS, lambda ids, cut: _run_batch(model, ids, cut), absent, spec.bos
        )


def _run_batch(model: LoadedModel, ids: list[list[int]], cut: Sequence[int]) -> torch.Tensor:
    """Return (B, layers, COLUMNS)."""
    tokens, mask, last = pad([ids[i] for i in cut], model.device)[:3]
    stream: list[torch.Tensor] = []
    maps: list[Maps] = []

    def see(block: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        if not stream:
            stream.append(at_last(args[0] if args else kwargs["hidden_states"], last).to(model.device))
        stream.append(at_last(first_tensor(output), last).to(model.device))
        maps.append(block_maps(block, args, kwargs, last))

    handles = [block.register_forward_hook(see, with_kwargs=True) for block in model.blocks()]
    with hooked(handles):
        model.backbone(tokens, mask)
    states = torch.stack(stream)  # (layers + 1, B, D)
    norms = torch.stack([*both_norms(states[:-1]), *both_norms(states[1:])], dim=-1)  # (layers, B, STREAM)
    of_all = _of_all(_in_a_row(maps), start_vectors(cut, model.width).to(model.device), model)
    return torch.cat([norms, of_all.to(norms).expand(len(maps), -1, -1)], dim=-1).transpose(0, 1)


def _in_a_row(maps: Sequence[Maps]) -> Maps:
    """Return the derivative of what follows block upon block, from each block's own."""
    return Maps(
        lambda v: reduce(lambda x, one: one.forward(x), maps, v),
        lambda u: reduce(lambda x, one: one.backward(x), reversed(maps), u),
    )


def _of_all(maps: Maps, start: torch.Tensor, model: LoadedModel) -> torch.Tensor:
    """Return (B, OF_ALL): the largest singular value, raw and of what has its mean taken off, and their residuals."""
    raw = largest_singular_value(maps, start)
    nothing = torch.full_like(raw.value, torch.nan)
    value, residual = nothing, nothing
    if model.family.norm == "LayerNorm":
        value, residual = largest_singular_value(centred_maps(maps), start)
    return torch.stack([raw.value, value, raw.residual, residual], dim=-1)
