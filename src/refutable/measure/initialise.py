"""Draws weights by the scheme of the code that trained a model: the rules as data, and the one way to apply them.

A drawn matrix depends on the seed, its own name, its shape and the rule, and on nothing else in the network: not on the
order of the modules, nor on what was drawn before. Every rule's biases are 0 and norm scales 1. A model's rule is the
key ``init`` of its registry row; ``transformers`` there means the library's own, for training code that is not known.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch

from refutable.errors import BadInput, InstrumentError, UnknownName
from refutable.families import Family

TRANSFORMERS = "transformers"
CHUNK = 1 << 24  # float32 numbers drawn at a time; another value draws other weights (weights.DRAW_VERSION)

Kind = Literal["embedding", "positions", "unembedding", "input", "output", "scale", "bias"]


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes that rules speak of: number of blocks, width of the residual stream, rows of the embedding."""

    layers: int
    width: int
    vocabulary: int


Deviation = Callable[[Sizes], float]


@dataclass(frozen=True, slots=True)
class Rule:
    """One training code's scheme: the standard deviation of each kind of matrix.

    Attributes:
        input: of every matrix in a block that reads the residual stream.
        output: of the two (attention's, the MLP's) whose products are added to it.
        embedding: of the token embedding; a tied unembedding is the same matrix.
        positions: of learned positions.
        unembedding: of an unembedding of its own.
        truncated: whether the normal is cut at twice `deviation` on both sides and not rescaled, so that what is drawn
            has 0.8796 of the deviation that the rule names.
        source: where the rule was read.
        unverified: what was not, or could not be, checked.
    """

    input: Deviation
    output: Deviation
    embedding: Deviation
    positions: Deviation
    unembedding: Deviation
    source: str
    unverified: str
    truncated: bool = False


def _constant(deviation: float) -> Deviation:
    return lambda sizes: deviation


def _scaled(deviation: float) -> Deviation:
    return lambda sizes: deviation / math.sqrt(2 * sizes.layers)


def _small(sizes: Sizes) -> float:
    return math.sqrt(2 / (5 * sizes.width))


def _wang(sizes: Sizes) -> float:
    return 2 / (sizes.layers * math.sqrt(sizes.width))


def _fan_in(sizes: Sizes) -> float:
    return 1 / math.sqrt(sizes.width)


def _one_hot_fan_in(sizes: Sizes) -> float:
    return 1 / math.sqrt(sizes.vocabulary)


RULES: Mapping[str, Rule] = {
    "gpt2": Rule(
        input=_constant(0.02),
        output=_scaled(0.02),
        embedding=_constant(0.02),
        positions=_constant(0.01),
        unembedding=_constant(0.02),
        source="openai/gpt-2 src/model.py: conv1d and wte 0.02, wpe 0.01; the paper (2.3): residual layers times"
        " 1/sqrt(N) for N residual layers, two a block",
        unverified="the published code leaves the residual layers unscaled, at 0.02: their scale is the paper's word."
        " Transformers and nanoGPT draw wpe with 0.02 and scale the outputs likewise",
    ),
    "small-wang": Rule(
        input=_small,
        output=_wang,
        embedding=_small,
        positions=_small,
        unembedding=_small,
        source="EleutherAI/gpt-neox megatron/model/init_functions.py: small_init sqrt(2 / (5 d)), wang_init"
        " 2 / (L sqrt(d)), chosen by the training files of pythia-70m to -2.8b, gpt-neox-20b and"
        " stablelm-base-alpha-3b; the embedding (word_embeddings.py) and the unembedding (gpt2_model.py) take the"
        " input's",
        unverified="no step0 checkpoint was read",
    ),
    "pythia-large": Rule(
        input=_constant(0.02),
        output=_scaled(0.02),
        embedding=_constant(0.02),
        positions=_constant(0.02),
        unembedding=_constant(0.02),
        source="EleutherAI/pythia issue #135: step0 of pythia-6.9b has 0.02 and 0.0025 = 0.02 / sqrt(2 * 32). The"
        " training files of 6.9b and 12b name no init method, and gpt-neox's defaults are normal and scaled_normal"
        " with 0.02 (neox_args.py)",
        unverified="that 12b and 6.9b-v0 had it too is inferred from their files (6.9b-v0's under its older name,"
        " 6.7b); no step0 checkpoint was read",
    ),
    "mesh-transformer-jax": Rule(
        input=_fan_in,
        output=_wang,
        embedding=_one_hot_fan_in,
        positions=_constant(0.02),
        unembedding=_fan_in,
        truncated=True,
        source="kingoflolz/mesh-transformer-jax mesh_transformer/layers.py (TransformerLayerShard, EmbeddingShard,"
        " ProjectionShard), init_scale 2 / L in transformer_shard.py; dm-haiku basic.py (Linear: 1 / sqrt(fan-in)) and"
        " initializers.py (TruncatedNormal: cut at 2 deviations, not rescaled)",
        unverified="no checkpoint of the start of GPT-J's training was published; the code is the repository's, which"
        " may differ from that of the day of training",
    ),
}

# Below a block: the matrices whose products are added to the residual stream.
OUTPUTS: Mapping[str, tuple[str, str]] = {
    "gpt2": ("attn.c_proj", "mlp.c_proj"),
    "gptj": ("attn.out_proj", "mlp.fc_out"),
    "gpt_neox": ("attention.dense", "mlp.dense_4h_to_h"),
}


@torch.no_grad()
def initialise(network: Any, family: Family, rule: str, seed: int) -> None:
    """Fill every parameter of a network by a rule, in place, whatever was there.

    Args:
        network: a causal language model, its weights tied already.
        family: its row in families.py.
        rule: a key of `RULES`.
        seed: the weights' seed.

    Raises:
        UnknownName: there is no such rule.
        BadInput: the rule cannot be applied to this family yet.
        InstrumentError: a parameter is of no kind that rules speak of.
    """
    if rule not in RULES:
        raise UnknownName("rule of initialisation", rule, {TRANSFORMERS, *RULES})
    chosen, sizes = RULES[rule], _sizes(network, family)
    kinds = kinds_of(network, family)
    for name, parameter in network.named_parameters():
        match kinds[name]:
            case "bias":
                parameter.zero_()
            case "scale":
                parameter.fill_(1)
            case kind:
                _fill(parameter, getattr(chosen, kind)(sizes), chosen.truncated, _generator(seed, name, parameter))


def kinds_of(network: Any, family: Family) -> dict[str, Kind]:
    """Return what each parameter is, by name; a tied matrix has one name, that of the embedding.

    Raises:
        BadInput: it is not known which matrices of this family write to the residual stream.
        InstrumentError: a parameter is of no kind that rules speak of.
    """
    if family.model_type not in OUTPUTS:
        raise BadInput(
            f"init: only `{TRANSFORMERS}` can draw the family {family.model_type!r}; the other rules know"
            f" {', '.join(OUTPUTS)}. To add it, name its two output matrices in measure/initialise.py (OUTPUTS)"
        )
    outputs = {
        f"{family.blocks}.{i}.{path}.weight"
        for i in range(len(network.get_submodule(family.blocks)))
        for path in OUTPUTS[family.model_type]
    }
    return {name: _kind(network, family, name, parameter, outputs) for name, parameter in network.named_parameters()}


@contextmanager
def undrawn() -> Iterator[None]:
    """Let networks be built without drawing: parameters are bare memory, buffers are as ever, nothing is tied."""
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
