"""Stored traces of models that do not exist, and claims about them, to judge without weights or torch."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from refutable._util.hashing import key_of
from refutable.evidence.plan import needs
from refutable.metrics import METRICS
from refutable.models.row import ModelRow
from refutable.models.subject import INIT, Subject, WeightsKind, WeightsSource
from refutable.models.weights import Finder
from refutable.prompts.prompt_set import PromptSet
from refutable.session import Session
from refutable.statistics import STATISTICS
from refutable.traces.trace import (
    CENTRED_HEAD_INPUT_COLUMN,
    CLOSURE_COLUMN,
    ENTROPY_COLUMN,
    HEAD_INPUT_COLUMN,
    INPUT_TAPS,
    KEYS_COLUMN,
    PRODUCTS,
    STREAM_TAPS,
    Trace,
    centred_norm_column,
    centred_product_column,
    mean_column,
    norm_column,
    product_column,
)

WIDTH = 768
LAYERS = (12, 16, 24, 32)
TOKENS = (4, 14)  # a prompt's length, from the first up to but excluding the second
ONE = ("mean", "geometric_mean", "trimmed_mean", "median", "clustered_mean")
TWO = ("pearson", "spearman", "slope", "paired_difference", "pearson_within_categories")
LAYERED = ("layer_gain", "attention_growth", "mlp_growth", "attention_gain", "cancellation_ratio", "residual_norm")
WHOLE = ("last_gain", "total_amplification", "output_entropy")
CHOICES = ("first", "mean", "last", 3, 7)


def models(number: int) -> dict[str, Any]:
    """Return registry rows for this many models of the GPT-2 family."""
    of = {"hub": None, "family": "gpt2", "parameters": 100_000_000, "organisation": "nobody", "licence": "none"}
    shape = {"model_type": "gpt2", "vocab_size": 50257, "n_embd": WIDTH, "n_head": 12, "n_positions": 1024}
    return {
        f"made-up-{i:02}": {
            "title": f"Made up {i}",
            **of,
            "default": True,
            "config": {**shape, "n_layer": LAYERS[i % len(LAYERS)]},
        }
        for i in range(number)
    }


def claims(number: int, names: list[str], controls: bool) -> Iterator[dict[str, Any]]:
    """Yield claims with many statistics, metrics, layers, positions and norms, each about every named model.

    With `controls`, they declare every control that their statistic allows.
    """
    for i, test in enumerate(itertools.islice(_tests(), number)):
        permuted = ["permuted"] if len(test["of"]) == 2 and test["statistic"] != "paired_difference" else []
        yield {
            "id": f"made-{i:04}",
            "statement": "What is tried here.",
            "evidence": "measured",
            "models": names,
            "test": test,
            **({"controls": ["initialization", *permuted]} if controls else {}),
        }


def _tests() -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng(0)
    while True:
        norm = str(rng.choice(["raw", "centred"]))
        predicts = str(rng.choice(["< ", "> "])) + f"{rng.uniform(0.2, 2):.3f}"
        kind = rng.integers(5)
        if kind == 0:
            layered = {"of": [str(rng.choice(LAYERED))], "holds": predicts, "predicts": f">= {rng.uniform(0.5, 1):.2f}"}
            yield {"statistic": "layers_passing", **layered, "norm": norm}
            continue
        statistic = str(rng.choice(TWO if kind == 1 else ONE))
        of = [str(name) for name in rng.choice((*LAYERED, *WHOLE), 2 if kind == 1 else 1, replace=False)]
        test = {"statistic": statistic, "of": of, "predicts": predicts}
        if any(METRICS[name].has_norm for name in of):
            test["norm"] = norm
        if kind == 2:
            test |= {"statistic": "share_of_prompts", "holds": predicts, "predicts": f">= {rng.uniform(0.5, 0.8):.2f}"}
        if any(METRICS[name].per == "layer" for name in of):
            test["layer"] = CHOICES[rng.integers(len(CHOICES))]
        if not any(METRICS[name].last_only for name in of) and rng.integers(2):
            test["position"] = "all"
        assert STATISTICS[test["statistic"]].takes.variables == len(of)
        yield test


def write_suite(folder: Path, number: int, of_models: int, *, controls: bool) -> None:
    """Write claims.yaml and models.yaml as YAML that is also JSON, one claim per line."""
    rows = models(of_models)
    lines = (f"  - {json.dumps(one)}" for one in claims(number, list(rows), controls))
    (folder / "claims.yaml").write_text("\n".join(["schema: 1", "claims:", *lines]) + "\n", encoding="utf-8")
    (folder / "models.yaml").write_text(json.dumps({"models": rows}), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Shelf(Finder):
    """Pretends to find trained weights; freshly drawn ones are found as usual."""

    def find(self, row: ModelRow, subject: Subject, *, download: bool = True) -> WeightsSource:
        """Return a source from which nothing can be loaded."""
        if subject.weights == INIT:
            return Finder.find(self, row, subject, download=download)
        digest = key_of({"made up": row.name})
        kind, config = WeightsKind.PRETRAINED, row.config
        return WeightsSource(
            kind=kind,
            detail="made up",
            digest=digest,
            form="safetensors",
            location=None,
            config=config,
            config_from="registry",
            tokenizer=None,
            tokenizer_digest="stand-in",
            revision=None,
        )


def fill_store(trial: Session) -> int:
    """Store a made-up trace for every pass that the trial's cases read, and return their number."""
    source = trial.source
    source.finder = Shelf(source.finder.hashes, source.finder.device, offline=True)
    passes = dict.fromkeys(need for case in trial.cases for need in needs(case, source.selection))
    for i, (subject, one) in enumerate(passes):
        weights = source.find_weights(subject, one)
        about = source._about(subject, weights, one)
        layers = int(source.selection.registry[subject.model].fact("layers"))
        blocks, prompts = _tables(np.random.default_rng(i), source.prompts(one.prompts), layers)
        facts = {"layers": layers, "d_model": WIDTH, "absent": {}, "closure_worst": 1e-7}
        source.store.put(Trace(source.key(subject, weights, one), {**about, **facts}, blocks, prompts))
    return len(passes)


def _tables(rng: np.random.Generator, prompts: PromptSet, layers: int) -> tuple[pa.Table, pa.Table]:
    """Return made-up primitives that a model could have: positive norms, and products within their bounds."""
    lengths = rng.integers(*TOKENS, len(prompts))
    prompt = np.repeat(np.arange(len(prompts)), lengths)
    position = np.concatenate([np.arange(length) for length in lengths])
    last = np.repeat(position == lengths[prompt] - 1, layers)
    rows = len(prompt) * layers
    columns = {}
    for tap in (*STREAM_TAPS, *INPUT_TAPS):
        columns[norm_column(tap)] = rng.lognormal(2, 0.3, rows)
        columns[centred_norm_column(tap)] = columns[norm_column(tap)] * rng.uniform(0.9, 1, rows)
    columns |= {mean_column(tap): rng.normal(0, 0.01, rows) for tap in STREAM_TAPS}
    for a, b in PRODUCTS:
        cosine = rng.uniform(-0.5, 0.9, rows)
        columns[product_column(a, b)] = cosine * columns[norm_column(a)] * columns[norm_column(b)]
        both = columns[centred_norm_column(a)] * columns[centred_norm_column(b)]
        columns[centred_product_column(a, b)] = cosine * both
    columns[CLOSURE_COLUMN] = np.zeros(rows)
    columns[KEYS_COLUMN] = np.repeat(position + 1.0, layers)
    columns[ENTROPY_COLUMN] = rng.uniform(0.1, 0.9, rows) * np.log1p(columns[KEYS_COLUMN])
    where = {"prompt": np.repeat(prompt, layers), "position": np.repeat(position, layers)}
    table = {name: pa.array(values) for name, values in where.items()}
    table["layer"] = pa.array(np.tile(np.arange(1, layers + 1), len(prompt)))
    for name, values in columns.items():
        mask = ~last if name in (ENTROPY_COLUMN, KEYS_COLUMN) else None
        table[name] = pa.array(values.astype(np.float32), mask=mask)
    made = {
        "text": [one.text for one in prompts.prompts],
        "category": [one.category for one in prompts.prompts],
        "tokens": lengths,
        "output_entropy": rng.uniform(0, 9, len(prompts)),
        "top_probability": rng.uniform(0.1, 0.9, len(prompts)),
        HEAD_INPUT_COLUMN: rng.uniform(5, 9, len(prompts)),
        CENTRED_HEAD_INPUT_COLUMN: rng.uniform(4, 5, len(prompts)),
    }
    return pa.table(table), pa.table(made)
