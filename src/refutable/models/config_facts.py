"""Architecture facts, read from a model's own configuration or the registry's.

The same quantity has a different key in almost every family; the keys stand here, once, in the order they are tried.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from refutable._util.text import shortened
from refutable.errors import BadInput, UnknownName
from refutable.models.config import Config
from refutable.models.families import Family

Fact = float | str | bool

LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
HEADS = ("num_attention_heads", "n_head", "num_heads", "n_heads")
WIDTH = ("hidden_size", "n_embd", "n_embed", "d_model")
KEY_HEADS = ("num_key_value_heads", "num_kv_heads", "n_head_kv")
HEAD_DIM = ("head_dim",)
INNER = ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size")
EXPERTS = ("num_local_experts",)
VOCABULARY = ("vocab_size",)
LARGEST = 1_000_000_000
MOST: Mapping[tuple[str, ...], int] = {
    **{LAYERS: 10_000, HEADS: 100_000, WIDTH: 1_000_000},
    **{EXPERTS: 100_000, VOCABULARY: 100_000_000},
}
"""No model has more than these, and to describe a network of so many modules would take hours, or all memory."""
ROTARY_FRACTION = ("rotary_pct", "partial_rotary_factor")


def first(config: Config, keys: tuple[str, ...]) -> Any | None:
    """Return the value of the first of `keys` that the configuration has, or None."""
    return next((config[key] for key in keys if config.get(key) is not None), None)


def number(config: Config, keys: tuple[str, ...]) -> int:
    """Return a size that a configuration holds under the first of `keys` that it has.

    Raises:
        KeyError: it has none of them.
        BadInput: it is no whole number from 1 to the most that a model has.
    """
    value = first(config, keys)
    if value is None:
        raise KeyError(f"the configuration has none of {', '.join(keys)}")
    most = MOST.get(keys, LARGEST)
    if type(value) is not int or not 1 <= value <= most:
        key = next(key for key in keys if config.get(key) is not None)
        raise BadInput(f"{key} must be a whole number from 1 to {most:,} (got {shortened(repr(value))})")
    return value


def _real(value: Any, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadInput(f"{key} must be a number (got {shortened(repr(value))})")
    return float(value)


def layers(family: Family, config: Config) -> int:
    """Number of blocks."""
    return number(config, LAYERS)


def heads(family: Family, config: Config) -> int:
    """Number of attention (query) heads in a block."""
    return number(config, HEADS)


def d_model(family: Family, config: Config) -> int:
    """Width of the residual stream."""
    return number(config, WIDTH)


def d_head(family: Family, config: Config) -> int:
    """Width of one attention head; the stream's width over the heads where the configuration does not say."""
    if first(config, HEAD_DIM) is None:
        return d_model(family, config) // heads(family, config)
    return number(config, HEAD_DIM)


def rotary_fraction(family: Family, config: Config) -> float:
    """Share of a head's dimensions that rotary position embedding turns: 0 where positions are not rotary."""
    if family.positions != "rotary" or config.get("alibi"):
        return 0.0
    parameters = config.get("rope_parameters")
    nested = parameters if isinstance(parameters, Mapping) else {}
    for stated in (config, nested, family.rotary_defaults):
        if stated.get("rotary_dim") is not None:
            return _real(stated["rotary_dim"], "rotary_dim") / max(d_head(family, config), 1)
        if (share := first(stated, ROTARY_FRACTION)) is not None:
            return _real(share, ROTARY_FRACTION[0])
    return 1.0


def wiring(family: Family, config: Config) -> str:
    """``parallel`` or ``sequential``, as the configuration declares; the wiring probe sees it."""
    return family.wiring_of(config)


def norm(family: Family, config: Config) -> str:
    """``LayerNorm`` or ``RMSNorm``: what normalises the input of a block."""
    return family.norm


def positions(family: Family, config: Config) -> str:
    """``rotary``, ``learned`` or ``alibi``: how positions enter."""
    return "alibi" if config.get("alibi") is True else family.positions


def norms(family: Family, config: Config) -> int:
    """Number of norms in a block."""
    if family.model_type == "falcon":  # two where the branches have one each, or the block is sequential
        return 1 if config.get("parallel_attn", True) and not config.get("new_decoder_architecture") else 2
    return family.norms


def vocabulary(family: Family, config: Config) -> int:
    """Rows of the token embedding, padding included."""
    return number(config, VOCABULARY)


def attention(family: Family, config: Config) -> str:
    """``dense``: every token sees all before it; ``windowed``: in some block it sees only the nearest."""
    kinds = str(config.get("attention_types", "")) + str(config.get("layer_types", ""))
    window = config.get("sliding_window") is not None and config.get("use_sliding_window") is not False
    return "windowed" if "local" in kinds or "sliding" in kinds or window else "dense"


def projection_weights(family: Family, config: Config) -> int:
    """Weights of one block's query, key, value and output matrices, biases left out."""
    wide, of_heads = d_model(family, config), d_head(family, config) * heads(family, config)
    return 2 * wide * of_heads + 2 * wide * d_head(family, config) * _key_heads(family, config)


def _key_heads(family: Family, config: Config) -> int:
    if config.get("multi_query") and not config.get("new_decoder_architecture"):
        return 1
    return number(config, KEY_HEADS) if first(config, KEY_HEADS) is not None else heads(family, config)


def additive(family: Family, config: Config) -> bool:
    """Whether a block's output is its input plus two updates (false for post-norm blocks)."""
    return family.is_additive(config)


FACTS: Mapping[str, Callable[[Family, Config], Fact]] = {
    fact.__name__: fact
    for fact in (
        layers,
        heads,
        d_model,
        d_head,
        rotary_fraction,
        wiring,
        norm,
        positions,
        additive,
        norms,
        vocabulary,
        attention,
        projection_weights,
    )
}
FACT_WORDS: Mapping[str, tuple[str | bool, ...]] = {
    "wiring": ("parallel", "sequential"),
    "norm": ("LayerNorm", "RMSNorm"),
    "positions": ("rotary", "learned", "alibi"),
    "additive": (True, False),
    "attention": ("dense", "windowed"),
}


def fact_of(name: str, family: Family, config: Config) -> Fact:
    """Look one fact up.

    Raises:
        UnknownName: there is no fact of that name.
        KeyError: the configuration does not hold it.
        BadInput: the configuration holds something else than a number.
    """
    if name not in FACTS:
        raise UnknownName("fact", name, FACTS)
    return FACTS[name](family, config)
