"""Interventions: a model changed in its forward pass, at fixed weights.

* ``ablate-attention``, ``ablate-mlp``: what the module would add to the stream is zero. Attention still looks (its
  probabilities can be read); nothing of it is added.
* ``rewire-sequential``: the MLP reads its norm of x + a, the stream after attention.
* ``rewire-parallel``: the MLP reads its norm of x, the block's input.

With one norm before both modules, that norm is the MLP's own. A block re-wired to what it already is computes the same
numbers, bit for bit (tests/measure/test_interventions.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from refutable.errors import InstrumentError, NotMeasured
from refutable.measure.loaded import LoadedModel
from refutable.measure.parts import mlp_norm
from refutable.measure.taps import first_tensor
from refutable.passes import Blocks, Intervention


@contextmanager
def intervening(model: LoadedModel, intervention: Intervention, blocks: Blocks = "all") -> Iterator[None]:
    """Change the passes inside; hooks attached inside see what was changed.

    Args:
        model: loaded.
        intervention: what is changed; ``none`` changes nothing.
        blocks: in which blocks.

    Raises:
        NotMeasured: the blocks add no updates (post-norm), so there is nothing to ablate or to re-wire.
    """
    if intervention == "none":
        yield
        return
    if not model.family.is_additive(model.config.to_dict()):
        raise NotMeasured(f"{model.row.name}: its blocks are post-norm and add no updates; nothing to {intervention}")
    changed = list(model.blocks())[-1:] if blocks == "last" else list(model.blocks())
    handles = [handle for block in changed for handle in _change(block, model, intervention)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _change(block: torch.nn.Module, model: LoadedModel, intervention: Intervention) -> list[Any]:
    family = model.family
    match intervention:
        case "ablate-attention":
            return [block.get_submodule(family.attention_update).register_forward_hook(_nothing)]
        case "ablate-mlp":
            return [block.get_submodule(family.mlp_update).register_forward_hook(_nothing)]
    rewired = _Rewired(block, model, after_attention=intervention == "rewire-sequential")
    return [
        block.register_forward_pre_hook(rewired.see_input, with_kwargs=True),
        block.get_submodule(family.attention_update).register_forward_hook(rewired.see_update),
        block.get_submodule(family.mlp).register_forward_pre_hook(rewired.give, with_kwargs=True),
    ]


def _nothing(module: torch.nn.Module, args: Any, output: Any) -> Any:
    zero = torch.zeros_like(first_tensor(output))
    return zero if torch.is_tensor(output) else type(output)([zero, *output[1:]])


class _Rewired:
    """What one block's MLP reads instead, from what the block shows as it runs."""

    def __init__(self, block: torch.nn.Module, model: LoadedModel, *, after_attention: bool) -> None:
        self._norm = mlp_norm(block, model.family)
        self._scale = model.scale
        self._after_attention = after_attention
        self._title = model.row.name
        self._input: torch.Tensor | None = None
        self._update: torch.Tensor | None = None

    def see_input(self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._input, self._update = args[0] if args else kwargs["hidden_states"], None

    def see_update(self, module: torch.nn.Module, args: Any, output: Any) -> None:
        self._update = first_tensor(output)

    def give(self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the arguments of the MLP, what it reads replaced."""
        was = args[0] if args else kwargs["hidden_states"]
        read = self._read().reshape(was.shape)
        return ((read, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": read})

    def _read(self) -> torch.Tensor:
        assert self._input is not None
        stream = self._input
        if self._after_attention:
            if self._update is None:
                raise InstrumentError(f"{self._title}: its MLP runs before attention, and cannot read what it adds")
            stream = stream + (self._update * self._scale if self._scale != 1.0 else self._update)
        read: torch.Tensor = stream if self._norm is None else self._norm(stream)
        return read
