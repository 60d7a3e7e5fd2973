"""Whether a configuration is that of the model whose name it goes by."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from refutable.errors import BadInput, NotMeasured
from refutable.models.config import Config
from refutable.models.config_facts import FACTS, Fact
from refutable.models.row import ModelRow

STATED_BY_GGUF = ("layers", "heads", "d_model", "d_head", "vocabulary", "rotary_fraction", "projection_weights")
_ROUNDING = 1e-6  # a GGUF header holds float32
IMMATERIAL = frozenset(  # keys that change nothing in how trained weights are run
    {
        "architectures",
        "dtype",
        "id2label",
        "initializer_range",
        "label2id",
        "max_position_embeddings",
        "output_attentions",
        "output_hidden_states",
        "quantization_config",
        "return_dict",
        "tie_word_embeddings",
        "torch_dtype",
        "transformers_version",
        "use_cache",
    }
)
_MATERIAL = (  # keys that change numbers, and that a registry row need not state
    *("is_causal", "hidden_act", "activation_function", "hidden_activation", "intermediate_size", "n_inner", "ffn_dim"),
    *("layer_norm_eps", "layer_norm_epsilon", "rms_norm_eps", "scale_attn_weights", "scale_attn_by_inverse_layer_idx"),
    *("attention_bias", "mlp_bias", "sliding_window", "window_size", "layer_types", "head_dim", "num_key_value_heads"),
    *("attention_multiplier", "embedding_multiplier", "residual_multiplier", "logits_scaling", "logit_scale"),
    *("query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping", "clip_qkv", "qk_layernorm"),
    *("num_local_experts", "num_experts_per_tok", "norm_topk_prob", "do_layer_norm_before", "alibi"),
    *("apply_residual_connection_post_layernorm", "attention_types", "rope_theta", "partial_rotary_factor"),
)
_SPELLINGS = {"rotary_emb_base": "rope_theta", "partial_rotary_factor": "rotary_pct"}
_ROPE = ("rope_parameters", "rope_scaling")


def check_same(row: ModelRow, config: Config, where: str, facts: Iterable[str] = FACTS) -> None:
    """Refuse a configuration that differs from a row of the registry.

    Compared are the facts that claims can ask for, and every key that both state, but for those that change nothing in
    trained weights.

    Args:
        row: the model that was named.
        config: what came with the weights.
        where: the file, for the message.
        facts: which facts `config` states.

    Raises:
        BadInput: something differs; the message has both values of each.
    """
    differences = dict((*_facts(row, config, facts), *_keys(row, config)))
    if differences:
        told = "; ".join(
            f"{name} is {found!r}, and {row.name} has {own!r}" for name, (found, own) in differences.items()
        )
        raise BadInput(
            f"{where}: not {row.name}: {told}; name the model it is with --model, or write its row:"
            " docs/adding-a-model.md"
        )


def check_defaults(row: ModelRow, own: Config, config: Config, where: str) -> None:
    """Refuse a configuration that differs, once defaults are filled in, in a key that changes numbers.

    Args:
        row: the model that was named.
        own: its configuration, with its family's defaults.
        config: what came with the weights, with the same defaults.
        where: the file, for the message.

    Raises:
        BadInput: something differs.
    """
    keys = [key for key in _MATERIAL if key in own and key in config and not _equal(own[key], config[key])]
    if keys:
        told = "; ".join(f"{key} is {config[key]!r}, and {row.name} has {own[key]!r}" for key in keys)
        raise BadInput(f"{where}: not {row.name}: {told}; write its row: docs/adding-a-model.md")


def _facts(row: ModelRow, config: Config, facts: Iterable[str]) -> Iterator[tuple[str, tuple[Fact, Fact]]]:
    for name in facts:
        try:
            found, own = row.fact(name, config), row.fact(name)
        except (KeyError, NotMeasured):  # one of the two does not say
            continue
        if not _equal(found, own):
            yield name, (found, own)


def _keys(row: ModelRow, config: Config) -> Iterator[tuple[str, tuple[Any, Any]]]:
    own, found = _flat(row.config), _flat(config)
    for key in sorted(own.keys() & found.keys()):
        if not _equal(own[key], found[key]):
            yield key, (found[key], own[key])


def _flat(config: Config) -> dict[str, Any]:
    """Return the keys of a configuration, in one spelling, with those about rotary positions beside the others."""
    rope: Mapping[str, Any] = next((config[key] for key in _ROPE if isinstance(config.get(key), Mapping)), {})
    rope = rope.get("full_attention", rope)  # some families turn each kind of layer by its own
    flat: dict[str, Any] = {"rope_type": rope.get("rope_type", rope.get("type", "default"))}
    for key, value in {**config, **rope}.items():
        if key in IMMATERIAL or key in (*_ROPE, "type") or value is None:
            continue
        if isinstance(value, Mapping):
            flat |= {f"{key}.{inner}": one for inner, one in _flat(value).items()}
        else:
            flat[_SPELLINGS.get(key, key)] = value
    return flat


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, int | float) and isinstance(b, int | float):
        return math.isclose(a, b, rel_tol=_ROUNDING)
    return bool(a == b)
