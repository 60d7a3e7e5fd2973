"""From a cell to a network: a class of transformers, its configuration and its first weights."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from refutable.measurement.loading.initialise import RULES, initialise
from refutable.models.families import FAMILIES, Family
from refutable.twins.design import Cell, Size, Twin

# Below a block: the matrices whose products are added to the residual stream, attention's first.
WRITERS: dict[str, tuple[str, str]] = {
    "gpt_neox": ("attention.dense", "mlp.dense_4h_to_h"),
    "gptj": ("attn.out_proj", "mlp.fc_out"),
    "gpt2": ("attn.c_proj", "mlp.c_proj"),
    "phi": ("self_attn.dense", "mlp.fc2"),
    **dict.fromkeys(("llama", "stablelm", "glm4", "qwen3", "qwen3_next"), ("self_attn.o_proj", "mlp.down_proj")),
}
"""Matrices that write to the stream; `initialise` knows those of three families, and takes the others from here."""

QWEN3_NEXT = dataclasses.replace(FAMILIES["qwen3"], model_type="qwen3_next")
SILU_GATED = {"llama", "stablelm", "glm4", "qwen3", "qwen3_next"}


def family(cell: Cell) -> Family:
    """Return where the parts of this class are."""
    return QWEN3_NEXT if cell.family == "qwen3_next" else FAMILIES[cell.family]


def config_of(cell: Cell, size: Size) -> Any:
    """Return the transformers configuration of a cell at a size; dropout is 0 everywhere."""
    from transformers import AutoConfig

    return AutoConfig.for_model(cell.family, **_KEYS[cell.family](cell, size), **_common(cell, size))


def _common(cell: Cell, size: Size) -> dict[str, Any]:
    return {
        "vocab_size": size.vocabulary,
        "tie_word_embeddings": cell.tied,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "use_cache": False,
    }


def _neox(cell: Cell, size: Size) -> dict[str, Any]:
    return {
        **_sized(cell, size),
        "intermediate_size": 4 * size.width,
        "rotary_pct": cell.rotary,
        "use_parallel_residual": cell.wiring == "parallel",
        "attention_dropout": 0.0,
        "hidden_dropout": 0.0,
    }


def _gpt(cell: Cell, size: Size) -> dict[str, Any]:
    keys = {
        "n_embd": size.width,
        "n_layer": cell.depth,
        "n_head": cell.heads,
        "n_positions": size.context,
        "n_inner": 4 * size.width,
        "activation_function": "gelu",
        "attn_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
    }
    head = size.width // cell.heads
    return keys if cell.rotary is None else {**keys, "rotary_dim": 2 * max(1, round(head * cell.rotary / 2))}


def _phi(cell: Cell, size: Size) -> dict[str, Any]:
    return {
        **_sized(cell, size),
        "intermediate_size": 4 * size.width,
        "hidden_act": "gelu",
        "rope_parameters": _rope(cell),
        "attention_dropout": 0.0,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
    }


def _llama(cell: Cell, size: Size) -> dict[str, Any]:
    keys = {
        **_sized(cell, size),
        "num_key_value_heads": cell.heads,
        "intermediate_size": 8 * math.ceil(size.width / 3),  # of three matrices: as many numbers as two of 4 widths
        "rope_parameters": _rope(cell),
        "attention_dropout": 0.0,
    }
    if cell.family in {"glm4", "qwen3", "qwen3_next"}:
        keys |= {"head_dim": size.width // cell.heads, "attention_bias": False, "pad_token_id": 0}
    if cell.family == "stablelm":
        keys |= {"use_qkv_bias": False, "use_parallel_residual": False, "hidden_dropout": 0.0, "layer_norm_eps": 1e-5}
    if cell.family == "qwen3_next":
        keys |= {"num_experts": 0, "layer_types": ["full_attention"] * cell.depth}
    return keys


def _sized(cell: Cell, size: Size) -> dict[str, Any]:
    return {
        "hidden_size": size.width,
        "num_hidden_layers": cell.depth,
        "num_attention_heads": cell.heads,
        "max_position_embeddings": size.context,
    }


def _rope(cell: Cell) -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": cell.rotary}


_KEYS: dict[str, Callable[[Cell, Size], dict[str, Any]]] = {
    "gpt_neox": _neox,
    "gptj": _gpt,
    "gpt2": _gpt,
    "phi": _phi,
    **dict.fromkeys(SILU_GATED, _llama),
}


CAUSAL = "causal-sdpa"


def network_of(cell: Cell, size: Size) -> nn.Module:
    """Return a network of a cell on the CPU, in float32, its weights not yet drawn (`draw`)."""
    from transformers import AutoModelForCausalLM

    how = None if cell.family == "gptj" else _causal_attention()  # GPT-J's class has attention written out alone
    config = config_of(cell, size)
    network: nn.Module = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation=how)
    if cell.damping != 1.0:
        for block in blocks_of(network, cell):
            block.register_forward_hook(_damp(cell.damping))
    return network


def _causal_attention() -> str:
    """Register transformers' own sdpa attention without a mask, and return its name.

    Every window is one text and no token is padding, which transformers cannot know while a graph is recorded or
    compiled: it would write the causal mask out, and the fast kernels take none.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    AttentionInterface.register(CAUSAL, sdpa_attention_forward)
    AttentionMaskInterface.register(CAUSAL, _no_mask)
    return CAUSAL


def _no_mask(*args: Any, **kwargs: Any) -> None:
    return None


def blocks_of(network: nn.Module, cell: Cell) -> list[nn.Module]:
    """Return the blocks of a network, in order."""
    blocks = network.get_submodule(family(cell).blocks)
    assert isinstance(blocks, nn.ModuleList)
    return list(blocks)


@torch.no_grad()
def draw(network: nn.Module, twin: Twin) -> None:
    """Overwrite every parameter with the first weights of a twin, in place.

    They are drawn on the CPU, each matrix from the seed and its own name, and then moved, so that they are the same on
    any device and those of equal name and shape are the same in every cell of a seed.
    """
    cell = twin.cell
    drawn = network_of(cell, twin.size)
    initialise(drawn, family(cell), "gpt2" if cell.rule == "unscaled" else cell.rule, twin.seed, WRITERS[cell.family])
    for block in blocks_of(drawn, cell):
        for path in WRITERS[cell.family]:
            undone = math.sqrt(2 * cell.depth) if cell.rule == "unscaled" else 1.0
            block.get_submodule(path).weight.mul_(undone * cell.output_scale)  # type: ignore[operator]
    if cell.family == "qwen3_next":  # its norms scale by 1 + weight
        for name, parameter in drawn.named_parameters():
            if "norm" in name:
                parameter.zero_()
    for mine, new in zip(network.parameters(), drawn.parameters(), strict=True):
        mine.copy_(new)


def _damp(factor: float) -> Callable[..., Any]:
    def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        if torch.is_tensor(output):
            return output * factor
        return (output[0] * factor, *output[1:])

    return hook


__all__ = ["RULES", "WRITERS", "blocks_of", "config_of", "draw", "family", "network_of"]
