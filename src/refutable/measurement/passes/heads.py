"""The heads pass: what each attention head adds to the stream at the last token.

A head's contribution is its slice of the output matrix's columns applied to its mix of values. With the bias, the
contributions sum to the attention update; every run checks this for every block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from refutable.errors import ClosureError, NoSuchTap
from refutable.measurement.instrument.batching import pad
from refutable.measurement.instrument.parts import head_mixer, oriented
from refutable.measurement.instrument.reduce import centred
from refutable.measurement.instrument.taps import first_tensor, hooked
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.last_token import at_last, last_token_trace
from refutable.prompts.prompt_set import PromptSet
from refutable.traces.passes import HEAD_RESIDUAL, HEAD_STEMS, Pass, paired
from refutable.traces.trace import Trace


def run_heads(model: LoadedModel, prompts: PromptSet, key: str, about: Mapping[str, Any], spec: Pass) -> Trace:
    """Read every head of every block at each prompt's last token.

    Raises:
        NoSuchTap: the heads' sum passes through something nonlinear before it is added to the stream.
        ClosureError: the heads and the bias do not sum to the attention update.
    """
    _check_additive(model)
    heads = range(1, model.heads + 1)
    columns = [*(name for stem in HEAD_STEMS for name in paired(stem)), *(f"heads.norm.{head}" for head in heads)]
    absent = {} if len(heads) > 1 else dict.fromkeys(paired("heads.cosine"), "it has one head")
    run = partial(_run_batch, model)
    trace = last_token_trace(model, prompts, key, about, [*columns, HEAD_RESIDUAL], run, absent, spec.bos)
    _check_sum(trace, model)
    return trace


def _check_additive(model: LoadedModel) -> None:
    if not model.family.is_additive(model.config.to_dict()):
        raise NoSuchTap(f"{model.row.name}: its blocks are post-norm and add no attention update that heads make up")
    block = model.blocks()[0]
    update = block.get_submodule(model.family.attention_update)
    if update is not block.get_submodule(model.family.attention) and update is not head_mixer(block, model.family):
        raise NoSuchTap(
            f"{model.row.name}: a norm follows the sum of its heads ({model.family.attention_update}), so no head has a"
            " share of its own in what is added"
        )


@torch.inference_mode()
def _run_batch(model: LoadedModel, ids: list[list[int]], cut: Sequence[int]) -> torch.Tensor:
    """Return (B, layers, columns)."""
    tokens, mask, last = pad([ids[i] for i in cut], model.device)[:3]
    reduced: list[torch.Tensor] = []
    with hooked([handle for block in model.blocks() for handle in _watch(block, model, last, reduced)]):
        model.backbone(tokens, mask)
    return torch.stack([one.to(reduced[0].device) for one in reduced], dim=1)


def _watch(block: torch.nn.Module, model: LoadedModel, last: torch.Tensor, into: list[torch.Tensor]) -> list[Any]:
    """Hook one block's output matrix, which reads the heads' mixes of values, and the update made from them."""
    mixer = head_mixer(block, model.family)
    mixes: list[torch.Tensor] = []

    def see_mix(module: torch.nn.Module, args: tuple[Any, ...]) -> None:
        mixes.append(at_last(args[0].view(len(last), -1, args[0].shape[-1]), last))  # (B, heads * d_head)

    def see_update(module: torch.nn.Module, args: Any, output: Any) -> None:
        update = at_last(first_tensor(output), last).float() * model.scale  # (B, D)
        matrix = oriented(mixer).float() * model.scale  # (D, heads * d_head)
        mix = mixes.pop().float().view(len(last), model.heads, -1)  # (B, heads, d_head)
        added = torch.einsum("bhk,dhk->bhd", mix, matrix.reshape(len(matrix), model.heads, -1))  # (B, heads, D)
        whole, norms = added.sum(dim=1), added.norm(dim=-1)  # (B, D), (B, heads)
        size = norms.sum(dim=-1)
        bias = getattr(mixer, "bias", None)
        if bias is not None:
            whole, size = whole + bias.float() * model.scale, size + bias.float().norm() * model.scale
        residual = (whole - update).norm(dim=-1) / size
        into.append(torch.stack([*_reduce(added), *norms.unbind(-1), residual], dim=-1))

    adder = block.get_submodule(model.family.attention_update)
    return [mixer.register_forward_pre_hook(see_mix), adder.register_forward_hook(see_update)]


def _reduce(added: torch.Tensor) -> list[torch.Tensor]:
    """Return each of `HEAD_STEMS`, raw and centred, from contributions (B, heads, D): vectors (B,)."""
    pairs = zip(_reduce_one(added), _reduce_one(centred(added)), strict=True)
    return [one for pair in pairs for one in pair]


def _reduce_one(added: torch.Tensor) -> list[torch.Tensor]:
    heads = added.shape[1]
    norms = added.norm(dim=-1)  # (B, heads)
    unit = (added / norms[..., None]).sum(dim=1)  # its square is heads + the sum of the cosines of all ordered pairs
    cosine = (unit.square().sum(dim=-1) - heads) / (heads * (heads - 1)) if heads > 1 else norms[:, 0] * torch.nan
    return [added.sum(dim=1).norm(dim=-1), norms.sum(dim=-1), norms.amax(dim=-1), cosine, norms.norm(dim=-1)]


def _check_sum(trace: Trace, model: LoadedModel) -> None:
    """Refuse heads that do not sum to the update, to within 8 eps of the dtype relative to all that is summed."""
    residual = trace.blocks[HEAD_RESIDUAL].to_numpy().reshape(-1, trace.meta["layers"])
    bound = 8 * torch.finfo(getattr(torch, model.subject.dtype)).eps
    worst = np.nanmax(residual, initial=0.0)
    if worst > bound:
        layer = int(np.nanargmax(residual)) % residual.shape[1] + 1
        raise ClosureError(
            f"{model.row.name} in {model.subject.dtype}: the heads of layer {layer} do not sum to the attention update"
            f" (off by {worst:.3g} of what is summed, {worst / bound:.3g} times the bound)"
        )
