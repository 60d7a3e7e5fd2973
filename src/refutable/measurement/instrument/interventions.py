"""Interventions: a model changed in its forward pass, at fixed weights.

* ``ablate-attention``, ``ablate-mlp``: what the module would add to the stream is zero. Attention still runs, so its
  probabilities can be read; none of its output is added.
* ``rewire-sequential``: the MLP reads its norm of x + a, the stream after attention.
* ``rewire-parallel``: the MLP reads its norm of x, the block's input.
* ``soften-attention``: attention's scores are halved before the softmax (a temperature of 2).
* ``keep-norm``: a block's output is rescaled to the norm of its input, at every position; ``never-shorten``: only where
  it came out shorter; ``never-lengthen``: only where it came out longer.
* ``skip-block``: a block's output is its input. ``swap-blocks``: a block runs after the one that follows it.
* ``zero-coordinate``: one coordinate of a block's output is zero. ``mean-coordinate``: it is its mean over the prompts
  that have a token at that position, in the model as it is.
* ``zero-weight``: one weight of the MLP's output matrix is zero, that of the largest output and what it reads most.
* ``shuffle-tokens``: the tokens between a prompt's first and last are put in another order.

In a block with a single norm, that norm is the MLP's own. Re-wiring a block to the wiring it already has changes no bit
of its output (tests/measurement/instrument/test_interventions.py).

What must be known of all prompts before the change is seen in a run of the model as it is (passes/looking_first.py).

What is changed token by token can spare the first, whose state is then that of the model as it is. Softening attention
leaves the first token as it is in any case: it sees itself alone. So does shuffling.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, get_args

import numpy as np
import torch

from refutable.errors import InstrumentError, NoSuchTap, NotMeasured
from refutable.measurement.instrument.parts import mlp_norm, mlp_output, oriented
from refutable.measurement.instrument.taps import (
    first_tensor,
    hidden_states,
    hooked,
    with_first_tensor,
    with_hidden_states,
)
from refutable.measurement.loading.loaded import LoadedModel
from refutable.traces.passes import COORDINATE_CHANGES, BlockChange, Blocks, Intervention, NormChange, Spare

Seen = Mapping[int, torch.Tensor]
"""By a block's number, from 0: each position's mean of the coordinate, (T,); or the row and column of the weight."""

TEMPERATURE = 2.0
SCALES = {"scaling": -1, "scale_attn": 1}  # attributes of attention, and the power of the temperature in each
FACTORS: dict[NormChange, tuple[float, float]] = {  # least and greatest factor that a block's output is multiplied by
    "keep-norm": (0.0, math.inf),
    "never-shorten": (1.0, math.inf),
    "never-lengthen": (0.0, 1.0),
}


@contextmanager
def intervening(
    model: LoadedModel,
    intervention: Intervention,
    blocks: Blocks = "all",
    spare: Spare = "none",
    coordinate: int | None = None,
    seen: Seen | None = None,
) -> Iterator[None]:
    """Apply an intervention to the passes run inside; hooks attached inside see the changed tensors.

    `spare` says which token is left as it is, `coordinate` which coordinate is set to zero or its mean, `seen` what was
    seen of the blocks that are changed in the model as it is.

    Raises:
        NotMeasured: the blocks add no updates (post-norm), so there is nothing to ablate or re-wire; attention has no
            scale to soften it by; or no block follows the one to swap.
        NoSuchTap: the model has no such block or coordinate.
    """
    if intervention in ("none", "shuffle-tokens"):  # `changed_ids` shuffles the tokens
        yield
        return
    if intervention in get_args(BlockChange) and not model.family.is_additive(model.config.to_dict()):
        raise NotMeasured(f"{model.row.name}: its blocks are post-norm and add no updates; nothing to {intervention}")
    changed = chosen_blocks(model, blocks)
    if intervention == "swap-blocks":
        with _swapped(model, changed[0]):
            yield
        return
    if intervention in COORDINATE_CHANGES:
        _check_coordinate(model, coordinate)
        means = iter(_seen_of(model, changed, seen)) if intervention == "mean-coordinate" else None
        give = [_setting(coordinate, None if means is None else next(means), spare) for _ in changed]
        with hooked([block.register_forward_hook(one) for block, one in zip(changed, give, strict=True)]):
            yield
        return
    if intervention == "zero-weight":
        with _zeroed(model, changed, _seen_of(model, changed, seen)):
            yield
        return
    with hooked([handle for block in changed for handle in _change(block, model, intervention, spare)]):
        yield


def chosen_blocks(model: LoadedModel, blocks: Blocks) -> list[torch.nn.Module]:
    """Return the blocks that a pass names; the middle one of an even number is that before the middle.

    Of an odd number, neither half has the middle block. One block has no halves.

    Raises:
        NoSuchTap: the model has no block of that number.
    """
    every = list(model.blocks())
    middle = (len(every) + 1) // 2
    match blocks:
        case "all":
            return every
        case "earlier-half":
            return every[: len(every) // 2]
        case "later-half":
            return every[middle:]
        case tuple():
            numbers = blocks
        case int():
            numbers = (blocks,)
        case _:
            numbers = ({"first": 1, "middle": middle, "last": len(every)}[blocks],)
    if numbers[-1] > len(every):
        raise NoSuchTap(f"{model.row.name} has {len(every)} layers; there is no block {numbers[-1]}")
    return [every[number - 1] for number in numbers]


def _change(block: torch.nn.Module, model: LoadedModel, intervention: Intervention, spare: Spare) -> list[Any]:
    family = model.family
    match intervention:
        case "ablate-attention":
            return _ablate(block, block.get_submodule(family.attention_update), spare)
        case "ablate-mlp":
            return _ablate(block, block.get_submodule(family.mlp_update), spare)
        case "keep-norm" | "never-shorten" | "never-lengthen":
            kept = partial(_keep_norm, *FACTORS[intervention], spare)
            return [block.register_forward_hook(kept, with_kwargs=True)]
        case "skip-block":
            return [block.register_forward_hook(partial(_skip, spare), with_kwargs=True)]
        case "soften-attention":
            return [_Softened(block.get_submodule(family.attention), model.row.name)]
    return _rewire(block, model, spare, after_attention=intervention == "rewire-sequential")


def _ablate(block: torch.nn.Module, update: torch.nn.Module, spare: Spare) -> list[Any]:
    """Replace what one block's module adds with zero."""
    stream: list[torch.Size] = []  # (B, T, D): some modules flatten it

    def see_input(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        stream[:] = [hidden_states(args, kwargs).shape]

    def give(module: torch.nn.Module, args: Any, output: Any) -> Any:
        made = first_tensor(output)
        changed = _spared(torch.zeros_like(made).view(stream[0]), made.view(stream[0]), spare)
        return with_first_tensor(output, changed.view(made.shape))

    return [block.register_forward_pre_hook(see_input, with_kwargs=True), update.register_forward_hook(give)]


def _keep_norm(
    least: float,
    most: float,
    spare: Spare,
    module: torch.nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    output: Any,
) -> Any:
    given, made = hidden_states(args, kwargs), first_tensor(output)
    factor = given.float().norm(dim=-1, keepdim=True) / made.float().norm(dim=-1, keepdim=True)
    changed = (made.float() * factor.clamp(least, most).to(made.device)).to(made)
    return with_first_tensor(output, _spared(changed, made, spare))


def _skip(spare: Spare, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
    made = first_tensor(output)
    given = hidden_states(args, kwargs).to(made)
    return with_first_tensor(output, _spared(given, made, spare))


def _check_coordinate(model: LoadedModel, coordinate: int | None) -> None:
    if coordinate is None or coordinate >= model.width:
        raise NoSuchTap(f"{model.row.name} has {model.width} coordinates, from 0; there is no coordinate {coordinate}")


def _seen_of(model: LoadedModel, changed: list[torch.nn.Module], seen: Seen | None) -> list[torch.Tensor]:
    numbers = {id(block): number for number, block in enumerate(model.blocks())}
    if seen is None:
        raise InstrumentError(f"{model.row.name}: nothing was seen of the model as it is, which this change needs")
    return [seen[numbers[id(block)]] for block in changed]


def _setting(coordinate: int | None, means: torch.Tensor | None, spare: Spare) -> Callable[..., Any]:
    """Return a hook that sets one coordinate of a block's output to zero, or to the mean at each position, (T,)."""

    def give(block: torch.nn.Module, args: Any, output: Any) -> Any:
        made = first_tensor(output)
        changed = made.clone()
        changed[..., coordinate] = 0 if means is None else means[: made.shape[1]].to(made)
        return with_first_tensor(output, _spared(changed, made, spare))

    return give


@contextmanager
def _zeroed(model: LoadedModel, changed: list[torch.nn.Module], where: list[torch.Tensor]) -> Iterator[None]:
    """Set one weight of each block's MLP to zero, until the passes inside are run."""
    was: list[tuple[torch.Tensor, tuple[int, int], torch.Tensor]] = []
    try:
        for block, at in zip(changed, where, strict=True):
            matrix, (row, column) = oriented(mlp_output(block, model.family)).detach(), at.tolist()
            was.append((matrix, (row, column), matrix[row, column].clone()))
            matrix[row, column] = 0
        yield
    finally:
        for matrix, place, value in was:
            matrix[place] = value


@contextmanager
def _swapped(model: LoadedModel, block: torch.nn.Module) -> Iterator[None]:
    """Exchange a block with the next, weights and all, until the passes inside are run."""
    blocks: Any = model.blocks()
    at = list(blocks).index(block)
    if at + 1 == len(blocks):
        raise NotMeasured(
            f"{model.row.name}: its block {at + 1} is the last, and swap-blocks exchanges one with the next"
        )
    blocks[at], blocks[at + 1] = blocks[at + 1], blocks[at]
    try:
        yield
    finally:
        blocks[at], blocks[at + 1] = blocks[at + 1], blocks[at]


def _spared(changed: torch.Tensor, as_it_is: torch.Tensor, spare: Spare) -> torch.Tensor:
    """Return the changed states, (B, T, D), with that of the token that is spared as it is."""
    return changed if spare == "none" else torch.cat([as_it_is[:, :1], changed[:, 1:]], dim=1)


class _Softened:
    """Attention whose scores are divided by `TEMPERATURE` until `remove` is called."""

    def __init__(self, attention: Any, title: str) -> None:
        found = next((name for name in SCALES if getattr(attention, name, None) is not None), None)
        if found is None:
            raise NotMeasured(f"{title}: its attention keeps no scale of its scores ({' or '.join(SCALES)}) to soften")
        self._attention, self._name, self._was = attention, found, getattr(attention, found)
        setattr(attention, found, self._was * TEMPERATURE ** SCALES[found])

    def remove(self) -> None:
        setattr(self._attention, self._name, self._was)


def changed_ids(ids: list[list[int]], intervention: Intervention) -> list[list[int]]:
    """Return the token ids that are read: unchanged, or reordered under ``shuffle-tokens``.

    The first and last token stay in place, so the model reads the same token last; those between get a seeded order
    that differs from their own. With three tokens or fewer, or one id repeated in between, there is no other order.
    """
    return [_shuffled(one) for one in ids] if intervention == "shuffle-tokens" else ids


def _shuffled(ids: list[int]) -> list[int]:
    middle, rng = ids[1:-1], np.random.default_rng(0)
    other = middle
    while other == middle and len(set(middle)) > 1:
        other = [middle[at] for at in rng.permutation(len(middle))]
    return [ids[0], *other, ids[-1]] if len(ids) > 1 else ids


def _rewire(block: torch.nn.Module, model: LoadedModel, spare: Spare, *, after_attention: bool) -> list[Any]:
    """Replace what one block's MLP reads with its norm of the stream before or after attention."""
    norm, seen = mlp_norm(block, model.family), dict[str, torch.Tensor]()

    def see_input(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        seen.clear()
        seen["stream"] = hidden_states(args, kwargs)

    def see_update(module: torch.nn.Module, args: Any, output: Any) -> None:
        seen["update"] = first_tensor(output)

    def give(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        stream = seen["stream"]
        if after_attention:
            if "update" not in seen:
                raise InstrumentError(f"{model.row.name}: its MLP runs before attention, and cannot read what it adds")
            stream = stream + (seen["update"] * model.scale if model.scale != 1.0 else seen["update"])
        as_it_is, read = hidden_states(args, kwargs), stream if norm is None else norm(stream)
        changed = _spared(read, as_it_is.reshape(read.shape), spare)
        return with_hidden_states(args, kwargs, changed.reshape(as_it_is.shape))

    return [
        block.register_forward_pre_hook(see_input, with_kwargs=True),
        block.get_submodule(model.family.attention_update).register_forward_hook(see_update),
        block.get_submodule(model.family.mlp).register_forward_pre_hook(give, with_kwargs=True),
    ]
