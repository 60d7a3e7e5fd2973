"""Tiny models: one or more configurations of every family, as data, and the few lines that draw one."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from refutable.measurement.instrument.attention_probe import REGISTERED, register
from refutable.measurement.loading.dry_run import parameters_of
from refutable.measurement.loading.load import draw, fuse_activations
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.loading.tokens import StandInTokens
from refutable.models.row import ModelRow
from refutable.models.subject import Subject, WeightsKind, WeightsSource
from refutable.prompts.prompt_set import Prompt, PromptSet

VOCABULARY = 64
LENGTHS = (5, 1, 12, 3, 3, 9, 5)

_LLAMA = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,
    "tie_word_embeddings": False,
}
_GPT = {
    "vocab_size": VOCABULARY,
    "n_embd": 32,
    "n_layer": 3,
    "n_head": 4,
    "n_positions": 64,
    "initializer_range": 0.2,
}
_NEO = {
    "model_type": "gpt_neo",
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_layers": 2,
    "num_heads": 4,
    "attention_types": [[["global", "local"], 1]],
    "window_size": 4,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,
}
_NEOX = {
    "model_type": "gpt_neox",
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "rotary_pct": 0.25,
    "initializer_range": 0.2,
}
_OPT = {
    "model_type": "opt",
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "ffn_dim": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "init_std": 0.2,
}
_BLOOM = {
    "model_type": "bloom",
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "n_layer": 3,
    "n_head": 4,
    "initializer_range": 0.2,
}
_FALCON = {
    "model_type": "falcon",
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "bias": False,
    "new_decoder_architecture": False,
    "parallel_attn": True,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,
}
_ROPE = {"rope_type": "default", "rope_theta": 10000.0}
_MPT = {
    "model_type": "mpt",
    "vocab_size": VOCABULARY,
    "d_model": 32,
    "n_heads": 4,
    "n_layers": 3,
    "expansion_ratio": 2,
    "max_seq_len": 64,
    "initializer_range": 0.2,
}


@dataclass(frozen=True)
class Variant:
    """A tiny configuration.

    Attributes:
        config: its keys.
        wiring: as the family's authors describe it.
        norms: paths below a block of the modules whose outputs attention and the MLP read; None: not normed.
        middle: path below a block of the module whose input is the stream between attention and MLP; None
            where there is no such place (parallel and post-norm blocks).
        additive: whether a block's output is its input plus two updates.
    """

    config: dict[str, Any] = field(repr=False)
    wiring: str = "sequential"
    norms: tuple[str | None, str | None] = ("input_layernorm", "post_attention_layernorm")
    middle: str | None = None
    additive: bool = True

    @property
    def family(self) -> str:
        """The `model_type`."""
        return str(self.config["model_type"])

    @property
    def layers(self) -> int:
        """Number of blocks."""
        return int(
            next(
                self.config[key]
                for key in ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
                if key in self.config
            )
        )


def _sequential(config: dict[str, Any], first: str | None, second: str) -> Variant:
    return Variant(config, "sequential", (first, second), second)


def _parallel(config: dict[str, Any], first: str, second: str) -> Variant:
    return Variant(config, "parallel", (first, second))


def _llama(
    model_type: str,
    first: str = "input_layernorm",
    second: str = "post_attention_layernorm",
    /,
    **changes: Any,
) -> Variant:
    return _sequential({"model_type": model_type, **_LLAMA, **changes}, first, second)


_IN, _POST, _BEFORE_MLP = "input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm"
_UNTIED = {"tie_word_embeddings": False}
_GEMMA = {"head_dim": 8, "sliding_window": 4, "query_pre_attn_scalar": 8, "tie_word_embeddings": True}

VARIANTS: dict[str, Variant] = {
    "gpt2": _sequential({"model_type": "gpt2", **_GPT}, "ln_1", "ln_2"),
    "gpt_neo": _sequential(_NEO, "ln_1", "ln_2"),
    "gptj": _parallel({"model_type": "gptj", **_GPT, **_UNTIED, "rotary_dim": 4}, "ln_1", "ln_1"),
    "codegen": _parallel({"model_type": "codegen", **_GPT, **_UNTIED, "rotary_dim": 4}, "ln_1", "ln_1"),
    "gpt_neox-parallel": _parallel({**_NEOX, "use_parallel_residual": True}, _IN, _POST),
    "gpt_neox-sequential": _sequential({**_NEOX, "use_parallel_residual": False}, _IN, _POST),
    "opt": _sequential({**_OPT, "word_embed_proj_dim": 32}, "self_attn_layer_norm", "final_layer_norm"),
    "opt-350m": Variant(
        {**_OPT, "do_layer_norm_before": False, "word_embed_proj_dim": 16},
        norms=(None, "self_attn_layer_norm"),
        additive=False,
    ),
    "bloom": _sequential(_BLOOM, _IN, _POST),
    "bloom-post": Variant({**_BLOOM, "apply_residual_connection_post_layernorm": True}, additive=False),
    "falcon-7b": _parallel({**_FALCON, "multi_query": True}, _IN, _IN),
    "falcon-40b": _parallel({**_FALCON, "num_kv_heads": 2, "new_decoder_architecture": True}, "ln_attn", "ln_mlp"),
    "falcon-rw": _sequential(
        {**_FALCON, "multi_query": False, "parallel_attn": False, "alibi": True, "bias": True}, _IN, _POST
    ),
    "mpt": _sequential(_MPT, "norm_1", "norm_2"),
    "llama": _llama("llama"),
    "llama-tied": _llama("llama", tie_word_embeddings=True),
    "mistral": _llama("mistral", sliding_window=4),
    "mixtral": _llama("mixtral", num_local_experts=4, num_experts_per_tok=2, sliding_window=None),
    "qwen2": _llama("qwen2"),
    "qwen3": _llama("qwen3", head_dim=8),
    "phi3": _llama("phi3", pad_token_id=0, bos_token_id=1, eos_token_id=2),
    "apertus": _llama("apertus", "attention_layernorm", "feedforward_layernorm", rope_parameters=_ROPE),
    "gemma": _llama("gemma", head_dim=8),
    "gemma2": _llama("gemma2", _IN, _BEFORE_MLP, **_GEMMA),
    "gemma3": _llama("gemma3_text", _IN, _BEFORE_MLP, **_GEMMA),
    "olmo": _llama("olmo"),
    "olmo2": Variant({"model_type": "olmo2", **_LLAMA}, norms=(None, None), middle="mlp"),
    "granite": _llama("granite", residual_multiplier=0.22, attention_multiplier=0.2, embedding_multiplier=3.0),
    "glm4": _llama("glm4", head_dim=8, pad_token_id=0),
    "starcoder2": _llama("starcoder2"),
    "phi": _parallel({"model_type": "phi", **_LLAMA, "partial_rotary_factor": 0.5}, _IN, _IN),
    "cohere": _parallel({"model_type": "cohere", **_LLAMA, "tie_word_embeddings": True}, _IN, _IN),
    "stablelm-sequential": _llama("stablelm", use_parallel_residual=False, partial_rotary_factor=0.5),
    "stablelm-parallel": _parallel({"model_type": "stablelm", **_LLAMA, "use_parallel_residual": True}, _IN, _IN),
}


def prompt_set(lengths: Sequence[int] = LENGTHS) -> PromptSet:
    """Return prompts of these recorded lengths."""
    prompts = [Prompt(text=f"prompt {i}", category="ab"[i % 2], tokens=n) for i, n in enumerate(lengths)]
    return PromptSet("tiny", tuple(prompts), {"a": 1, "b": 2})


def row_of(variant: Variant, name: str = "tiny", **changes: Any) -> ModelRow:
    """Return a registry row for a variant."""
    fields = {
        "name": name,
        "title": name,
        "family": variant.family,
        "organisation": "tests",
        "licence": "none",
        "config": variant.config,
        **changes,
    }
    fields.setdefault("parameters", _parameters(json.dumps(fields["config"])))
    return ModelRow(**fields)


@functools.cache
def _parameters(config: str) -> int:
    return parameters_of(json.loads(config))


def stirred(network: Any, seed: int = 1) -> Any:
    """Make vector parameters (norm scales, biases) uneven, so that no tap can be taken for another."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter += 0.2 * torch.randn(parameter.shape, generator=generator).to(parameter)
    return network


def source_of(variant: Variant) -> WeightsSource:
    """Return a drawn source; nothing is read from it but its configuration."""
    return WeightsSource(
        kind=WeightsKind.INITIALISATION,
        detail="tests",
        digest="0" * 64,
        form="draw",
        location=None,
        config=variant.config,
        config_from="registry",
        tokenizer=None,
        tokenizer_digest="stand-in",
        revision=None,
    )


def tiny_model(variant: Variant, *, row: ModelRow | None = None, dtype: str = "float32", seed: int = 0) -> LoadedModel:
    """Draw a variant and wrap it, attention run as its family's row asks."""
    row = row or row_of(variant)
    subject = Subject(row.name, "init", dtype=dtype, seed=seed)
    eager = row.architecture.attention_implementation == "eager"
    register()
    attention = "eager" if eager else REGISTERED
    network = stirred(draw(variant.config, subject, attention)).eval()
    fuse_activations(network)
    return LoadedModel(row, subject, source_of(variant), network, StandInTokens(VOCABULARY), attention)


def eager_twin(variant: Variant) -> Any:
    """Draw the weights of `tiny_model` with eager attention, whose probabilities can be seen."""
    return stirred(draw(variant.config, Subject("tiny", "init"), "eager")).eval()


def save(network: Any, folder: Path) -> Path:
    """Save a network as safetensors and return the folder."""
    network.save_pretrained(folder)
    return folder
