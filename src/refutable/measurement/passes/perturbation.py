"""The perturbation pass: a small change at the last token, followed through the blocks to first order.

Forward-mode differentiation carries the change alongside the stream, so growth is that of an infinitesimal change: no
size is chosen, no nearly equal numbers are subtracted, and low precision rounds the change like any other vector. Each
prompt has its own seeded random directions:

* *followed*: added to the first block's input and read after every block;
* *local*: added afresh to every block's input and read after that block (noise gain);
* *radial*: along the block's input itself, which gives the gain of a change of length (1 in a parallel block, whose
  modules read the output of a norm, which ignores length).

The trace keeps the geometric mean over directions. It also keeps the stream's norms, and the cosines between its states
k blocks apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from refutable.measurement.instrument.batching import pad
from refutable.measurement.instrument.differentiable import differentiable
from refutable.measurement.instrument.reduce import both_norms, centred
from refutable.measurement.instrument.taps import first_tensor, hidden_states, hooked, with_hidden_states
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.last_token import at_last, last_token_trace
from refutable.prompts.prompt_set import PromptSet
from refutable.traces.passes import DEPTH_COSINE, PASSES, PERTURBATION_STEMS, Pass, paired
from refutable.traces.trace import Trace, centred_norm_column, norm_column

_DUAL: Any = torch.autograd.forward_ad  # a vector and its change side by side; torch leaves it untyped
STREAM = [column(tap) for tap in ("block_input", "block_output") for column in (norm_column, centred_norm_column)]
COLUMNS = [*STREAM, *(name for stem in (*PERTURBATION_STEMS, DEPTH_COSINE) for name in paired(stem))]


def run_perturbation(model: LoadedModel, prompts: PromptSet, key: str, about: Mapping[str, Any], spec: Pass) -> Trace:
    """Follow perturbations through every block.

    Raises:
        NoSuchTap: an operation of this model has no forward-mode derivative.
    """
    count, seed = (int(PASSES["perturbation"].parameters[name]) for name in ("directions", "seed"))
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(count, len(prompts.prompts), model.width, generator=generator)
    directions = directions.to(model.network.get_input_embeddings().weight)

    def run(ids: list[list[int]], cut: Sequence[int]) -> torch.Tensor:
        return _run_batch(model, ids, cut, directions[:, list(cut)])

    with differentiable(model):
        return last_token_trace(model, prompts, key, about, COLUMNS, run, bos=spec.bos)


def _run_batch(model: LoadedModel, ids: list[list[int]], cut: Sequence[int], directions: torch.Tensor) -> torch.Tensor:
    """Return (B, layers, COLUMNS) of one batch; `directions` is (directions, B, D)."""
    tokens, mask, last = pad([ids[i] for i in cut], model.device)[:3]
    gains = []
    for direction in directions:
        stream, change = _changes(model, tokens, mask, last, direction, afresh=False)
        change_in = torch.cat([direction[None], change[:-1]])
        _, local = _changes(model, tokens, mask, last, direction, afresh=True)
        gains.append(torch.stack([gain for x in (change_in, change, local) for gain in _gains(x, direction)]))
    _, radial = _changes(model, tokens, mask, last, None, afresh=True)
    columns = (
        *(*both_norms(stream[:-1]), *both_norms(stream[1:])),
        *torch.stack(gains).log().mean(dim=0).exp(),  # (6, layers, B)
        *(*_gains(radial, stream[:-1]), *_depth_cosines(stream)),
    )
    return torch.stack([one.float() for one in columns], dim=-1).transpose(0, 1)  # (B, layers, COLUMNS)


def _gains(change: torch.Tensor, put_in: torch.Tensor) -> list[torch.Tensor]:
    """Return the factor by which a change has grown, raw and centred."""
    return [norm / first for norm, first in zip(both_norms(change), both_norms(put_in), strict=True)]


def _changes(
    model: LoadedModel,
    tokens: torch.Tensor,
    mask: torch.Tensor,
    last: torch.Tensor,
    direction: torch.Tensor | None,
    *,
    afresh: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run one pass with a tangent vector carried along the stream.

    Args:
        model, tokens, mask, last: the model and the batch.
        direction: (B, D), the change at the last token; None for the block's own input there.
        afresh: whether it replaces the accumulated change at every block's input, or starts at the first block only.

    Returns:
        The stream at the last token before each block and after the last, (layers + 1, B, D), and the change after
        each block, (layers, B, D).
    """
    home = model.device
    rows = torch.arange(len(last))
    stream: list[torch.Tensor] = []
    changes: list[torch.Tensor] = []

    def put(block: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        x = _DUAL.unpack_dual(hidden_states(args, kwargs)).primal
        change = torch.zeros_like(x)
        own = at_last(x, last)
        change[rows.to(x.device), last.to(x.device)] = own if direction is None else direction.to(own)
        if not stream:
            stream.append(own.to(home))
        return with_hidden_states(args, kwargs, _DUAL.make_dual(x, change))

    def see(block: torch.nn.Module, args: Any, output: Any) -> None:
        x, change = _DUAL.unpack_dual(first_tensor(output))
        stream.append(at_last(x, last).to(home))
        changes.append(at_last(change, last).to(home))

    blocks = list(model.blocks())
    handles = [block.register_forward_hook(see) for block in blocks]
    handles += [b.register_forward_pre_hook(put, with_kwargs=True) for b in (blocks if afresh else blocks[:1])]
    with hooked(handles), _DUAL.dual_level():
        model.backbone(tokens, mask)
    return torch.stack(stream), torch.stack(changes)


def _depth_cosines(stream: torch.Tensor) -> list[torch.Tensor]:
    """Return the mean cosine of states k blocks apart, for each k from 1 to layers, raw and centred: (layers, B)."""
    found = []
    for x in (stream.float(), centred(stream.float())):
        unit = (x / x.norm(dim=-1, keepdim=True)).transpose(0, 1)  # (B, layers + 1, D)
        cosines = unit @ unit.mT  # (B, layers + 1, layers + 1)
        lags = [cosines.diagonal(k, dim1=1, dim2=2).mean(dim=-1) for k in range(1, cosines.shape[-1])]
        found.append(torch.stack(lags))
    return found
