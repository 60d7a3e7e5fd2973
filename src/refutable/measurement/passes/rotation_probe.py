"""The rotation probe: switch rotation off, and watch what attention adds to the stream.

Rotary positions rotate queries and keys, and so reach attention's probabilities. To see whether they reach the vectors
summed in the stream in any other way, the probabilities are held as they were: any change that remains is a rotation of
values or of the stream. With the probabilities free there must be a change, or the probe switched nothing off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from refutable.errors import InstrumentError, NotMeasured
from refutable.measurement.instrument.taps import first_tensor, hooked
from refutable.measurement.passes.wiring_probe import probe_tokens, probe_trace, relative_change
from refutable.models.families import Family
from refutable.traces.trace import Trace

SOFTMAX = frozenset({torch.softmax, torch.Tensor.softmax, torch.nn.functional.softmax})


@torch.inference_mode()
def probe_rotation(network: Any, family: Family, key: str, about: Mapping[str, Any]) -> Trace:
    """Probe every block of a causal language model of any size with eager attention, in evaluation mode.

    Returns:
        A trace whose ``blocks`` has, for each layer, ``held_update_change`` and ``free_update_change``: the norm of the
        change of the attention update when the rotation is switched off, over its norm before, with the probabilities
        of every block held and left free.

    Raises:
        NotMeasured: the family's positions are not rotary.
        InstrumentError: a block's probabilities were not seen, or switching the rotation off changed nothing.
    """
    if family.positions != "rotary":
        raise NotMeasured(f"{family.model_type} has {family.positions} positions: there is no rotation to switch off")
    tokens = probe_tokens(network, torch.Generator().manual_seed(0))
    seen = _Patterns()
    as_it_is = _updates(network, family, tokens, seen, rotated=True)
    if len(seen.patterns) != len(as_it_is):
        raise InstrumentError(
            f"the rotation probe saw the attention of {len(seen.patterns)} of {len(as_it_is)} blocks in family"
            f" {family.model_type!r}"
        )
    held = _updates(network, family, tokens, _Patterns(seen.patterns), rotated=False)
    free = _updates(network, family, tokens, _Patterns(), rotated=False)
    changes = {
        name: [relative_change(x, y) for x, y in zip(as_it_is, updates, strict=True)]
        for name, updates in (("held_update_change", held), ("free_update_change", free))
    }
    if not all(change > 0 for change in changes["free_update_change"]):
        raise InstrumentError(f"the rotation probe switches nothing off in family {family.model_type!r}")
    return probe_trace(key, about, changes)


class _Patterns(TorchFunctionMode):
    """Sees each block's attention probabilities as they are computed, or replaces them with given ones."""

    def __init__(self, held: list[torch.Tensor] | None = None) -> None:
        super().__init__()
        self.patterns: list[torch.Tensor] = []
        self._held = held

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if func not in SOFTMAX or made.ndim != 4:  # a router's softmax has two axes
            return made
        self.patterns.append(made)
        return made if self._held is None else self._held[len(self.patterns) - 1].to(made)


def _updates(
    network: Any, family: Family, tokens: torch.Tensor, patterns: _Patterns, *, rotated: bool
) -> list[torch.Tensor]:
    """Return what attention adds in each block; unrotated, every token is at position 0, where nothing turns."""
    updates: list[torch.Tensor] = []

    def keep(module: torch.nn.Module, args: Any, output: Any) -> None:
        updates.append(first_tensor(output).clone())

    blocks = network.get_submodule(family.blocks)
    handles = [block.get_submodule(family.attention_update).register_forward_hook(keep) for block in blocks]
    positions = torch.arange(tokens.shape[1], device=tokens.device)[None] * int(rotated)
    with hooked(handles), patterns:
        network(input_ids=tokens, attention_mask=torch.ones_like(tokens), position_ids=positions, use_cache=False)
    return updates
