"""Draws weights by the scheme of the code that trained a model (`models.init_rules`).

A drawn matrix depends on the seed, its own name, its shape and the rule, and on nothing else in the network: not on the
order of the modules, nor on what was drawn before. Every rule's biases are 0 and norm scales 1. A model's rule is the
key ``init`` of its registry row; ``transformers`` there means the library's own, for training code that is not known.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import torch

from refutable._util.progress import BYTES, task
from refutable.errors import BadInput, InstrumentError, UnknownName
from refutable.models.families import Family
from refutable.models.init_rules import RULES, TRANSFORMERS, Sizes

__all__ = ["OUTPUTS", "RULES", "TRANSFORMERS", "Sizes", "initialise", "kinds_of", "undrawn"]

CHUNK = 1 << 24  # float32 numbers drawn at a time; another value draws other weights (weights.DRAW_VERSION)

Kind = Literal["embedding", "positions", "unembedding", "input", "output", "scale", "bias"]


# Below a block: the matrices whose products are added to the residual stream.
OUTPUTS: Mapping[str, tuple[str, str]] = {
    "gpt2": ("attn.c_proj", "mlp.c_proj"),
    "gptj": ("attn.out_proj", "mlp.fc_out"),
    "gpt_neox": ("attention.dense", "mlp.dense_4h_to_h"),
}


@torch.no_grad()
def initialise(network: Any, family: Family, rule: str, seed: int, outputs: tuple[str, str] | None = None) -> None:
    """Overwrite every parameter of a network by a rule, in place.

    Args:
        network: a causal language model, its weights tied already.
        family: its row in families.py.
        rule: a key of `RULES`.
        seed: the weights' seed.
        outputs: paths below a block of the two matrices whose products are added to the stream; None: as `OUTPUTS`.

    Raises:
        UnknownName: there is no such rule.
        BadInput: the rule cannot be applied to this family yet.
        InstrumentError: a parameter is of no kind that rules speak of.
    """
    if rule not in RULES:
        raise UnknownName("rule of initialisation", rule, {TRANSFORMERS, *RULES})
    chosen, sizes = RULES[rule], _sizes(network, family)
    kinds, parameters = kinds_of(network, family, outputs), dict(network.named_parameters())
    with task("", sum(parameter.nbytes for parameter in parameters.values()), BYTES) as drawing:
        for name, parameter in parameters.items():
            match kinds[name]:
                case "bias":
                    parameter.zero_()
                case "scale":
                    parameter.fill_(1)
                case kind:
                    _fill(parameter, getattr(chosen, kind)(sizes), chosen.truncated, _generator(seed, name, parameter))
            drawing.advance(parameter.nbytes)


def kinds_of(network: Any, family: Family, outputs: tuple[str, str] | None = None) -> dict[str, Kind]:
    """Return what each parameter is, by name; a tied matrix has one name, that of the embedding.

    Raises:
        BadInput: it is not known which matrices of this family write to the residual stream.
        InstrumentError: a parameter is of no kind that rules speak of.
    """
    written = OUTPUTS.get(family.model_type) if outputs is None else outputs
    if written is None:
        raise BadInput(
            f"init: only `{TRANSFORMERS}` can draw the family {family.model_type!r}; the other rules know"
            f" {', '.join(OUTPUTS)}. To add it, name its two output matrices in measurement/initialise.py (OUTPUTS)"
        )
    writers = {
        f"{family.blocks}.{i}.{path}.weight"
        for i in range(len(network.get_submodule(family.blocks)))
        for path in written
    }
    return {name: _kind(network, family, name, parameter, writers) for name, parameter in network.named_parameters()}


@contextmanager
def undrawn() -> Iterator[None]:
    """Build networks without drawing weights: parameters are empty memory, buffers as usual, nothing is tied."""
    from transformers.initialization import no_init_weights

    with no_init_weights():
        yield


def _sizes(network: Any, family: Family) -> Sizes:
    vocabulary, width = network.get_input_embeddings().weight.shape
    return Sizes(len(network.get_submodule(family.blocks)), width, vocabulary)


def _kind(network: Any, family: Family, name: str, parameter: torch.Tensor, outputs: set[str]) -> Kind:
    path, _, leaf = name.rpartition(".")
    head = network.get_output_embeddings()
    if parameter is network.get_input_embeddings().weight:
        return "embedding"
    if head is not None and parameter is head.weight:
        return "unembedding"
    if isinstance(network.get_submodule(path), torch.nn.Embedding):
        return "positions"
    if leaf == "bias":
        return "bias"
    if leaf == "weight" and parameter.ndim == 1:
        return "scale"
    if name in outputs:
        return "output"
    if parameter.ndim == 2 and name.startswith(f"{family.blocks}."):
        return "input"
    raise InstrumentError(
        f"{name} {tuple(parameter.shape)}: no rule of initialisation speaks of such a parameter"
        f" (family {family.model_type}); the registry's `init: {TRANSFORMERS}` draws it"
    )


def _generator(seed: int, name: str, like: torch.Tensor) -> torch.Generator:
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return torch.Generator(like.device).manual_seed(int.from_bytes(digest[:4], "big"))  # a CPU's takes 32 bits


def _fill(parameter: torch.Tensor, deviation: float, truncated: bool, generator: torch.Generator) -> None:
    """Draw in float32 and round to the parameter's dtype, some of it at a time."""
    flat = parameter.view(-1)  # (rows * columns,)
    scratch = torch.empty(min(CHUNK, flat.numel()), dtype=torch.float32, device=flat.device)
    for start in range(0, flat.numel(), CHUNK):
        part = scratch[: flat.numel() - start]
        if truncated:
            bound = math.erf(math.sqrt(2))  # of a normal, 0.954 lies within two deviations
            part.uniform_(-bound, bound, generator=generator).erfinv_().mul_(math.sqrt(2)).clamp_(-2, 2)
            part.mul_(deviation)
        else:
            part.normal_(0, deviation, generator=generator)
        flat[start : start + CHUNK].copy_(part)
