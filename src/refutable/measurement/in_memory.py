"""Measures a model object that is already in memory, and leaves it as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from refutable._util.hashing import key_of
from refutable._util.provenance import version_of
from refutable.errors import BadInput
from refutable.measurement.loading.load import attention_of
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.loading.tokens import GivenTokens, OwnTokenizer
from refutable.measurement.session import make_pass
from refutable.models.families import family_of
from refutable.models.registry import ModelRow
from refutable.models.subject import GIVEN_TOKENS, OWN_TOKENIZER, Subject, WeightsKind, WeightsSource
from refutable.traces.trace import PRIMITIVES_VERSION, Trace

if TYPE_CHECKING:
    from refutable.prompts.in_memory import GivenPrompts
    from refutable.traces.passes import Pass

DETAIL = "a model object in memory"


def measure_in_memory(network: Any, tokenizer: Any, given: GivenPrompts, spec: Pass) -> Trace:
    """Make one pass over a causal language model of transformers, on its own device and in its own dtype.

    Hooks, training mode, attention implementation and gradients are afterwards as they were, also where the pass fails.

    Args:
        network: the model; every parameter on a real device.
        tokenizer: its tokenizer, called with a text; None where prompts are token ids.
        given: the prompts.
        spec: which pass.

    Raises:
        BadInput: the family is not known, or the model cannot be run as it is.
        RefutableError: as the pass itself.
    """
    row, prompts = _row(network), given.prompts
    tokens = _tokens(network, tokenizer, given.ids)
    subject = Subject(row.name, weights="memory", dtype=_dtype(network), device=str(_device(network)))
    told = OWN_TOKENIZER if isinstance(tokens, OwnTokenizer) else GIVEN_TOKENS
    weights = WeightsSource(
        WeightsKind.LOCAL, DETAIL, DETAIL, "safetensors", None, row.config, "the model's own", None, told, None
    )
    about = {
        "model": row.name,
        "title": row.title,
        "family": row.family,
        "model_config": row.config,
        **spec.facts,
        "prompt_set": prompts.name,
        "prompts": prompts.hash,
        "weights": DETAIL,
        "weights_kind": str(weights.kind),
        "weights_detail": DETAIL,
        "config": key_of(row.config),
        "config_from": weights.config_from,
        "tokens": told,
        "dtype": subject.dtype,
        "device": subject.device_type,
        "torch": version_of("torch"),
        "transformers": version_of("transformers"),
    }
    key = key_of({**about, "primitives": PRIMITIVES_VERSION})
    with borrowed(network, attention_of(row)) as attention:
        model = LoadedModel(row, subject, weights, network, tokens, attention)
        return make_pass(model, spec, prompts, key, {**about, "attention_implementation": attention})


@contextmanager
def borrowed(network: Any, attention: str) -> Iterator[str]:
    """Put a model into evaluation mode, with attention that shows its probabilities, and put it back afterwards."""
    training = {module: module.training for module in network.modules()}
    found = {id(module.config): module.config for module in network.modules() if hasattr(module, "config")}
    configs = list(found.values())
    implementations = [config._attn_implementation for config in configs]
    try:
        network.eval()
        for config in configs:
            config._attn_implementation = attention
        yield attention
    finally:
        for config, implementation in zip(configs, implementations, strict=True):
            config._attn_implementation = implementation
        for module, mode in training.items():
            module.training = mode


def _row(network: Any) -> ModelRow:
    """Return a registry row for this object, with the facts of its own configuration."""
    config = getattr(network, "config", None)
    if config is None or not hasattr(network, "get_input_embeddings"):
        raise BadInput(f"a {type(network).__name__} is no causal language model of transformers; give one")
    family = family_of(config.model_type)
    return ModelRow(
        name=f"{family.model_type.replace('_', '-')}-in-memory",
        title=type(network).__name__,
        family=family.model_type,
        parameters=max(1, sum(parameter.numel() for parameter in network.parameters())),
        organisation="-",
        licence="-",
        config=json.loads(config.to_json_string(use_diff=False)),
        config_source="the model's own",
    )


def _dtype(network: Any) -> str:
    """Return the dtype of its floating-point parameters.

    Raises:
        BadInput: it is none of the dtypes that a pass is checked in, or there are several.
    """
    found = {str(p.dtype).removeprefix("torch.") for p in network.parameters() if p.is_floating_point()}
    allowed = {"float64", "float32", "bfloat16", "float16"}
    if len(found) != 1 or not found <= allowed:
        raise BadInput(
            f"its parameters are {', '.join(sorted(found)) or 'of no floating-point dtype'}; convert it to one of"
            f" {', '.join(sorted(allowed))}: model.to(torch.float32)"
        )
    return found.pop()


def _device(network: Any) -> torch.device:
    """Return the device of its embedding.

    Raises:
        BadInput: a parameter has no memory.
    """
    if any(parameter.device.type == "meta" for parameter in network.parameters()):
        raise BadInput("some of its parameters are on the device 'meta', without values; load its weights first")
    device: torch.device = network.get_input_embeddings().weight.device
    return device


def _tokens(network: Any, tokenizer: Any, ids: tuple[tuple[int, ...], ...] | None) -> OwnTokenizer | GivenTokens:
    """Return what makes token ids of the prompts.

    Raises:
        BadInput: texts without a tokenizer, or token ids that the model does not have.
    """
    if ids is None and tokenizer is None:
        raise BadInput("prompts that are texts need the model's tokenizer; give it, or give lists of token ids")
    if ids is None:
        return OwnTokenizer(tokenizer)
    size, largest = int(network.get_input_embeddings().num_embeddings), max(map(max, ids))
    if largest >= size:
        raise BadInput(f"token id {largest} is not in the model's vocabulary of {size}; give ids from 0 to {size - 1}")
    return GivenTokens(ids)
