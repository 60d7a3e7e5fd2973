"""Measures a model object that is already in memory and leaves it as it was."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import torch

from refutable._util.hashing import key_of
from refutable._util.provenance import version_of
from refutable.errors import BadInput
from refutable.measurement.loading.borrowed import borrowed
from refutable.measurement.loading.load import attention_of
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.loading.tokens import GivenTokens, OwnTokenizer
from refutable.measurement.session import make_pass
from refutable.models.device import EVERY_GPU
from refutable.models.families import family_of
from refutable.models.row import ModelRow
from refutable.models.selection import DTYPES
from refutable.models.subject import GIVEN_TOKENS, OWN_TOKENIZER, Subject, WeightsKind, WeightsSource
from refutable.traces.trace import PRIMITIVES_VERSION, Trace

if TYPE_CHECKING:
    from refutable.prompts.in_memory import GivenPrompts
    from refutable.traces.passes import Pass

DETAIL = "a model object in memory"


def measure_in_memory(network: Any, tokenizer: Any, given: GivenPrompts, spec: Pass, name: str | None = None) -> Trace:
    """Make one pass over a causal language model from transformers, on its own device and in its own dtype.

    The model is left as it was even if the pass fails (`borrowed`). Its weights are not hashed; the trace's key is the
    hash of what is known about the model and of the measured numbers.

    Args:
        network: the model, with every parameter on a real device.
        tokenizer: its tokenizer, called with a text; None if prompts are token ids.
        given: the prompts.
        spec: the pass.
        name: the model's name; by default its family and ``-in-memory``.

    Raises:
        BadInput: the family is unknown, or the model cannot be run as it is.
        RefutableError: as the pass itself.
    """
    row, prompts = _row(network, name), given.prompts
    _check_parts(network, row.architecture.blocks)
    tokens = _tokens(network, tokenizer, given)
    subject = Subject(row.name, weights="memory", dtype=_dtype(network), device=_device(network))
    told = OWN_TOKENIZER if isinstance(tokens, OwnTokenizer) else GIVEN_TOKENS
    weights = WeightsSource(
        kind=WeightsKind.LOCAL,
        detail=DETAIL,
        digest=DETAIL,
        form="safetensors",
        location=None,
        config=row.config,
        config_from="the model's own",
        tokenizer=None,
        tokenizer_digest=told,
        revision=None,
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
    attention = attention_of(row)
    model = LoadedModel(row, subject, weights, network, tokens, attention)
    with borrowed(network, attention):
        trace = make_pass(model, spec, prompts, "", {**about, "attention_implementation": attention})
    return replace(trace, key=key_of({**about, "primitives": PRIMITIVES_VERSION, "numbers": _digest(trace)}))


def _row(network: Any, name: str | None) -> ModelRow:
    """Return a registry row for this object, with its own configuration."""
    config = getattr(network, "config", None)
    if config is None or not hasattr(network, "get_input_embeddings"):
        raise BadInput(f"a {type(network).__name__} is no causal language model of transformers; give one")
    family = family_of(config.model_type)
    name = name or f"{family.model_type.replace('_', '-')}-in-memory"
    slug = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).lstrip("._-")
    if not slug:
        raise BadInput(f"name={name!r}: a model is called by letters, digits, dots, dashes and underscores")
    return ModelRow(
        name=slug,
        title=type(network).__name__,
        family=family.model_type,
        parameters=max(1, sum(parameter.numel() for parameter in network.parameters())),
        organisation="-",
        licence="-",
        config=json.loads(config.to_json_string(use_diff=False)),
        config_source="the model's own",
    )


def _check_parts(network: Any, blocks: str) -> None:
    """Refuse a model that has no unembedding or whose blocks a wrapper hides."""
    try:
        network.get_submodule(blocks)
        whole = network.get_output_embeddings() is not None
    except AttributeError:
        whole = False
    if not whole:
        raise BadInput(
            f"a {type(network).__name__} has no {blocks} or no unembedding: load it with AutoModelForCausalLM (a"
            " compiled model holds its own as `_orig_mod`, one of PEFT gives it by `get_base_model()`)"
        )


def _dtype(network: Any) -> str:
    """Return the coarsest dtype of its floating-point parameters, whose eps bounds closure; BadInput for others."""
    found = {str(p.dtype).removeprefix("torch.") for p in network.parameters() if p.is_floating_point()}
    if not found or found - set(DTYPES):
        raise BadInput(
            f"its parameters are {', '.join(sorted(found)) or 'of no floating-point dtype'}; convert it to one of"
            f" {', '.join(DTYPES)}: model.to(torch.float32)"
        )
    return max(found, key=lambda name: torch.finfo(getattr(torch, name)).eps)


def _device(network: Any) -> str:
    """Return the device of its parameters, `EVERY_GPU` if they are on several."""
    devices = {str(parameter.device) for parameter in network.parameters()}
    if "meta" in devices:
        raise BadInput("some of its parameters are on the device 'meta', without values; load its weights first")
    return devices.pop() if len(devices) == 1 else EVERY_GPU


def _tokens(network: Any, tokenizer: Any, given: GivenPrompts) -> OwnTokenizer | GivenTokens:
    """Return the source of the prompts' token ids, refusing texts without a tokenizer and ids that are too large."""
    if given.ids is None and (not callable(tokenizer) or not hasattr(tokenizer, "decode")):
        raise BadInput(
            f"prompts that are texts need the model's tokenizer, as AutoTokenizer loads it (got {tokenizer!r});"
            " give it, or give lists of token ids"
        )
    size = int(network.get_input_embeddings().num_embeddings)
    if given.ids is None:
        return OwnTokenizer(tokenizer, size)
    largest = max(max(ids, default=0) for ids in given.ids)
    if largest >= size:
        raise BadInput(
            f"token id {largest} is not in the model's vocabulary of {size}; give this model's own tokenizer, or ids"
            f" from 0 to {size - 1}"
        )
    return GivenTokens(given.ids)


def _digest(trace: Trace) -> str:
    """Return the hash of a trace's two tables."""
    found = hashlib.sha256()
    for table in (trace.blocks, trace.prompts):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        found.update(sink.getvalue())
    return found.hexdigest()
