"""The rotation probe: switch rotation off, and watch what attention adds to the stream.

Rotary positions turn queries and keys, so they reach attention's probabilities. Whether they reach the vectors that are
summed in the stream by any other way is seen with those probabilities held as they were: what is left of the change is
a rotation of values or of the stream. With the probabilities free the change must be seen, or the probe switched
nothing off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import torch
from torch.overrides import TorchFunctionMode

from refutable.errors import InstrumentError, NotMeasured
from refutable.measurement.instrument.taps import first_tensor
from refutable.models.families import Family
from refutable.traces.trace import Trace

TOKENS = 7
SOFTMAX = frozenset({torch.softmax, torch.Tensor.softmax, torch.nn.functional.softmax})


@torch.inference_mode()
def probe_rotation(network: Any, family: Family, key: str, about: Mapping[str, Any]) -> Trace:
    """Probe every block.

    Args:
        network: a causal language model of any size with eager attention, in evaluation mode.
        family: where its parts are.
        key: address of the trace.
        about: what is already known of it.

    Returns:
        A trace whose ``blocks`` has, for each layer, ``held_update_change`` and ``free_update_change``: the norm of the
        change of the attention update over the norm of the unchanged, when the rotation is switched off, with the
        probabilities of every block held and left free.

    Raises:
        NotMeasured: the family's positions are not rotary.
        InstrumentError: no probabilities were seen to hold, or switching the rotation off changed nothing at all.
    """
    if family.positions != "rotary":
        raise NotMeasured(f"{family.model_type} has {family.positions} positions: there is no rotation to switch off")
    vocabulary = int(network.get_input_embeddings().num_embeddings)
    tokens = torch.randint(vocabulary, (1, TOKENS), generator=torch.Generator().manual_seed(0))
    tokens = tokens.to(network.get_input_embeddings().weight.device)
    seen = _Patterns()
    as_it_is = _updates(network, family, tokens, seen, rotated=True)
    if len(seen.patterns) != len(as_it_is):
        raise InstrumentError(
            f"the rotation probe saw the attention of {len(seen.patterns)} of {len(as_it_is)} blocks in family"
            f" {family.model_type!r}"
        )
    held = _updates(network, family, tokens, _Patterns(seen.patterns), rotated=False)
    free = _updates(network, family, tokens, _Patterns(), rotated=False)
    changes = {"held_update_change": _changes(as_it_is, held), "free_update_change": _changes(as_it_is, free)}
    if not all(change > 0 for change in changes["free_update_change"]):
        raise InstrumentError(f"the rotation probe switches nothing off in family {family.model_type!r}")
    table = pa.table({"layer": list(range(1, len(as_it_is) + 1)), **changes})
    return Trace(key, {**about, "layers": len(as_it_is)}, table, pa.table({"text": pa.array([], pa.string())}))


class _Patterns(TorchFunctionMode):
    """Sees the attention probabilities of each block as they are made, or puts given ones in their place."""

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
    """Return what attention adds in each block; unrotated, every token stands at position 0, where nothing turns."""
    updates: list[torch.Tensor] = []

    def keep(module: torch.nn.Module, args: Any, output: Any) -> None:
        updates.append(first_tensor(output).clone())

    blocks = network.get_submodule(family.blocks)
    handles = [block.get_submodule(family.attention_update).register_forward_hook(keep) for block in blocks]
    positions = torch.arange(tokens.shape[1], device=tokens.device)[None] * int(rotated)
    try:
        with patterns:
            network(input_ids=tokens, attention_mask=torch.ones_like(tokens), position_ids=positions, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return updates


def _changes(before: list[torch.Tensor], after: list[torch.Tensor]) -> list[float]:
    return [float((y - x).norm() / x.norm()) for x, y in zip(before, after, strict=True)]
