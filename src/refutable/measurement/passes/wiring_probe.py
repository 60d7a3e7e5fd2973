"""The wiring probe: change attention's update and watch the same block's MLP input, and vice versa.

In a parallel block neither input changes by a single bit; in a sequential block the input of whichever module comes
second does. The block's output must change each time, or the probe touched nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import torch

from refutable.errors import InstrumentError
from refutable.measurement.instrument.taps import first_tensor, hidden_states, hooked, with_first_tensor
from refutable.models.families import Family
from refutable.traces.trace import Trace

TOKENS = 7


@torch.inference_mode()
def probe_wiring(network: Any, family: Family, key: str, about: Mapping[str, Any]) -> Trace:
    """Probe every block of a causal language model of any size, in evaluation mode.

    Returns:
        A trace whose ``blocks`` has, for each layer, ``mlp_input_change`` (when a vector as long as the block's input
        is added to attention's update), ``attention_input_change`` (added to the MLP's) and ``block_output_change``
        (the smaller of the two): the norm of the change over the norm before it.

    Raises:
        InstrumentError: an added vector did not reach a block's output.
    """
    generator = torch.Generator().manual_seed(0)
    tokens = probe_tokens(network, generator)
    blocks = network.get_submodule(family.blocks)
    changes = [_probe_block(network, block, family, tokens, generator) for block in blocks]
    if any(change["block_output_change"] == 0 for change in changes):
        raise InstrumentError(f"the wiring probe does not reach the stream in family {family.model_type!r}")
    return probe_trace(key, about, {name: [change[name] for change in changes] for name in changes[0]})


def probe_tokens(network: Any, generator: torch.Generator) -> torch.Tensor:
    """Return random token ids for a probe, (1, TOKENS), on the network's device."""
    embedding = network.get_input_embeddings()
    tokens = torch.randint(int(embedding.num_embeddings), (1, TOKENS), generator=generator)
    return tokens.to(embedding.weight.device)


def probe_trace(key: str, about: Mapping[str, Any], columns: Mapping[str, list[float]]) -> Trace:
    """Return the trace of a probe from its columns, one value per layer; it has no prompts."""
    layers = len(next(iter(columns.values())))
    table = pa.table({"layer": list(range(1, layers + 1)), **columns})
    return Trace(key, {**about, "layers": layers}, table, pa.table({"text": pa.array([], pa.string())}))


def relative_change(before: torch.Tensor, after: torch.Tensor) -> float:
    """Return the norm of a change over the norm before it."""
    return float((after - before).norm() / before.norm())


def _probe_block(
    network: Any, block: torch.nn.Module, family: Family, tokens: torch.Tensor, generator: torch.Generator
) -> dict[str, float]:
    """Return the relative changes of what each module reads, and of the block's output."""
    before = _watch(network, block, family, tokens)
    x = before["block_input"]
    added = torch.randn(x.shape, generator=generator).to(x)
    added *= x.norm() / added.norm()
    by_attention = _watch(network, block, family, tokens, (family.attention_update, added))
    by_mlp = _watch(network, block, family, tokens, (family.mlp_update, added))
    return {
        "mlp_input_change": relative_change(before["mlp_input"], by_attention["mlp_input"]),
        "attention_input_change": relative_change(before["attention_input"], by_mlp["attention_input"]),
        "block_output_change": min(
            relative_change(before["block_output"], after["block_output"]) for after in (by_attention, by_mlp)
        ),
    }


def _watch(
    network: Any,
    block: torch.nn.Module,
    family: Family,
    tokens: torch.Tensor,
    change: tuple[str, torch.Tensor] | None = None,
) -> dict[str, torch.Tensor]:
    """Return what a block shows, with a vector added to the output of the module at a path if `change` is given."""
    seen: dict[str, torch.Tensor] = {}

    def keep_input(name: str) -> Any:
        def hook(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            seen[name] = hidden_states(args, kwargs).clone()

        return hook

    def add(module: torch.nn.Module, args: Any, output: Any) -> Any:
        assert change is not None
        return with_first_tensor(output, first_tensor(output) + change[1])

    def keep_output(module: torch.nn.Module, args: Any, output: Any) -> None:
        seen["block_output"] = first_tensor(output).clone()

    inputs = {"block_input": "", "mlp_input": family.mlp, "attention_input": family.attention}
    handles = [
        block.get_submodule(path).register_forward_pre_hook(keep_input(name), with_kwargs=True)
        for name, path in inputs.items()
    ]
    handles.append(block.register_forward_hook(keep_output))
    if change is not None:
        handles.append(block.get_submodule(change[0]).register_forward_hook(add))
    with hooked(handles):
        network(input_ids=tokens, attention_mask=torch.ones_like(tokens), use_cache=False)
    return seen
