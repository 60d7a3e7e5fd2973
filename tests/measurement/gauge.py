"""Rewrites of a network's weights that leave its function alone: what a number changes under, it does not measure.

* ``norm-scale``: a block norm's learned scale (and bias) times c, the matrices that read it divided by c. Every
  pre-norm block. Not where the norm has no learned scale (OLMo), where nothing is normed before it is read (OLMo-2),
  or where the norm's output is the stream itself (post-norm blocks).
* ``mean-shift``: something added along the mean direction of the stream, by the last matrix of an update. Every reader
  of the stream must take the mean off: additive blocks with LayerNorm throughout, and no RMSNorm family.
* ``value-output``: a head's values times c, the columns of the output matrix that read them divided by c. Every family,
  but not where projections are clipped.

Nothing here is a row for each family: where its parts are comes from `families.py`, and the matrices are found by the
names that model code gives them. Each rewrite is proved on every family by its logits (test_gauge.py).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from refutable.errors import BadInput, InstrumentError
from refutable.measurement.instrument.parts import (
    ATTENTION_LAST,
    ATTENTION_NORMS,
    MLP_LAST,
    MLP_NORMS,
    first_module,
    modules_named,
    one_module,
    oriented,
)
from refutable.metrics import Gauge
from refutable.models.config_facts import first, heads
from refutable.models.families import Family

ATTENTION_READERS = {"q_proj", "k_proj", "v_proj", "query_key_value", "c_attn", "qkv_proj", "Wqkv"}
MLP_READERS = {"gate_proj", "up_proj", "gate_up_proj", "c_fc", "fc_in", "dense_h_to_4h", "fc1", "gate"}
ONE_PLUS = {"gemma", "gemma2", "gemma3_text"}  # their norms multiply by 1 + weight
CODEGEN_SHARDS = 4  # codegen's fused matrix was cut for so many TPU cores, and each cut holds query, value, key


@torch.no_grad()
def move_norm_scale(network: Any, family: Family, factor: float | torch.Tensor) -> Any:
    """Return a copy whose block norms have `factor` times their scale and bias, and whose readers undo it.

    Args:
        network: a causal language model; it is not changed.
        family: where its parts are.
        factor: c, not zero: one number, or one for each channel, shape (D,).

    Raises:
        BadInput: the rewrite does not apply to this architecture; says why.
    """
    _need_additive(network, family)
    changed = copy.deepcopy(network)
    for block in changed.get_submodule(family.blocks):
        for norm, readers in _norms(block, family):
            if getattr(norm, "weight", None) is None:
                raise BadInput(f"{family.model_type}: its norms have no learned scale to move")
            if family.model_type in ONE_PLUS:
                norm.weight.copy_(factor * (1 + norm.weight) - 1)
            else:
                norm.weight.mul_(factor)
            if getattr(norm, "bias", None) is not None:
                norm.bias.mul_(factor)
            for matrix in readers:
                matrix.div_(factor)  # (..., out, in)
    return changed


@torch.no_grad()
def shift_along_mean(network: Any, family: Family, amount: float, layer: int = 1) -> Any:
    """Return a copy in which both updates of one block have something added along the mean direction of the stream.

    Where the last matrix has a bias, that is `amount`, to every channel of every token; where it has none, `amount` is
    added to the matrix itself, and the shift differs from token to token.

    Args:
        network: a causal language model; it is not changed.
        family: where its parts are.
        amount: what is added.
        layer: the block, counted from 1.

    Raises:
        BadInput: the rewrite does not apply to this architecture; says why.
    """
    if family.norm != "LayerNorm":
        raise BadInput(f"{family.model_type}: RMSNorm does not take the mean off, so a shift along it is seen")
    _need_additive(network, family)
    changed = copy.deepcopy(network)
    block = changed.get_submodule(family.blocks)[layer - 1]
    for paths, names in (
        ((family.attention,), ATTENTION_LAST),
        ((family.mlp, family.mlp_update), MLP_LAST),
    ):
        owner = one_module(block, paths, names)
        bias = getattr(owner, "bias", None)
        (owner.weight if bias is None else bias).add_(amount)
    return changed


@torch.no_grad()
def rescale_values(network: Any, family: Family, factor: float | torch.Tensor) -> Any:
    """Return a copy whose values are `factor` times as large, head by head, and whose output matrices undo it.

    Args:
        network: a causal language model; it is not changed.
        family: where its parts are.
        factor: c, not zero: one number, or one for each value head, shape (value heads,). Query heads that share a
            value head share its factor.

    Raises:
        BadInput: the rewrite does not apply to this architecture; says why.
    """
    config = network.config.to_dict()
    if config.get("clip_qkv") or (config.get("attn_config") or {}).get("clip_qkv"):
        raise BadInput(f"{family.model_type}: clip_qkv clips the values, so their scale is seen")
    queries, values = heads(family, config), _value_heads(family, config)
    scale = torch.as_tensor(factor).expand(values)
    changed = copy.deepcopy(network)
    for block in changed.get_submodule(family.blocks):
        output = oriented(one_module(block, (family.attention,), ATTENTION_LAST))  # (D, heads * d_head)
        d_head = output.shape[1] // queries
        for owner, rows in _value_rows(block, family, queries, values, d_head):
            by_row = scale.to(output).repeat_interleave(d_head)  # (value heads * d_head,)
            matrix = oriented(owner)  # (out, D)
            matrix[rows] = matrix[rows] * by_row[:, None]
            if getattr(owner, "bias", None) is not None:
                owner.bias[rows] = owner.bias[rows] * by_row
        output.div_(scale.to(output).repeat_interleave(queries // values * d_head))
    return changed


REWRITES: Mapping[Gauge, Callable[[Any, Family, float], Any]] = {
    "norm-scale": move_norm_scale,
    "mean-shift": shift_along_mean,
    "value-output": rescale_values,
}


def _need_additive(network: Any, family: Family) -> None:
    if not family.is_additive(network.config.to_dict()):
        raise BadInput(f"{family.model_type}: its blocks are post-norm, and what a norm gives is the stream itself")


def _norms(block: torch.nn.Module, family: Family) -> Iterator[tuple[Any, list[torch.Tensor]]]:
    """Yield each pre-norm of a block with the matrices that read it, as (..., out, in)."""
    before_attention, before_mlp = first_module(block, ATTENTION_NORMS), first_module(block, MLP_NORMS)
    if before_attention is None:
        raise BadInput(f"{family.model_type}: its blocks read the stream as it is, with no norm before")
    attention = _matrices(block, family.attention, ATTENTION_READERS)
    mlp = _matrices(block, family.mlp, MLP_READERS)
    if before_mlp is None:
        yield before_attention, [*attention, *mlp]
    else:
        yield before_attention, attention
        yield before_mlp, mlp


def _matrices(block: torch.nn.Module, path: str, names: set[str]) -> list[torch.Tensor]:
    """Return the matrices below a path that have one of these names, as (..., out, in)."""
    found: list[torch.Tensor] = []
    for owner in block.get_submodule(path).modules():
        for name, parameter in owner.named_parameters(recurse=False):
            if name in names:  # a mixture's experts keep theirs in one parameter, (experts, out, in)
                found.append(parameter)
    found += [oriented(module) for module in modules_named(block, path, names)]
    if not found:
        raise InstrumentError(f"no matrix of {path} has a name that parts.py knows: {', '.join(sorted(names))}")
    return found


def _value_heads(family: Family, config: Mapping[str, Any]) -> int:
    if family.model_type == "falcon" and not config.get("new_decoder_architecture"):
        return 1 if config.get("multi_query") else heads(family, config)
    return int(first(config, ("num_key_value_heads", "num_kv_heads")) or heads(family, config))


def _value_rows(
    block: torch.nn.Module, family: Family, queries: int, values: int, d_head: int
) -> Iterator[tuple[Any, torch.Tensor]]:
    """Yield the matrices that make values and which of their rows do, head by head."""
    for owner in modules_named(block, family.attention, ATTENTION_READERS - {"q_proj", "k_proj"}):
        rows = torch.arange(oriented(owner).shape[0])
        if len(rows) == values * d_head:  # v_proj
            yield owner, rows
        elif family.model_type == "codegen":
            yield owner, rows.view(CODEGEN_SHARDS, 3, -1)[:, 1].reshape(-1)
        elif family.model_type in ("gpt_neox", "bloom", "falcon"):  # each value head after the queries that share it
            yield owner, rows.view(values, queries // values + 2, d_head)[:, -1].reshape(-1)
        else:  # all queries, all keys, all values
            yield owner, rows[-values * d_head :]
