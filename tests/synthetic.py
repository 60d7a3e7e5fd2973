"""Traces made from known vectors, so that a metric can be held against numpy on the vectors themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

GIVEN = ("block_input", "attention_update", "mlp_update", "attention_input", "mlp_input")
Vectors = Mapping[str, Sequence[NDArray[np.float64]]]


def random_vectors(lengths: Sequence[int] = (3, 1, 4), layers: int = 3, width: int = 8, seed: int = 0) -> Vectors:
    """Return, for each given tap, one array (positions, layers, D) a prompt; no mean is near zero."""
    rng = np.random.default_rng(seed)
    return {tap: [rng.normal(0.5, 1.0, (length, layers, width)) for length in lengths] for tap in GIVEN}


def with_output(vectors: Vectors) -> Vectors:
    """Return the vectors with the block's output, which is its input plus both updates."""
    updates = zip(vectors["block_input"], vectors["attention_update"], vectors["mlp_update"], strict=True)
    return {**vectors, "block_output": [x + a + m for x, a, m in updates]}


def make_trace(
    vectors: Vectors,
    *,
    entropy: NDArray[np.float64] | None = None,
    absent: Mapping[str, str] | None = None,
    spoiled: Mapping[str, tuple[int, int, int, float]] | None = None,
    prompts: Mapping[str, Sequence[float | None]] | None = None,
) -> Trace:
    """Make a trace whose columns are computed from vectors.

    Args:
        vectors: for each tap of `GIVEN`, one array (positions, layers, D) a prompt.
        entropy: attention entropy of each prompt's last query, (prompts, layers); random where not given.
        absent: columns that this model lacks, and why.
        spoiled: column: (prompt, position, layer from 1, what stands there).
        prompts: columns of the prompt table that replace the made ones.
    """
    taps = with_output(vectors)
    lengths = [len(one) for one in taps["block_input"]]
    layers, width = taps["block_input"][0].shape[1:]
    flat = {tap: np.concatenate(list(of)).reshape(-1, width) for tap, of in taps.items()}  # (rows * layers, D)
    columns: dict[str, NDArray[np.float64]] = {}
    for tap in (*STREAM_TAPS, *INPUT_TAPS):
        columns[norm_column(tap)] = np.linalg.norm(flat[tap], axis=1)
        columns[centred_norm_column(tap)] = np.linalg.norm(centre(flat[tap]), axis=1)
    columns |= {mean_column(tap): flat[tap].mean(axis=1) for tap in STREAM_TAPS}
    columns |= {product_column(a, b): (flat[a] * flat[b]).sum(axis=1) for a, b in PRODUCTS}
    columns |= {centred_product_column(a, b): (centre(flat[a]) * centre(flat[b])).sum(axis=1) for a, b in PRODUCTS}
    columns[CLOSURE_COLUMN] = np.zeros(len(flat["block_input"]))
    rng = np.random.default_rng(1)
    entropy = rng.uniform(0.1, 0.5, (len(lengths), layers)) if entropy is None else entropy
    prompt = np.repeat(np.arange(len(lengths)), lengths)  # (rows,)
    position = np.concatenate([np.arange(length) for length in lengths])
    last = np.repeat(position == np.array(lengths)[prompt] - 1, layers)
    columns[ENTROPY_COLUMN] = entropy[prompt].reshape(-1)
    columns[KEYS_COLUMN] = np.repeat(position + 1.0, layers)
    for name, (p, at, layer, value) in (spoiled or {}).items():
        columns[name][(sum(lengths[:p]) + at) * layers + layer - 1] = value
    table = {
        "prompt": pa.array(np.repeat(prompt, layers)),
        "position": pa.array(np.repeat(position, layers)),
        "layer": pa.array(np.tile(np.arange(1, layers + 1), len(prompt))),
    }
    for name in PRIMITIVE_COLUMNS:
        values = columns[name].astype(np.float32)
        table[name] = pa.array(values, mask=~last if name in (ENTROPY_COLUMN, KEYS_COLUMN) else None)
        if name in (absent or {}):
            table[name] = pa.nulls(len(values), pa.float32())
    made: dict[str, Any] = {
        "text": [f"prompt {i}" for i in range(len(lengths))],
        "category": [f"category {i}" for i in range(len(lengths))],
        "complexity": [1 + i % 3 for i in range(len(lengths))],
        "tokens": lengths,
        "output_entropy": rng.uniform(0.0, 9.0, len(lengths)),
        "top_probability": rng.uniform(0.1, 0.9, len(lengths)),
        HEAD_INPUT_COLUMN: rng.uniform(5.0, 9.0, len(lengths)),
        CENTRED_HEAD_INPUT_COLUMN: rng.uniform(4.0, 5.0, len(lengths)),
    }
    meta = {
        "model": "made-up",
        "dtype": "float16",
        "layers": layers,
        "d_model": width,
        "absent": dict(absent or {}),
    }
    return Trace("0" * 64, meta, pa.table(table), pa.table({**made, **(prompts or {})}))


def centre(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return vectors less their mean over the width; same shape."""
    return x - x.mean(axis=-1, keepdims=True)
