"""The Jacobian pass: d block_output / d block_input at the last token, other positions fixed.

J is never written out: J v is computed in forward mode, J^T u in reverse mode (`torch.func`). From a seeded vector
these span a Krylov space, the same that power iteration walks through. The whole space is used (Lanczos, Arnoldi), not
just its last vector: two singular values are often so close that power iteration would need hundreds of steps.

* largest singular value: from J^T J; raw, and, if the model's norms subtract the mean, of P J P, where P is the
  projection that subtracts it;
* spectral radius: of J.

Each comes with the residual of its eigenpair, and metrics refuse values that have not converged. As in power iteration,
finding the largest one rests on the start vector having a component along it. With as many steps as the width, the
space is everything and nothing is left to converge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch

from refutable._util.progress import within
from refutable.measurement.instrument.batching import pad
from refutable.measurement.instrument.differentiable import differentiable
from refutable.measurement.instrument.reduce import centred
from refutable.measurement.instrument.taps import first_tensor, hidden_states, hooked, with_hidden_states
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

SINGULAR = [*paired(JACOBIAN_NORM), *paired(JACOBIAN_RESIDUAL)]
COLUMNS = [*SINGULAR, JACOBIAN_RADIUS, RADIUS_RESIDUAL]
CHECK_EVERY = 4
Linear = Callable[[torch.Tensor], torch.Tensor]


class Ritz(NamedTuple):
    """An eigenvalue's modulus as a Krylov space approximates it, (B,), and the relative residual of its pair, (B,)."""

    value: torch.Tensor
    residual: torch.Tensor


class Maps(NamedTuple):
    """A derivative at the last token of each prompt, as two maps of (B, D): v to J v, and u to J^T u."""

    forward: Linear
    backward: Linear


def run_jacobian(model: LoadedModel, prompts: PromptSet, key: str, about: Mapping[str, Any], spec: Pass) -> Trace:
    """Take the Jacobian of every block, or of the last.

    Raises:
        NoSuchTap: an operation of this model has no derivative.
    """
    only_last = dict.fromkeys(COLUMNS, "this pass takes the last block's Jacobian alone")
    absent = (only_last if spec.blocks == "last" else {}) | absent_centred(model, SINGULAR)
    with differentiable(model):
        return last_token_trace(
            model, prompts, key, about, COLUMNS, partial(_run_batch, model, spec.blocks), absent, spec.bos
        )


def absent_centred(model: LoadedModel, singular: Sequence[str]) -> dict[str, str]:
    """Return why a model has no centred singular values, by column; `singular` are raw and centred, in turn."""
    return (
        {} if model.family.norm == "LayerNorm" else dict.fromkeys(singular[1::2], "its norms do not take the mean off")
    )


def _run_batch(model: LoadedModel, blocks: Blocks, ids: list[list[int]], cut: Sequence[int]) -> torch.Tensor:
    """Return (B, layers, COLUMNS)."""
    tokens, mask, last = pad([ids[i] for i in cut], model.device)[:3]
    chosen = list(model.blocks())
    first = len(chosen) - 1 if blocks == "last" else 0
    values = torch.full((len(cut), len(chosen), len(COLUMNS)), torch.nan, device=model.device)
    start = start_vectors(cut, model.width).to(model.device)

    def see(layer: int) -> Any:
        def hook(block: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            maps, begin = block_maps(block, args, kwargs, last), start.to(hidden_states(args, kwargs).device)
            found = [*largest_singular_values(maps, begin, model), *largest_eigenvalue(maps.forward, begin)]
            values[:, layer] = torch.stack(found, dim=-1).to(values.device)
            within((layer + 1 - first) / (len(chosen) - first))

        return hook

    handles = [
        block.register_forward_hook(see(layer), with_kwargs=True)
        for layer, block in enumerate(chosen)
        if layer >= first
    ]
    with hooked(handles):
        model.backbone(tokens, mask)
    return values


def start_vectors(cut: Sequence[int], width: int) -> torch.Tensor:
    """Return a seeded vector for each prompt, (B, D), whichever batch it is in."""
    seed = int(KRYLOV["seed"])
    vectors = [torch.randn(width, generator=torch.Generator().manual_seed(seed * 1_000_003 + i)) for i in cut]
    return torch.stack(vectors)


def block_maps(block: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], last: torch.Tensor) -> Maps:
    """Return a block's derivative at the last token, at the arguments it was called with."""
    hidden = hidden_states(args, kwargs).detach()
    last = last.to(hidden.device)
    here = (torch.arange(hidden.shape[1], device=hidden.device) == last[:, None])[..., None]  # (B, T, 1)

    def of_last(x: torch.Tensor) -> torch.Tensor:
        stream = torch.where(here, x[:, None].to(hidden.dtype), hidden)
        given, named = with_hidden_states(args, kwargs, stream)
        return at_last(first_tensor(block.forward(*given, **named)), last)

    point = at_last(hidden, last)
    pull = torch.func.vjp(of_last, point)[1]

    def forward(v: torch.Tensor) -> torch.Tensor:
        pushed: torch.Tensor = torch.func.jvp(of_last, (point,), (v.to(point),))[1]
        return pushed.float()

    def backward(u: torch.Tensor) -> torch.Tensor:
        pulled: torch.Tensor = pull(u.to(point))[0]
        return pulled.float()

    return Maps(forward, backward)


def largest_singular_values(maps: Maps, start: torch.Tensor, model: LoadedModel) -> list[torch.Tensor]:
    """Return the largest singular value, raw and centred, and the residual of each, (B,); NaN without a centred one."""
    raw = largest_singular_value(maps, start)
    other = Ritz(*[torch.full_like(raw.value, torch.nan)] * 2)
    if model.family.norm == "LayerNorm":
        off = Maps(lambda v: centred(maps.forward(centred(v))), lambda u: centred(maps.backward(centred(u))))
        other = largest_singular_value(off, start)
    return [raw.value, other.value, raw.residual, other.residual]


def largest_singular_value(maps: Maps, start: torch.Tensor) -> Ritz:
    """Return the largest singular value, (B,), and the relative residual of its square as an eigenvalue of J^T J.

    J^T J is symmetric, so the residual bounds the error, and the estimate is never too large.
    """
    square = largest_eigenvalue(lambda v: maps.backward(maps.forward(v)), start)
    return Ritz(square.value.sqrt(), square.residual)


def largest_eigenvalue(linear: Linear, start: torch.Tensor) -> Ritz:
    """Return the largest modulus of an eigenvalue of a map of (B, D), by Arnoldi's method from a start vector.

    A small residual proves that an eigenvalue is near, not that it is the largest: from a start vector nearly
    orthogonal to that one's eigenvector, another is found first. Hence a minimum number of steps, whatever the
    residual. The whole batch goes on until its last prompt has converged; only that test is read from the device.
    """
    batch, width = start.shape
    size = min(width, int(KRYLOV["steps"]))
    basis = torch.zeros(size + 1, batch, width, device=start.device, dtype=torch.float64)
    hessenberg = torch.zeros(batch, size + 1, size, device=start.device, dtype=torch.float64)
    first = start.double()  # normalised in float64; else a map that turns nothing leaves a remainder parallel to it
    basis[0] = first / first.norm(dim=-1, keepdim=True)
    for step in range(size):
        w = linear(basis[step].float()).double()
        for _ in range(2):  # rounding spoils orthogonality after one round; two are enough
            along = torch.einsum("kbd,bd->bk", basis[: step + 1], w)
            hessenberg[:, : step + 1, step] += along
            w = w - torch.einsum("kbd,bk->bd", basis[: step + 1], along)
        length = w.norm(dim=-1)
        hessenberg[:, step + 1, step] = length
        basis[step + 1] = torch.where(length[:, None] > 0, w / length[:, None], 0)
        if step == size - 1 or (step + 1 >= KRYLOV["least_steps"] and (step + 1) % CHECK_EVERY == 0):
            found = _ritz(hessenberg[:, : step + 2, : step + 1], exact=step == width - 1)
            if bool((found.residual <= KRYLOV["tolerance"]).all()):
                break
    return Ritz(found.value.float(), found.residual.float())


def _ritz(hessenberg: torch.Tensor, *, exact: bool) -> Ritz:
    """Return the largest Ritz value and its relative residual, from (B, k + 1, k); `exact` if k is the width."""
    finite = torch.isfinite(hessenberg).all(dim=-1).all(dim=-1)
    values, vectors = torch.linalg.eig(torch.where(finite[:, None, None], hessenberg, 0)[:, :-1])
    top = values.abs().argmax(dim=-1, keepdim=True)
    value = values.abs().gather(1, top)[:, 0]
    edge = vectors[:, -1].abs().gather(1, top)[:, 0] * hessenberg[:, -1, -1]
    residual = torch.zeros_like(value) if exact else edge / value
    return Ritz(torch.where(finite, value, torch.nan), torch.where(finite, residual, 0.0))
