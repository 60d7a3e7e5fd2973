"""Synthetic traces: made-up vectors with primitives computed from them, so that every identity holds.

Every identity between a metric's primitives (the triangle inequality, Cauchy and Schwarz, block_output = block_input +
both updates, entropies between 0 and the log of the number of keys) holds in them by construction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from refutable.traces.trace import (
    CENTRED_HEAD_INPUT_COLUMN,
    CLOSURE_COLUMN,
    ENTROPY_COLUMN,
    HEAD_INPUT_COLUMN,
    INPUT_TAPS,
    KEYS_COLUMN,
    PRIMITIVE_COLUMNS,
    PRODUCTS,
    STREAM_TAPS,
    Trace,
    centred_norm_column,
    centred_product_column,
    mean_column,
    norm_column,
    product_column,
)

Floats = NDArray[np.float64]
WIDTH = 4
POSITIONS = 3  # of each prompt: its first token, its second and its last
VOCABULARY = 1_000_000
POOL = 600


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a trace is made of. P prompts, T = `POSITIONS`, L layers, D wide.

    Attributes:
        stream: what the first block reads, (P, T, D).
        attention: what attention adds, (P, T, L, D).
        mlp: what the MLP adds, (P, T, L, D).
        attention_input: what attention reads, of any length and direction: its norm may scale it, (P, T, L, D).
        mlp_input: the same of the MLP.
        entropy: attention entropy over the log of the number of visible keys, in [0, 1], (P, L).
        tokens: number of tokens of each prompt, at least `POSITIONS`, (P,).
        head_input: what the unembedding reads, behind a final norm of any scale and bias, (P, D).
        top: weight of the next token before all are made to sum to 1, at least 1, (P,).
        others: number of other next tokens, of weight 1 each, (P,).
    """

    stream: Floats
    attention: Floats
    mlp: Floats
    attention_input: Floats
    mlp_input: Floats
    entropy: Floats
    tokens: NDArray[np.int64]
    head_input: Floats
    top: Floats
    others: NDArray[np.int64]


def trace_of(recipe: Recipe) -> Trace:
    """Return the trace of a recipe; a column that vectors do not determine is absent from it."""
    prompts, positions, layers, width = recipe.attention.shape
    stream = [recipe.stream]  # block after block: what a sum over all of them would round away may be all that is left
    for layer in range(layers):
        stream.append(stream[-1] + recipe.attention[:, :, layer] + recipe.mlp[:, :, layer])
    before, after = np.stack(stream[:-1], axis=2), np.stack(stream[1:], axis=2)  # (P, T, L, D)
    vectors = {
        "block_input": before,
        "block_output": after,
        "attention_update": recipe.attention,
        "mlp_update": recipe.mlp,
        "attention_input": recipe.attention_input,
        "mlp_input": recipe.mlp_input,
    }
    taps = {tap: of.reshape(-1, width) for tap, of in vectors.items()}  # (P * T * L, D)
    where = np.stack([np.zeros_like(recipe.tokens), np.ones_like(recipe.tokens), recipe.tokens - 1], axis=1)  # (P, T)
    columns = {**_of_vectors(taps), **_of_attention(recipe, where, layers)}
    table: dict[str, Any] = {
        "prompt": pa.array(np.repeat(np.arange(prompts), positions * layers)),
        "position": pa.array(np.repeat(where.reshape(-1), layers)),
        "layer": pa.array(np.tile(np.arange(1, layers + 1), prompts * positions)),
    }
    made = {name: pa.array(column, mask=np.isnan(column)) for name, column in columns.items()}
    absent = {name: "it cannot be generated" for name in PRIMITIVE_COLUMNS if name not in made}
    table |= {**made, **{name: pa.nulls(prompts * positions * layers, pa.float64()) for name in absent}}
    meta = {"model": "generated data", "dtype": "float64", "layers": layers, "d_model": width, "absent": absent}
    return Trace("", meta, pa.table(table), pa.table(_of_prompts(recipe)))


def _of_vectors(taps: dict[str, Floats]) -> dict[str, Floats]:
    centred = {tap: of - of.mean(axis=1, keepdims=True) for tap, of in taps.items()}
    columns = {CLOSURE_COLUMN: np.zeros(len(taps["block_input"]))}
    for tap in (*STREAM_TAPS, *INPUT_TAPS):
        columns[norm_column(tap)] = np.linalg.norm(taps[tap], axis=1)
        columns[centred_norm_column(tap)] = np.linalg.norm(centred[tap], axis=1)
    columns |= {mean_column(tap): taps[tap].mean(axis=1) for tap in STREAM_TAPS}
    columns |= {product_column(a, b): (taps[a] * taps[b]).sum(axis=1) for a, b in PRODUCTS}
    return columns | {centred_product_column(a, b): (centred[a] * centred[b]).sum(axis=1) for a, b in PRODUCTS}


def _of_attention(recipe: Recipe, where: NDArray[np.int64], layers: int) -> dict[str, Floats]:
    """Return entropy and number of keys, which are read at the last token only: NaN elsewhere, (P * T * L,)."""
    keys = np.full((*where.shape, layers), np.nan)
    keys[:, -1] = recipe.tokens[:, None]
    entropy = np.full_like(keys, np.nan)
    entropy[:, -1] = recipe.entropy * np.log(recipe.tokens)[:, None]
    return {ENTROPY_COLUMN: entropy.reshape(-1), KEYS_COLUMN: keys.reshape(-1)}


def _of_prompts(recipe: Recipe) -> dict[str, Any]:
    total = recipe.top + recipe.others
    top = recipe.top / total
    entropy = -top * np.log(top) + recipe.others / total * np.log(total)  # in nats
    count = len(recipe.tokens)
    centred = recipe.head_input - recipe.head_input.mean(axis=1, keepdims=True)
    return {
        "text": [f"generated {index}" for index in range(count)],
        "category": [f"category {index % 3}" for index in range(count)],
        "complexity": [1 + index % 3 for index in range(count)],
        "tokens": recipe.tokens,
        HEAD_INPUT_COLUMN: np.linalg.norm(recipe.head_input, axis=1),
        CENTRED_HEAD_INPUT_COLUMN: np.linalg.norm(centred, axis=1),
        "output_entropy": np.maximum(entropy, 0.0),
        "top_probability": top,
    }


@cache
def pool(layers: int) -> Trace:
    """Return a trace of many generated prompts, always the same: any choice of them is data that could be measured."""
    return trace_of(_pool_recipe(layers))


def _pool_recipe(layers: int) -> Recipe:
    rng = np.random.default_rng(0)
    shape = (POOL, POSITIONS, layers, WIDTH)
    stream = rng.normal(size=(POOL, POSITIONS, WIDTH)) * _scales(rng, (POOL, 1, 1), 6)
    attention, mlp = np.empty(shape), np.empty(shape)
    kind = np.arange(POOL) % len(_KINDS)  # the same in every layer of a prompt, so that means over layers go to the end
    x = stream
    for layer in range(layers):
        size = np.linalg.norm(x, axis=-1, keepdims=True)
        a, m = (rng.normal(size=x.shape) * size * _scales(rng, (POOL, 1, 1), 4) for _ in range(2))
        amount = _scales(rng, (POOL, 1, 1), 4)
        for index, make in enumerate(_KINDS):
            rows = kind == index
            attention[rows, :, layer], mlp[rows, :, layer] = make(x[rows], a[rows], m[rows], amount[rows])
        x = x + attention[:, :, layer] + mlp[:, :, layer]
    return Recipe(
        stream,
        attention,
        mlp,
        rng.normal(size=shape) * _scales(rng, (POOL, 1, 1, 1), 8),
        rng.normal(size=shape) * _scales(rng, (POOL, 1, 1, 1), 8),
        entropy=_shares(rng, layers),
        tokens=np.round(10 ** rng.uniform(np.log10(POSITIONS), 7, POOL)).astype(np.int64),
        top=10 ** rng.uniform(0, 8, POOL),
        others=np.round(10 ** rng.uniform(0, np.log10(VOCABULARY - 1), POOL)).astype(np.int64),
        head_input=rng.normal(size=(POOL, WIDTH)) * _scales(rng, (POOL, 1), 8),
    )


def _shares(rng: np.random.Generator, layers: int) -> Floats:
    """Return numbers in [0, 1], many of them near its ends, (POOL, layers)."""
    far, near = rng.uniform(size=(POOL, layers)), 10 ** rng.uniform(-8, 0, (POOL, layers))
    shares: Floats = np.choose(np.arange(POOL)[:, None] % 3, (far, near, 1 - near))
    return shares


def _scales(rng: np.random.Generator, shape: tuple[int, ...], decades: float) -> Floats:
    scales: Floats = 10.0 ** rng.uniform(-decades, decades, shape)
    return scales


def _nearly(vectors: Floats, other: Floats, c: Floats) -> Floats:
    """Return vectors with a little of others added: from a part in 10^4 to as much again."""
    size = np.linalg.norm(vectors, axis=-1, keepdims=True) / np.linalg.norm(other, axis=-1, keepdims=True)
    near: Floats = vectors + 1e-2 * np.sqrt(c) * size * other
    return near


_KINDS: tuple[Callable[[Floats, Floats, Floats, Floats], tuple[Floats, Floats]], ...] = (
    lambda x, a, m, c: (a, m),
    lambda x, a, m, c: (a, c * a),  # parallel
    lambda x, a, m, c: (a, _nearly(a, m, c)),
    lambda x, a, m, c: (a, -a),  # cancelling
    lambda x, a, m, c: (a, _nearly(-a, m, c)),
    lambda x, a, m, c: (a, -c * a),  # opposite
    lambda x, a, m, c: (-c / (1 + c) * x, np.zeros_like(m)),  # a part of it, however deep the model
    lambda x, a, m, c: (c * x, c * x),  # along the stream
    lambda x, a, m, c: (_nearly(c * x, a, c), _nearly(c * x, m, c)),
    lambda x, a, m, c: (-x / 2, _nearly(-x / 2, m, c)),  # against it, until little is left
    lambda x, a, m, c: (_nearly(-c * x, a, c), _nearly(-c * x, m, c)),  # against it, beyond
    lambda x, a, m, c: (a, np.zeros_like(m)),
    lambda x, a, m, c: (np.zeros_like(a), m),
    lambda x, a, m, c: (a, np.flip(a, -1) * np.array([1, 1, -1, -1])),  # orthogonal, of one length
    lambda x, a, m, c: (c * np.ones_like(a), m),  # a mean and nothing else
)
