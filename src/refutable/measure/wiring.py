"""The wiring probe: change what attention adds, and watch whether the same block's MLP sees it.

A parallel block's MLP input does not move by one bit; a sequential block's does. The block's output must move in both,
or the probe touched nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import torch

from refutable.errors import InstrumentError
from refutable.families import Family
from refutable.measure.taps import first_tensor
from refutable.trace import Trace

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
        A trace whose ``blocks`` has, for each layer, ``mlp_input_change`` and ``block_output_change``: the norm of the
        change over the norm of the unchanged, for an added vector as large as the block's input.

    Raises:
        InstrumentError: the added vector did not reach a block's output.
    """
    blocks = network.get_submodule(family.blocks)
    vocabulary = int(network.get_input_embeddings().num_embeddings)
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(vocabulary, (1, TOKENS), generator=generator).to(
        network.get_input_embeddings().weight.device
    )
    changes = [_probe_block(network, block, family, tokens, generator) for block in blocks]
    if any(stream == 0 for _, stream in changes):
        raise InstrumentError(f"the wiring probe does not reach the stream in family {family.model_type!r}")
    table = pa.table(
        {
            "layer": list(range(1, len(changes) + 1)),
            "mlp_input_change": [mlp for mlp, _ in changes],
            "block_output_change": [stream for _, stream in changes],
        }
    )
    return Trace(key, {**about, "layers": len(changes)}, table, pa.table({"text": pa.array([], pa.string())}))


def _probe_block(
    network: Any, block: torch.nn.Module, family: Family, tokens: torch.Tensor, generator: torch.Generator
) -> tuple[float, float]:
    """Return the relative change of the MLP's input and of the block's output."""
    before = _watch(network, block, family, tokens, None)
    x = before["block_input"]
    added = torch.randn(x.shape, generator=generator).to(x)
    added *= x.norm() / added.norm()
    after = _watch(network, block, family, tokens, added)
    return _change(before["mlp_input"], after["mlp_input"]), _change(before["block_output"], after["block_output"])


def _watch(
    network: Any, block: torch.nn.Module, family: Family, tokens: torch.Tensor, added: torch.Tensor | None
) -> dict[str, torch.Tensor]:
    seen: dict[str, torch.Tensor] = {}

    def keep_input(name: str) -> Any:
        def hook(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            seen[name] = (args[0] if args else kwargs["hidden_states"]).clone()

        return hook

    def add(module: torch.nn.Module, args: Any, output: Any) -> Any:
        if added is None:
            return None
        changed = first_tensor(output) + added
        return changed if torch.is_tensor(output) else type(output)([changed, *output[1:]])

    def keep_output(module: torch.nn.Module, args: Any, output: Any) -> None:
        seen["block_output"] = first_tensor(output).clone()

    handles = [
        block.register_forward_pre_hook(keep_input("block_input"), with_kwargs=True),
        block.get_submodule(family.mlp).register_forward_pre_hook(keep_input("mlp_input"), with_kwargs=True),
        block.get_submodule(family.attention_update).register_forward_hook(add),
        block.register_forward_hook(keep_output),
    ]
    try:
        network(input_ids=tokens, attention_mask=torch.ones_like(tokens), use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _change(before: torch.Tensor, after: torch.Tensor) -> float:
    return float((after - before).norm() / before.norm())
