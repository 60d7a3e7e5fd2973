"""Initialisation schemes of training codes, as data; `measurement.loading.initialise` applies them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from refutable.models.sources import Source

TRANSFORMERS = "transformers"
TrainingCode = Literal["gpt-2", "gpt-neox", "mesh-transformer-jax"]
CODES: tuple[str, ...] = get_args(TrainingCode)
CUT = 0.8796  # what a normal cut at twice its deviation keeps of it


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
        code: the training code.
        truncated: whether the normal is cut at twice `deviation` on both sides and not rescaled, so that what is drawn
            has 0.8796 of the deviation that the rule names.
        sources: where the rule was read.
        unverified: what was not, or could not be, checked.
    """

    input: Deviation
    output: Deviation
    embedding: Deviation
    positions: Deviation
    unembedding: Deviation
    code: TrainingCode
    sources: tuple[Source, ...]
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
        code="gpt-2",
        sources=(
            Source(
                by="OpenAI",
                at="gpt-2 src/model.py: conv1d and wte 0.02, wpe 0.01; the paper (2.3): residual layers times 1/sqrt(N)"
                " for N residual layers, two a block",
            ),
        ),
        unverified="the published code leaves the residual layers unscaled, at 0.02: their scale is the paper's word."
        " Transformers and nanoGPT draw wpe with 0.02 and scale the outputs likewise",
    ),
    "small-wang": Rule(
        input=_small,
        output=_wang,
        embedding=_small,
        positions=_small,
        unembedding=_small,
        code="gpt-neox",
        sources=(
            Source(
                by="EleutherAI",
                at="gpt-neox megatron/model/init_functions.py: small_init sqrt(2 / (5 d)), wang_init 2 / (L sqrt(d));"
                " the embedding (word_embeddings.py) and the unembedding (gpt2_model.py) take the input's",
            ),
            Source(by="mqyqlx", at="EleutherAI/pythia issue 135: both formulas"),
            Source(by="mosaicml", at="examples pull request 224: GPT-NeoX joins the two"),
        ),
        unverified="no step0 checkpoint was read",
    ),
    "pythia-large": Rule(
        input=_constant(0.02),
        output=_scaled(0.02),
        embedding=_constant(0.02),
        positions=_constant(0.02),
        unembedding=_constant(0.02),
        code="gpt-neox",
        sources=(
            Source(
                by="mqyqlx",
                at="EleutherAI/pythia issue 135: step0 of pythia-6.9b has 0.02 and 0.0025 = 0.02 / sqrt(2 * 32)",
            ),
            Source(
                by="EleutherAI",
                at="gpt-neox megatron/neox_arguments/neox_args.py: normal and scaled_normal with 0.02, the defaults of"
                " training files that name no init method",
            ),
        ),
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
        code="mesh-transformer-jax",
        sources=(
            Source(
                by="kingoflolz",
                at="mesh-transformer-jax mesh_transformer/layers.py (TransformerLayerShard, EmbeddingShard,"
                " ProjectionShard), init_scale 2 / L in transformer_shard.py; with dm-haiku's basic.py (Linear:"
                " 1 / sqrt(fan-in)) and initializers.py (TruncatedNormal: cut at 2 deviations, not rescaled)",
            ),
        ),
        unverified="no checkpoint of the start of GPT-J's training was published; the code is the repository's, which"
        " may differ from that of the day of training",
    ),
}
