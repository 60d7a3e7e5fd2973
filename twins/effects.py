"""Compares cells, with the training seed as unit: one number a seed, a t bound and flipped signs over seeds.

Every comparison is a linear contrast of an outcome over cells: a difference of two, a difference of differences, a
slope over the levels of a factor. A seed's twins begin with the same numbers and read the same text, so the contrast is
taken within a seed, and its mean over seeds has the bounds of `refutable.statistics.student.fit_values`. A prediction
is SUPPORTED or REFUTED as everywhere in this project: one-sided bounds at alpha each way; inside a band by two
one-sided tests, outside it if the 1 - alpha interval misses it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from refutable.errors import Undecidable
from refutable.statistics.region import Region, parse_region
from refutable.statistics.student import TFit, fit_values
from twins.errors import TwinsError

ALPHA = 0.05
Decision = Literal["SUPPORTED", "REFUTED", "INCONCLUSIVE"]
When = Literal["trained", "step 0"]
Values = dict[str, dict[int, float]]  # of an outcome, by cell and seed

OUTCOMES: dict[str, str] = {
    "last_gain": "log of the last block's gain, mean over prompts",
    "last_gain_centred": "the same of the stream less its mean over the width",
    "total_amplification": "log of the last block's output over the first's",
    "cos_attention_mlp": "cosine of attention's and the MLP's update, mean over prompts and blocks",
    "gain_without_opposition": "log of the last gain, were the two updates at right angles",
    "head_interference": "log of the length of the heads' sum over the root of their squares' sum, mean over all",
    "held_out_loss": "nats a token",
    "largest_gradient": "log of the largest gradient norm of training",
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
            found["largest_gradient"].setdefault(cell, {})[seed] = float(np.log(rows["norm"].max()))
    return found


def _of_blocks(rows: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return the outcomes that are read off a twin's blocks."""
    layer = rows["layer"]
    last, first = layer == layer.max(), layer == 1
    wide = {name: values.astype(np.float64) for name, values in rows.items() if values.dtype == np.float32}
    end = {name: values[last] for name, values in wide.items()}
    squared = end["input"] ** 2 + end["attention"] ** 2 + end["mlp"] ** 2
    without = np.sqrt(squared + 2 * (end["input_attention"] + end["input_mlp"]))
    return {
        "last_gain": _mean_log(end["output"], end["input"]),
        "last_gain_centred": _mean_log(end["output_centred"], end["input_centred"]),
        "total_amplification": _mean_log(end["output"], wide["output"][first]),
        "cos_attention_mlp": float((wide["attention_mlp"] / (wide["attention"] * wide["mlp"])).mean()),
        "gain_without_opposition": _mean_log(without, end["input"]),
        "head_interference": _mean_log(wide["heads"], np.sqrt(wide["heads_squared"])),
    }


def _mean_log(above: np.ndarray, below: np.ndarray) -> float:
    return float(np.log(above / below).mean())


def contrast(values: Values, weights: Mapping[str, float]) -> np.ndarray:
    """Return a linear contrast over cells, one value for each seed that all of them have: shape (n,).

    Raises:
        TwinsError: a cell was not trained.
    """
    if missing := [cell for cell in weights if cell not in values]:
        raise TwinsError(f"not trained: {', '.join(missing)}")
    seeds = sorted(set.intersection(*(set(values[cell]) for cell in weights)))
    return np.array([sum(weight * values[cell][seed] for cell, weight in weights.items()) for seed in seeds])


def difference(one: str, other: str) -> dict[str, float]:
    """Return the weights of one cell less another."""
    return {one: 1.0, other: -1.0}


def interaction(both: str, one: str, other: str, neither: str) -> dict[str, float]:
    """Return the weights of a difference of differences."""
    return {both: 1.0, one: -1.0, other: -1.0, neither: 1.0}


def slope(levels: Mapping[str, float]) -> dict[str, float]:
    """Return the weights that give the least-squares slope of the outcome on the cells' levels."""
    x = np.array(list(levels.values()), dtype=np.float64)
    centred = x - x.mean()
    return dict(zip(levels, (centred / (centred**2).sum()).tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Effect:
    """A contrast that was judged.

    Attributes:
        value: its mean over seeds.
        low, high: the two-sided interval at level 1 - `ALPHA`; infinite if the seeds prove nothing at it.
        n: number of seeds.
        decision: against the prediction.
        p: one-sided p-value of the prediction (the larger of two for a band).
        against: one-sided p-value of its opposite.
    """

    value: float
    low: float
    high: float
    n: int
    decision: Decision
    p: float
    against: float


def judge(values: np.ndarray, predicts: str) -> Effect:
    """Judge the mean over seeds of a contrast against a prediction in the claims' grammar.

    Raises:
        TwinsError: there are fewer than two seeds, or they do not differ.
    """
    region = parse_region(predicts)
    try:
        fit = fit_values(values, "seed")
    except Undecidable as error:
        raise TwinsError(str(error)) from None
    p, against = _p_values(fit, region)
    decision: Decision = "SUPPORTED" if p <= ALPHA else "REFUTED" if against <= ALPHA else "INCONCLUSIVE"
    return Effect(fit.value, fit.lower(ALPHA / 2), fit.upper(ALPHA / 2), fit.n, decision, p, against)


def _p_values(fit: TFit, region: Region) -> tuple[float, float]:
    """Return the p-value of the prediction and of its opposite, each one-sided or of two one-sided tests."""
    if region.one_sided:
        above = np.isinf(region.high)
        p, against = fit.p_value(region.threshold, "above"), fit.p_value(region.threshold, "below")
        return (p, against) if above else (against, p)
    inside = max(fit.p_value(region.low, "above"), fit.p_value(region.high, "below"))
    outside = 2 * min(fit.p_value(region.low, "below"), fit.p_value(region.high, "above"))
    return inside, min(1.0, outside)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted by Holm's method, in the order given."""
    order = np.argsort(p_values)
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = largest
    return adjusted


def _read(folders: Sequence[Path], name: str, size: str) -> pa.Table:
    tables = []
    for folder in folders:
        path = folder / f"{name}.parquet"
        if not path.is_file():
            raise TwinsError(f"{folder}: no {name}.parquet; name a folder that `python -m twins train` wrote to")
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
