"""The heads pass: what each attention head adds to the stream at the last token.

A head's contribution is its slice of the output matrix's columns, applied to its mix of values; with the bias, the
contributions sum to the attention update, which is checked on every block of every run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch

from refutable.errors import ClosureError, NoSuchTap
from refutable.measurement.instrument.batching import pad
from refutable.measurement.instrument.parts import head_mixer, oriented
from refutable.measurement.instrument.taps import first_tensor
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.last_token import at_last, last_token_trace
from refutable.prompts.prompt_set import PromptSet
from refutable.traces.passes import HEAD_RESIDUAL, HEAD_STEMS, Pass, paired
from refutable.traces.trace import Trace


def run_heads(model: LoadedModel, prompts: PromptSet, key: str, about: Mapping[str, Any], spec: Pass) -> Trace:
    """Read every head of every block at each prompt's last token.

    Raises:
        NoSuchTap: something that is not linear follows the heads' sum before it is added to the stream.
        ClosureError: the heads and the bias do not sum to the attention update.
    """
    _check_additive(model)
    heads = model.heads
    names = [name for stem in HEAD_STEMS for name in paired(stem)]
    columns = [*names, *(f"heads.norm.{head}" for head in range(1, heads + 1)), HEAD_RESIDUAL]
    absent = {} if heads > 1 else dict.fromkeys(paired("heads.cosine"), "it has one head")
    trace = last_token_trace(
        model, prompts, key, about, columns, lambda ids, cut: _run_batch(model, ids, cut, heads), absent, spec.bos
    )
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
def _run_batch(model: LoadedModel, ids: list[list[int]], cut: Sequence[int], heads: int) -> torch.Tensor:
    tokens, mask, last = pad([ids[i] for i in cut], model.device)[:3]
    reduced: list[torch.Tensor] = []
    with ExitStack() as stack:
        for block in model.blocks():
            stack.enter_context(_Heads(block, model, last, heads, reduced))
        model.backbone(tokens, mask)
    return torch.stack([one.to(reduced[0].device) for one in reduced], dim=1)  # (B, layers, columns)


class _Heads:
    """Hooks on one block: the mix of values that the output matrix reads, and the update that comes of it."""

    def __init__(
        self, block: torch.nn.Module, model: LoadedModel, last: torch.Tensor, heads: int, into: list[torch.Tensor]
    ) -> None:
        self._mixer = head_mixer(block, model.family)
        self._update = block.get_submodule(model.family.attention_update)
        self._last, self._heads, self._scale, self._into = last, heads, model.scale, into
        self._mix: torch.Tensor | None = None

    def __enter__(self) -> None:
        self._handles = [
            self._mixer.register_forward_pre_hook(self._see_mix),
            self._update.register_forward_hook(self._see_update),
        ]

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _see_mix(self, module: torch.nn.Module, args: tuple[Any, ...]) -> None:
        self._mix = at_last(args[0].view(len(self._last), -1, args[0].shape[-1]), self._last)  # (B, heads * d_head)

    def _see_update(self, module: torch.nn.Module, args: Any, output: Any) -> None:
        assert self._mix is not None
        update = at_last(first_tensor(output), self._last).float() * self._scale  # (B, D)
        matrix = oriented(self._mixer).float() * self._scale  # (D, heads * d_head)
        mix = self._mix.float().view(len(self._last), self._heads, -1)  # (B, heads, d_head)
        added = torch.einsum("bhk,dhk->bhd", mix, matrix.reshape(len(matrix), self._heads, -1))  # (B, heads, D)
        bias = getattr(self._mixer, "bias", None)
        whole = added.sum(dim=1) if bias is None else added.sum(dim=1) + bias.float() * self._scale
        size = added.norm(dim=-1).sum(dim=-1) + (0 if bias is None else bias.float().norm() * self._scale)
        residual = (whole - update).norm(dim=-1) / size
        self._into.append(torch.stack([*_reduce(added), *added.norm(dim=-1).unbind(-1), residual], dim=-1))
        self._mix = None


def _reduce(added: torch.Tensor) -> list[torch.Tensor]:
    """Return each of `HEAD_STEMS`, raw and centred, of contributions (B, heads, D): vectors (B,)."""
    raw, centred = _reduce_one(added), _reduce_one(added - added.mean(dim=-1, keepdim=True))
    return [one for pair in zip(raw, centred, strict=True) for one in pair]


def _reduce_one(added: torch.Tensor) -> list[torch.Tensor]:
    heads = added.shape[1]
    norms = added.norm(dim=-1)  # (B, heads)
    unit = (added / norms[..., None]).sum(dim=1)  # its square is heads + the sum of all cosines of two
    cosine = (unit.square().sum(dim=-1) - heads) / (heads * (heads - 1)) if heads > 1 else norms[:, 0] * torch.nan
    return [added.sum(dim=1).norm(dim=-1), norms.sum(dim=-1), norms.amax(dim=-1), cosine, norms.norm(dim=-1)]


def _check_sum(trace: Trace, model: LoadedModel) -> None:
    """Refuse heads that do not make up the update, to 8 eps of the dtype of all that is summed."""
    residual = trace.blocks[HEAD_RESIDUAL].to_numpy().reshape(-1, trace.meta["layers"])
    bound = 8 * torch.finfo(getattr(torch, model.subject.dtype)).eps
    worst = np.nanmax(residual, initial=0.0)
    if worst > bound:
        layer = int(np.nanargmax(residual)) % residual.shape[1] + 1
        raise ClosureError(
            f"{model.row.name} in {model.subject.dtype}: the heads of layer {layer} do not sum to the attention update"
            f" (off by {worst:.3g} of what is summed, {worst / bound:.3g} times the bound)"
        )
