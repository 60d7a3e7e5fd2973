"""The wiring probe: change attention's update and watch the same block's MLP input, and vice versa.

In a parallel block neither's input moves by one bit; in a sequential one that of whichever comes second does. The
block's output must move each time, or the probe touched nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import torch

from refutable.errors import InstrumentError
from refutable.measurement.instrument.taps import first_tensor
from refutable.models.families import Family
from refutable.traces.trace import Trace

TOKENS = 7


@torch.inference_mode()
def probe_wiring(network: Any, family: Family, key: str, about: Mapping[str, Any]) -> Trace:
    """Probe every block.

    Args:
        network: a causal language model of any size, in evaluation mode.
        family: where its parts are.
        key: address of the trace.
        about: what is already known of it.

    Returns:
        A trace whose ``blocks`` has, for each layer, ``mlp_input_change`` (with a vector as large as the block's input
        added to attention's update), ``attention_input_change`` (added to the MLP's) and ``block_output_change`` (the
        smaller of both): the norm of the change over the norm of the unchanged.

    Raises:
        InstrumentError: an added vector did not reach a block's output.
    """
    blocks = network.get_submodule(family.blocks)
    vocabulary = int(network.get_input_embeddings().num_embeddings)
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(vocabulary, (1, TOKENS), generator=generator).to(
        network.get_input_embeddings().weight.device
    )
    changes = [_probe_block(network, block, family, tokens, generator) for block in blocks]
    if any(change["block_output_change"] == 0 for change in changes):
        raise InstrumentError(f"the wiring probe does not reach the stream in family {family.model_type!r}")
    columns = {name: [change[name] for change in changes] for name in changes[0]}
    table = pa.table({"layer": list(range(1, len(changes) + 1)), **columns})
    return Trace(key, {**about, "layers": len(changes)}, table, pa.table({"text": pa.array([], pa.string())}))


def _probe_block(
    network: Any, block: torch.nn.Module, family: Family, tokens: torch.Tensor, generator: torch.Generator
) -> dict[str, float]:
    """Return the relative changes of what either module reads, and of the block's output."""
    before = _watch(network, block, family, tokens)
    x = before["block_input"]
    added = torch.randn(x.shape, generator=generator).to(x)
    added *= x.norm() / added.norm()
    by_attention = _watch(network, block, family, tokens, (family.attention_update, added))
    by_mlp = _watch(network, block, family, tokens, (family.mlp_update, added))
    return {
        "mlp_input_change": _change(before["mlp_input"], by_attention["mlp_input"]),
        "attention_input_change": _change(before["attention_input"], by_mlp["attention_input"]),
        "block_output_change": min(
            _change(before["block_output"], of["block_output"]) for of in (by_attention, by_mlp)
        ),
    }


def _watch(
    network: Any,
    block: torch.nn.Module,
    family: Family,
    tokens: torch.Tensor,
    change: tuple[str, torch.Tensor] | None = None,
) -> dict[str, torch.Tensor]:
    seen: dict[str, torch.Tensor] = {}

    def keep_input(name: str) -> Any:
        def hook(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            seen[name] = (args[0] if args else kwargs["hidden_states"]).clone()

        return hook

    def add(module: torch.nn.Module, args: Any, output: Any) -> Any:
        assert change is not None
        changed = first_tensor(output) + change[1]
        return changed if torch.is_tensor(output) else type(output)([changed, *output[1:]])

    def keep_output(module: torch.nn.Module, args: Any, output: Any) -> None:
        seen["block_output"] = first_tensor(output).clone()

    handles = [
        block.register_forward_pre_hook(keep_input("block_input"), with_kwargs=True),
        block.get_submodule(family.mlp).register_forward_pre_hook(keep_input("mlp_input"), with_kwargs=True),
        block.get_submodule(family.attention).register_forward_pre_hook(
            keep_input("attention_input"), with_kwargs=True
        ),
        block.register_forward_hook(keep_output),
    ]
    if change is not None:
        handles.append(block.get_submodule(change[0]).register_forward_hook(add))
    try:
        network(input_ids=tokens, attention_mask=torch.ones_like(tokens), use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _change(before: torch.Tensor, after: torch.Tensor) -> float:
    return float((after - before).norm() / before.norm())
