"""A model's configuration at reduced size: same class, switches and proportions, two blocks of width 32.

What a claim about wiring needs is the class and its switches; neither depth nor width.
"""

from __future__ import annotations

import copy
from typing import Any

from refutable.models.config import Config
from refutable.models.config_facts import HEADS, INNER, LAYERS, WIDTH, first

BLOCKS = 2
WIDTH_REDUCED = 32
HEADS_REDUCED = 4
_KEY_HEADS = ("num_key_value_heads", "num_kv_heads")
_CONTEXT = ("max_position_embeddings", "n_positions", "n_ctx", "seq_length", "max_seq_len")
_DROPPED = ("rope_scaling", "layer_types", "sliding_window", "window_size")


def reduced(config: Config) -> dict[str, Any]:
    """Return `config` with every size made small and every switch kept."""
    small = copy.deepcopy(dict(config))
    heads, width = int(first(config, HEADS) or 1), int(first(config, WIDTH) or 1)
    head_dim = int(config.get("head_dim") or width // heads)
    new_head_dim = WIDTH_REDUCED // HEADS_REDUCED
    sizes = {
        **dict.fromkeys(LAYERS, BLOCKS),
        **dict.fromkeys(HEADS, HEADS_REDUCED),
        **dict.fromkeys(WIDTH, WIDTH_REDUCED),
        **dict.fromkeys(INNER, 2 * WIDTH_REDUCED),
        **dict.fromkeys(_CONTEXT, 64),
        "head_dim": new_head_dim,
        "vocab_size": 128,
        "num_local_experts": 4,
    }
    small |= {key: value for key, value in sizes.items() if config.get(key) is not None}
    for key in _KEY_HEADS:
        if config.get(key) is not None:
            small[key] = HEADS_REDUCED if config[key] == heads else max(1, HEADS_REDUCED * config[key] // heads)
    if config.get("rotary_dim") is not None:
        small["rotary_dim"] = max(2, 2 * round(new_head_dim * config["rotary_dim"] / head_dim / 2))
    if config.get("word_embed_proj_dim") is not None:
        small["word_embed_proj_dim"] = WIDTH_REDUCED if config["word_embed_proj_dim"] == width else WIDTH_REDUCED // 2
    if "attention_types" in config:
        small["attention_types"] = [[["global", "local"], BLOCKS // 2]]
    return {key: value for key, value in small.items() if key not in _DROPPED and not key.endswith("_token_id")}
