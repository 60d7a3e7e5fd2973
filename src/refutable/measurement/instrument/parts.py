"""Finds norms and output matrices of a block by the names that model code gives them.

Taps are listed per family (`families.py`); these names are shared by so many families that its rows would repeat them.
"""

from __future__ import annotations

from typing import Any

import torch

from refutable.errors import InstrumentError, NoSuchTap
from refutable.measurement.loading.packed import is_packed
from refutable.models.families import Family
from refutable.traces.scale_folding import UNNORMED

ATTENTION_NORMS = (
    *("ln_attn", "input_layernorm", "ln_1", "norm_1", "self_attn_layer_norm", "attention_layernorm"),
)  # attention reads the first of these that a block has
MLP_NORMS = (
    *("ln_mlp", "pre_feedforward_layernorm", "post_attention_layernorm", "ln_2", "norm_2", "final_layer_norm"),
    "feedforward_layernorm",
)  # likewise for the MLP, which in a block without any reads attention's
ATTENTION_LAST = {"o_proj", "out_proj", "dense", "c_proj"}
MLP_LAST = {"down_proj", "c_proj", "fc_out", "dense_4h_to_h", "fc2"}


def mlp_norm(block: torch.nn.Module, family: Family) -> torch.nn.Module | None:
    """Return the norm whose output a block's MLP reads, or None if it reads the stream directly."""
    if family.model_type in UNNORMED:
        return None
    found = first_module(block, MLP_NORMS) or first_module(block, ATTENTION_NORMS)
    if found is None:
        raise InstrumentError(f"{family.model_type}: no norm of a block has a name that parts.py knows")
    return found


def head_mixer(block: torch.nn.Module, family: Family) -> Any:
    """Return attention's output matrix, which reads the concatenated heads."""
    return one_module(block, (family.attention,), ATTENTION_LAST)


def mlp_output(block: torch.nn.Module, family: Family) -> Any:
    """Return the MLP's output matrix, which reads its hidden units.

    Raises:
        NoSuchTap: it has none, or more than one, as a mixture of experts has.
    """
    paths = dict.fromkeys((family.mlp_update, family.mlp))
    found = {id(one): one for path in paths for one in modules_named(block, path, MLP_LAST)}
    if len(found) != 1:
        raise NoSuchTap(
            f"{family.model_type}: a block's MLP has {len(found) or 'no'} output matrices with a name that is known"
        )
    return next(iter(found.values()))


def first_module(block: torch.nn.Module, names: tuple[str, ...]) -> torch.nn.Module | None:
    """Return the block's first submodule with one of these names, in the order of the names."""
    return next((module for name in names if (module := getattr(block, name, None)) is not None), None)


def modules_named(block: torch.nn.Module, path: str, names: set[str]) -> list[torch.nn.Module]:
    """Return the modules below a path that have one of these names and a weight matrix."""
    below = block.get_submodule(path).named_modules(prefix=path)
    named = [module for at, module in below if at.rpartition(".")[2] in names]
    return [module for module in named if getattr(module, "weight", None) is not None or is_packed(module)]


def one_module(block: torch.nn.Module, paths: tuple[str, ...], names: set[str]) -> Any:
    """Return the first match of `modules_named` below the first path that has one."""
    for path in paths:
        for module in modules_named(block, path, names):
            return module
    raise InstrumentError(f"no matrix of {paths[0]} has a name that parts.py knows: {', '.join(sorted(names))}")


def oriented(module: Any) -> torch.Tensor:
    """Return a view of a module's matrix as (out, in); GPT-2's Conv1D stores it as (in, out).

    Raises:
        NoSuchTap: it is packed in a few bits.
    """
    if is_packed(module):
        raise NoSuchTap("a matrix of its blocks is packed in a few bits and is not read as numbers")
    weight: torch.Tensor = module.weight
    return weight.T if type(module).__name__ == "Conv1D" else weight
