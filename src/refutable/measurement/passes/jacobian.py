"""The Jacobian pass: d block_output / d block_input at the last token, other positions fixed.

Never written out: v to J v is forward mode, u to J^T u reverse mode (`torch.func`). From a seeded vector these span a
Krylov space, the one that power iteration walks through; all of it is used, and not the last vector alone, because two
singular values are often so near each other that power iteration needs hundreds of steps (Lanczos, Arnoldi).

* largest singular value: of J^T J; raw, and of P J P with P the projection that takes the mean off, where the model's
  norms take it off;
* spectral radius: of J.

Each carries the residual of its pair, and a metric refuses what has not converged. As in power iteration, that it is
the largest and no other rests on the start vector having some part of it. With as many steps as the width the
space is all there is, and nothing is left to converge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from refutable.measurement.instrument.batching import pad
from refutable.measurement.instrument.differentiable import differentiable
from refutable.measurement.instrument.taps import first_tensor, hooked
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.last_token import at_last, last_token_trace
from refutable.prompts.prompt_set import PromptSet
from refutable.traces.passes import (
    JACOBIAN_NORM,
    JACOBIAN_RADIUS,
    JACOBIAN_RESIDUAL,
    KRYLOV,
    RADIUS_RESIDUAL,
    Blocks,
    Pass,
    paired,
)
from refutable.traces.trace import Trace

COLUMNS = [*paired(JACOBIAN_NORM), *paired(JACOBIAN_RESIDUAL), JACOBIAN_RADIUS, RADIUS_RESIDUAL]
CHECK_EVERY = 4
Linear = Callable[[torch.Tensor], torch.Tensor]


class Ritz(NamedTuple):
    """An eigenvalue's modulus as a Krylov space has it, (B,), and its pair's residual relative to it, (B,)."""

    value: torch.Tensor
    residual: torch.Tensor


class Maps(NamedTuple):
    """A block's derivative at the last token of each prompt, as two maps of (B, D): v to J v, and u to J^T u."""

    forward: Linear
    backward: Linear


def run_jacobian(
    model: LoadedModel,
    prompts: PromptSet,
    key: str,
    about: Mapping[str, Any],
    spec: Pass,
) -> Trace:
    """Take the Jacobian of every block, or of the last.

    Raises:
        NoSuchTap: an operation of this model has no derivative.
    """
    absent: dict[str, str] = {}
    if spec.blocks == "last":
        absent = dict.fromkeys(COLUMNS, "this pass takes the last block's Jacobian alone")
    if model.family.norm != "LayerNorm":
        absent |= dict.fromkeys(
            (paired(JACOBIAN_NORM)[1], paired(JACOBIAN_RESIDUAL)[1]), "its norms do not take the mean off"
        )

    def run(ids: list[list[int]], cut: Sequence[int]) -> torch.Tensor:
        return _run_batch(model, ids, cut, spec.blocks)

    with differentiable(model):
        return last_token_trace(model, prompts, key, about, COLUMNS, run, absent, spec.bos)


def _run_batch(model: LoadedModel, ids: list[list[int]], cut: Sequence[int], blocks: Blocks) -> torch.Tensor:
    tokens, mask, last = pad([ids[i] for i in cut], model.device)[:3]
    chosen = list(model.blocks())
    values = torch.full((len(cut), len(chosen), len(COLUMNS)), torch.nan, device=model.device)
    start = start_vectors(cut, model.width).to(model.device)

    def see(layer: int) -> Any:
        def hook(block: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            maps = block_maps(block, args, kwargs, last)
            values[:, layer] = _reduce(maps, start.to(maps_device(args, kwargs)), model).to(values.device)

        return hook

    first = len(chosen) - 1 if blocks == "last" else 0
    handles = [
        block.register_forward_hook(see(layer), with_kwargs=True)
        for layer, block in enumerate(chosen)
        if layer >= first
    ]
    with hooked(handles):
        model.backbone(tokens, mask)
    return values


def start_vectors(cut: Sequence[int], width: int) -> torch.Tensor:
    """Return a seeded vector for each prompt, (B, D): the same in whatever batch it comes."""
    seed = int(KRYLOV["seed"])
    vectors = [torch.randn(width, generator=torch.Generator().manual_seed(seed * 1_000_003 + i)) for i in cut]
    return torch.stack(vectors)


def block_maps(block: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], last: torch.Tensor) -> Maps:
    """Return a block's derivative at the last token, from what it was called with."""
    hidden = (args[0] if args else kwargs["hidden_states"]).detach()
    last = last.to(hidden.device)
    here = (torch.arange(hidden.shape[1], device=hidden.device) == last[:, None])[..., None]  # (B, T, 1)

    def of_last(x: torch.Tensor) -> torch.Tensor:
        stream = torch.where(here, x[:, None].to(hidden.dtype), hidden)
        if args:
            return at_last(first_tensor(block.forward(stream, *args[1:], **kwargs)), last)
        return at_last(first_tensor(block.forward(**{**kwargs, "hidden_states": stream})), last)

    point = at_last(hidden, last)
    pull = torch.func.vjp(of_last, point)[1]

    def forward(v: torch.Tensor) -> torch.Tensor:
        pushed: torch.Tensor = torch.func.jvp(of_last, (point,), (v.to(point),))[1]
        return pushed.float()

    def backward(u: torch.Tensor) -> torch.Tensor:
        pulled: torch.Tensor = pull(u.to(point))[0]
        return pulled.float()

    return Maps(forward, backward)


def maps_device(args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.device:
    """Return where a block runs."""
    hidden: torch.Tensor = args[0] if args else kwargs["hidden_states"]
    return hidden.device


def _reduce(maps: Maps, start: torch.Tensor, model: LoadedModel) -> torch.Tensor:
    """Return (B, COLUMNS) of one block."""
    raw = largest_singular_value(maps, start)
    nothing = torch.full_like(raw.value, torch.nan)
    centred = Ritz(nothing, nothing)
    if model.family.norm == "LayerNorm":
        centred = largest_singular_value(centred_maps(maps), start)
    radius = largest_eigenvalue(maps.forward, start)
    return torch.stack([raw.value, centred.value, raw.residual, centred.residual, *radius], dim=-1)


def centred_maps(maps: Maps) -> Maps:
    """Return P J P with P the projection that takes the mean off, from J."""

    def off(x: torch.Tensor) -> torch.Tensor:
        return x - x.mean(dim=-1, keepdim=True)

    return Maps(lambda v: off(maps.forward(off(v))), lambda u: off(maps.backward(off(u))))


def largest_singular_value(maps: Maps, start: torch.Tensor) -> Ritz:
    """Return the largest singular value, (B,), and the relative residual of its square as an eigenvalue of J^T J.

    For a symmetric map the residual bounds the error; the estimate is never too large.
    """
    square = largest_eigenvalue(lambda v: maps.backward(maps.forward(v)), start)
    return Ritz(square.value.sqrt(), square.residual)


def largest_eigenvalue(linear: Linear, start: torch.Tensor) -> Ritz:
    """Return the largest modulus of an eigenvalue of a map of (B, D), by Arnoldi's method from a start vector.

    A small residual proves that an eigenvalue is near, not that it is the largest: a start vector nearly orthogonal to
    that one's finds another first. Hence at least so many steps, whatever the residual.
    All prompts of the batch go on until the last has converged; nothing but that question comes home from the device.
    """
    batch, width = start.shape
    parameters = KRYLOV
    size = min(width, int(parameters["steps"]))
    basis = torch.zeros(size + 1, batch, width, device=start.device, dtype=torch.float64)
    hessenberg = torch.zeros(batch, size + 1, size, device=start.device, dtype=torch.float64)
    first = start.double()  # of length 1 in float64, or what is left of a map that turns nothing is parallel to it
    basis[0] = first / first.norm(dim=-1, keepdim=True)
    for step in range(size):
        w = linear(basis[step].float()).double()
        for _ in range(2):  # once leaves what rounding puts back; twice is enough
            along = torch.einsum("kbd,bd->bk", basis[: step + 1], w)
            hessenberg[:, : step + 1, step] += along
            w = w - torch.einsum("kbd,bk->bd", basis[: step + 1], along)
        length = w.norm(dim=-1)
        hessenberg[:, step + 1, step] = length
        basis[step + 1] = torch.where(length[:, None] > 0, w / length[:, None], 0)
        if step == size - 1 or (step + 1 >= parameters["least_steps"] and (step + 1) % CHECK_EVERY == 0):
            found = _ritz(hessenberg[:, : step + 2, : step + 1], exact=step == width - 1)
            if bool((found.residual <= parameters["tolerance"]).all()):
                break
    return Ritz(found.value.float(), found.residual.float())


def _ritz(hessenberg: torch.Tensor, *, exact: bool) -> Ritz:
    """Return the largest Ritz value and its residual relative to it, of (B, k + 1, k); `exact` where k is the width."""
    finite = torch.isfinite(hessenberg).all(dim=-1).all(dim=-1)
    values, vectors = torch.linalg.eig(torch.where(finite[:, None, None], hessenberg, 0)[:, :-1])
    top = values.abs().argmax(dim=-1, keepdim=True)
    value = values.abs().gather(1, top)[:, 0]
    edge = vectors[:, -1].abs().gather(1, top)[:, 0] * hessenberg[:, -1, -1]
    residual = torch.zeros_like(value) if exact else edge / value
    return Ritz(torch.where(finite, value, torch.nan), torch.where(finite, residual, 0.0))
