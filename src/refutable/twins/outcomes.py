"""Outcomes of the experiment: a few numbers of each trained twin and of its first weights, from the tables of runs.

They are the table that causal claims are judged on (`refutable.experiments.table`), one row a twin and time. Gains and
amplifications are logs of ratios of norms, means over prompts.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from refutable.experiments.table import START, TRAINED
from refutable.prompts.find import load_prompts
from refutable.twins.design import CELLS
from refutable.twins.errors import TwinsError
from refutable.twins.snapshot import COLUMNS

When = Literal["trained", "start"]
Values = dict[str, dict[int, float]]  # of an outcome, by cell and seed
PROMPTS = "grand-unified-25"
PUBLISHED = ("small", "medium", "large")  # sizes that claims are judged on

OUTCOMES: dict[str, str] = {
    "log_last_gain": "log of the last block's gain, mean over prompts",
    "log_last_gain_centred": "the same of the stream less its mean over the width",
    "log_total_amplification": "log of the last block's output over the first's",
    "cos_attention_mlp": "cosine of attention's and the MLP's update, mean over prompts and blocks",
    "log_gain_without_opposition": "log of the last gain, were the two updates at right angles",
    "log_head_interference": "log of the length of the heads' sum over the root of their squares' sum, mean over all",
    "attention_entropy": "of attention from the last token in nats, mean over heads, blocks and prompts",
    "attention_to_first": "share of attention that the last token pays the first, mean over heads, blocks and prompts",
    "held_out_loss": "nats a token",
    "log_largest_gradient": "log of the largest gradient norm of training",
}


def outcomes(folders: Sequence[Path], size: str, when: When = "trained") -> dict[str, Values]:
    """Return every outcome of a size by cell and seed, from the tables of one or several runs.

    Raises:
        TwinsError: a folder has no tables, or no twin of this size.
    """
    blocks, twins, training = (_read(folders, name, size) for name in ("blocks", "twins", "training"))
    found: dict[str, Values] = {name: {} for name in OUTCOMES}
    for (cell, seed), rows in _by_twin(blocks).items():
        steps = rows["step"]
        at = steps == (steps.max() if when == "trained" else 0)
        for name, value in _of_blocks({column: values[at] for column, values in rows.items()}).items():
            found[name].setdefault(cell, {})[seed] = value
    for (cell, seed), rows in _by_twin(twins).items():
        value = rows["last_held_out"][rows["step"].argmax()] if when == "trained" else rows["held_out"][0]
        found["held_out_loss"].setdefault(cell, {})[seed] = float(value)
    if when == "trained":
        for (cell, seed), rows in _by_twin(training).items():
            found["log_largest_gradient"].setdefault(cell, {})[seed] = float(np.log(rows["norm"].max()))
    return found


def outcomes_of(measured: np.ndarray) -> dict[str, float]:
    """Return the outcomes that are read off a twin's blocks, from `snapshot.measure`'s (prompts, blocks, columns)."""
    prompts, blocks, _ = measured.shape
    rows = {name: measured[..., i].astype(np.float32).ravel() for i, name in enumerate(COLUMNS)}
    return _of_blocks({**rows, "layer": np.tile(np.arange(1, blocks + 1), prompts)})


def _of_blocks(rows: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return the outcomes that are read off a twin's blocks."""
    layer = rows["layer"]
    last, first = layer == layer.max(), layer == 1
    wide = {name: values.astype(np.float64) for name, values in rows.items() if values.dtype == np.float32}
    end = {name: values[last] for name, values in wide.items()}
    squared = end["input"] ** 2 + end["attention"] ** 2 + end["mlp"] ** 2
    without = np.sqrt(squared + 2 * (end["input_attention"] + end["input_mlp"]))
    return {
        "log_last_gain": _mean_log(end["output"], end["input"]),
        "log_last_gain_centred": _mean_log(end["output_centred"], end["input_centred"]),
        "log_total_amplification": _mean_log(end["output"], wide["output"][first]),
        "cos_attention_mlp": float((wide["attention_mlp"] / (wide["attention"] * wide["mlp"])).mean()),
        "log_gain_without_opposition": _mean_log(without, end["input"]),
        "log_head_interference": _mean_log(wide["heads"], np.sqrt(wide["heads_squared"])),
        "attention_entropy": float(wide["entropy"].mean()),
        "attention_to_first": float(wide["first"].mean()),
    }


def _mean_log(above: np.ndarray, below: np.ndarray) -> float:
    return float(np.log(above / below).mean())


def experiment_table(folders: Sequence[Path], sizes: Sequence[str]) -> list[dict[str, str]]:
    """Return the rows of the table that claims are judged on: every twin of some sizes, trained and at its start.

    Raises:
        TwinsError: a folder has no tables, or no twin of a size.
    """
    order = {cell.name: number for number, cell in enumerate(CELLS)}
    rows = []
    for size in sizes:
        for when in (START, TRAINED):
            found = outcomes(folders, size, when)  # type: ignore[arg-type]
            twins = sorted(
                {(order[cell], cell, seed) for of in found.values() for cell, seeds in of.items() for seed in seeds}
            )
            for _, cell, seed in twins:
                values = {name: found[name].get(cell, {}).get(seed, math.nan) for name in OUTCOMES}
                told = {name: "" if math.isnan(value) else f"{value:.9g}" for name, value in values.items()}
                rows.append({"size": size, "cell": cell, "seed": str(seed), "when": when, **told})
    return rows


def describe_experiment(made: datetime | None) -> dict[str, Any]:
    """Return what a packaged experiment says of itself: its design, and when its last twin was trained."""
    about = "trained from scratch by this project, alike in all but one factor (docs/twins.md)"
    told: dict[str, Any] = {
        "about": about,
        "made": None if made is None else made.astimezone(UTC).isoformat(),
        "prompts": load_prompts(PROMPTS).hash,
        "sizes": list(PUBLISHED),
        "cells": [cell.name for cell in CELLS],
        "outcomes": list(OUTCOMES),
    }
    return told


def made_at(folders: Sequence[Path]) -> datetime | None:
    """Return when the last twin of some runs was trained; None if there is none."""
    moments = [
        datetime.fromisoformat(text)
        for folder in folders
        for text in pq.read_table(folder / "twins.parquet", columns=["made"])["made"].unique().to_pylist()
    ]
    return max(moments, default=None)


def write_experiment(folder: Path, rows: Sequence[Mapping[str, str]], made: datetime | None) -> None:
    """Write `twins.json`, and `twins.csv` if there is any row, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(describe_experiment(made), indent=1) + "\n"
    (folder / "twins.json").write_text(text, encoding="utf-8")
    if rows:
        with (folder / "twins.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def _read(folders: Sequence[Path], name: str, size: str) -> pa.Table:
    tables = []
    for folder in folders:
        path = folder / f"{name}.parquet"
        if not path.is_file():
            raise TwinsError(
                f"{folder}: no {name}.parquet; name a folder that `python -m refutable.twins train` wrote to"
            )
        tables.append(pq.read_table(path, filters=[("size", "=", size)]))
    table = pa.concat_tables(tables).unify_dictionaries()
    if not table.num_rows:
        raise TwinsError(f"no twin of size {size} in {', '.join(map(str, folders))}")
    return table


def _by_twin(table: pa.Table) -> dict[tuple[str, int], dict[str, np.ndarray]]:
    """Return a table's columns for each cell and seed."""
    columns: dict[str, Any] = {
        name: np.array(table[name].to_pylist()) if pa.types.is_dictionary(table[name].type) else table[name].to_numpy()
        for name in table.column_names
    }
    names, seeds = columns.pop("cell"), columns.pop("seed")
    columns.pop("size")
    found = {}
    for cell, seed in sorted(set(zip(names.tolist(), seeds.tolist(), strict=True))):
        at = (names == cell) & (seeds == seed)
        found[cell, int(seed)] = {name: values[at] for name, values in columns.items()}
    return found
