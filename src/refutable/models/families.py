"""Model families: one row of data each, no code, no torch.

A row says where a block's parts are and, more important, which module's output is *really added* to the residual
stream: in BLOOM, MPT, Gemma-2/3, OLMo-2, GLM-4 and Granite a module's output is not the update. Every run checks it
(closure), so a wrong row is an ERROR and never a number. To add a family: docs/adding-a-family.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from refutable._util.reading import exists
from refutable._util.registry import Registry
from refutable._util.text import shortened
from refutable.errors import BadInput, did_you_mean
from refutable.models.config import Config

Wiring = Literal["parallel", "sequential"]


@dataclass(frozen=True, slots=True)
class Family:
    """Where the taps of one architecture family are.

    Attributes:
        model_type: the `model_type` of its configuration.
        blocks: path of the list of blocks below the causal language model.
        attention: path below a block of the module that reads the normalised input of attention.
        mlp: the same for the MLP.
        attention_update: path below a block of the module whose output is added to the stream.
        mlp_update: the same for the MLP.
        wiring: how blocks are wired when the configuration has no say.
        wiring_switch: configuration key that decides: true means parallel.
        wiring_override: configuration key that, when true, means parallel whatever the switch says.
        norm: what normalises a block's input.
        positions: how positions enter.
        rotary_defaults: keys that say which share of a head is turned, where the configuration leaves them out.
        attention_implementation: how transformers must run attention for its probabilities to be seen.
        scale: configuration key of a factor put on both updates before they are added.
        not_additive: configuration key and value for which a block's output is not input plus updates; a key of
            "always" holds for the whole family.
        in_place: whether the block adds to the MLP's output in place, so that it must be copied when it is seen.
        norms: norms that a block of this family has.
    """

    model_type: str
    blocks: str
    attention: str
    mlp: str
    attention_update: str
    mlp_update: str
    wiring: Wiring = "sequential"
    wiring_switch: str | None = None
    wiring_override: str | None = None
    norm: Literal["LayerNorm", "RMSNorm"] = "RMSNorm"
    positions: Literal["rotary", "learned", "alibi"] = "rotary"
    rotary_defaults: Mapping[str, float] = field(default_factory=dict)
    attention_implementation: Literal["sdpa", "eager"] = "sdpa"
    scale: str | None = None
    not_additive: tuple[str, Any] | None = None
    in_place: bool = False
    norms: int = 2

    @property
    def name(self) -> str:
        """What the registry calls it: its `model_type`."""
        return self.model_type

    def wiring_of(self, config: Config) -> Wiring:
        """Return how a model with this configuration is wired, as its documentation has it; the probe sees it."""
        if self.wiring_override and config.get(self.wiring_override):
            return "parallel"
        if self.wiring_switch is None:
            return self.wiring
        switch = config.get(self.wiring_switch)
        return self.wiring if switch is None else "parallel" if switch else "sequential"

    def is_additive(self, config: Config) -> bool:
        """Whether a block's output is its input plus two updates."""
        if self.not_additive is None:
            return True
        key, value = self.not_additive
        return key != "always" and config.get(key) != value


_LLAMA_PARTS: Mapping[str, Any] = {
    "blocks": "model.layers",
    "attention": "self_attn",
    "mlp": "mlp",
    "attention_update": "self_attn",
    "mlp_update": "mlp",
}
_GPT_PARTS: Mapping[str, Any] = {
    "blocks": "transformer.h",
    "attention": "attn",
    "mlp": "mlp",
    "attention_update": "attn",
    "mlp_update": "mlp",
    "norm": "LayerNorm",
}


def _llama_like(model_type: str, **changes: Any) -> Family:
    return Family(model_type, **{**_LLAMA_PARTS, **changes})


def _gpt_like(model_type: str, **changes: Any) -> Family:
    return Family(model_type, **{**_GPT_PARTS, **changes})


_POST_NORMS = {"attention_update": "post_attention_layernorm", "mlp_update": "post_feedforward_layernorm"}

_ROWS = (
    _gpt_like("gpt2", positions="learned"),
    _gpt_like("gpt_neo", positions="learned", attention_implementation="eager"),
    _gpt_like("gptj", wiring="parallel", attention_implementation="eager", norms=1, rotary_defaults={"rotary_dim": 64}),
    _gpt_like(
        "codegen", wiring="parallel", attention_implementation="eager", norms=1, rotary_defaults={"rotary_dim": 64}
    ),
    _llama_like(
        "gpt_neox",
        blocks="gpt_neox.layers",
        attention="attention",
        attention_update="attention",
        wiring="parallel",
        wiring_switch="use_parallel_residual",
        norm="LayerNorm",
        rotary_defaults={"rotary_pct": 0.25},
    ),
    _llama_like(
        "opt",
        blocks="model.decoder.layers",
        mlp="fc1",
        mlp_update="fc2",
        norm="LayerNorm",
        positions="learned",
        not_additive=("do_layer_norm_before", False),
    ),
    _gpt_like(
        "bloom",
        attention="self_attention",
        attention_update="self_attention.dense",
        mlp_update="mlp.dense_4h_to_h",
        positions="alibi",
        attention_implementation="eager",
        not_additive=("apply_residual_connection_post_layernorm", True),
    ),
    _gpt_like(
        "falcon",
        attention="self_attention",
        attention_update="self_attention",
        wiring="parallel",
        wiring_switch="parallel_attn",
        wiring_override="new_decoder_architecture",
        attention_implementation="eager",
        in_place=True,
        norms=1,
    ),
    _gpt_like(
        "mpt",
        blocks="transformer.blocks",
        mlp="ffn",
        mlp_update="ffn.down_proj",
        positions="alibi",
        attention_implementation="eager",
    ),
    _llama_like("llama"),
    _llama_like("mistral"),
    _llama_like("mixtral"),
    _llama_like("qwen2"),
    _llama_like("qwen3"),
    _llama_like("phi3"),
    _llama_like("apertus"),
    _llama_like("gemma"),
    _llama_like("gemma2", **_POST_NORMS, attention_implementation="eager", norms=4),
    _llama_like("gemma3_text", **_POST_NORMS, norms=4),
    _llama_like("olmo", norm="LayerNorm"),
    _llama_like("olmo2", **_POST_NORMS),
    _llama_like("granite", scale="residual_multiplier"),
    _llama_like(
        "glm4",
        attention_update="post_self_attn_layernorm",
        mlp_update="post_mlp_layernorm",
        norms=4,
        rotary_defaults={"partial_rotary_factor": 0.5},
    ),
    _llama_like("starcoder2", norm="LayerNorm"),
    _llama_like("phi", wiring="parallel", norm="LayerNorm", norms=1, rotary_defaults={"partial_rotary_factor": 0.5}),
    _llama_like("cohere", wiring="parallel", norm="LayerNorm", norms=1),
    _llama_like(
        "stablelm",
        wiring_switch="use_parallel_residual",
        norm="LayerNorm",
        rotary_defaults={"partial_rotary_factor": 0.25},
    ),
)

FAMILIES: Registry[Family] = Registry("family", Family)
for _row in _ROWS:
    FAMILIES.add(_row)


def family_of(model_type: str) -> Family:
    """Return the row of a `model_type`.

    Raises:
        BadInput: there is none; the message says how to add it.
    """
    if model_type not in FAMILIES:
        raise BadInput(unknown_family(model_type))
    return FAMILIES[model_type]


def unknown_family(model_type: str) -> str:
    """Return what to tell of a family that is not known, and how a suite adds one."""
    near = "" if _is_of_transformers(model_type) else did_you_mean(model_type, FAMILIES, cutoff=0.8)
    return (
        f"unknown architecture {shortened(repr(model_type))}; known: {', '.join(sorted(FAMILIES))}.{near} A model"
        " with attention and an MLP in each block can be added in your"
        " conftest.py: def pytest_refutable_extend(extensions): extensions.families.add(Family(...)), from"
        " refutable.models.families, whose documentation says what its fields are"
    )


def _is_of_transformers(model_type: str) -> bool:
    """Whether transformers has an architecture of this name, so that it is no misspelling of another."""
    found = find_spec("transformers")
    places = (found.submodule_search_locations or ()) if found is not None else ()
    return model_type.isidentifier() and any(exists(Path(place) / "models" / model_type) for place in places)
