"""measurements, layers and categories: the numbers behind the verdicts, as CSV and as Parquet.

``measurements`` has one row per prompt and pass, ``layers`` one per prompt, layer and pass (last token),
``categories`` the mean and standard deviation of last gain and output entropy by prompt category. docs/reports.md
names the columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from refutable._util.atomic import write_csv_columns, write_whole
from refutable.errors import RefutableError
from refutable.evidence.published.read import COLUMNS
from refutable.evidence.roles import is_plain, roles_of
from refutable.metrics import METRICS, Per, evaluate
from refutable.models.registry import load_registry
from refutable.reports.formats import REPORTS, Report
from refutable.reports.journal import RunResult
from refutable.traces.passes import PASSES, made_of
from refutable.traces.store import Store
from refutable.traces.trace import Trace

Meta = Mapping[str, Any]
Line = Mapping[str, object]

_ARCHITECTURE = {"parallel": "Parallel", "sequential": "Sequential"}
PROVENANCE = {  # from keys of a trace's meta
    "Dtype": "dtype",
    "Device": "device",
    "Revision": "revision",
    "Weights_Kind": "weights_kind",
    "Weights_Detail": "weights_detail",
    "Tokens_From": "tokens",
    "Prompt_Set": "prompt_set",
}
NOTEBOOK_COLUMNS = (  # those of the research group's own notebooks, in their order: never changed
    *("Model", "Architecture", "Norm_Type", "Params", "Role", "Category", "Complexity", "Prompt", "Prompt_Short"),
    *("Entropy", "Last_Gain", "Total_Amp", "Top_Token", "Top_Prob", "N_Layers"),
)
LAYER_COLUMNS = ("Model", "Role", "Category", "Prompt", "Layer", "Pass")
CATEGORY_COLUMNS = (
    *("Model", "Role", "Category", "N", "last_gain_mean", "output_entropy_mean", "last_gain_sd", "output_entropy_sd"),
)
INTEGERS = frozenset(("Params", "Complexity", "N_Layers", "Tokens", "Layer", "N"))
TEXT = frozenset(
    ("Model", "Architecture", "Norm_Type", "Role", "Category", "Prompt", "Prompt_Short", "Top_Token", "Pass", "Trace")
) | frozenset(PROVENANCE)


def write(run: RunResult, store: Store, folder: Path) -> None:
    """Write the three tables for every trace of a model as it is that the run read and the store still has."""
    keys = dict.fromkeys(key for row in run.rows for key in row.traces)
    stored = (store.get(key) for key in keys)
    traces = [trace for trace in stored if trace is not None and is_plain(trace.meta)]
    traces.sort(key=_order)
    roles = roles_of(run.rows, {trace.key: trace.meta for trace in traces})
    described = {row.name: row.described for row in load_registry()}
    of_prompts = [name for name in _metrics("prompt") if name not in COLUMNS]
    for name, columns, lines_of in (
        (
            "measurements",
            (*NOTEBOOK_COLUMNS, "Last_Gain_Centred", "Tokens", "Pass", *of_prompts),
            partial(_prompts, described, of_prompts),
        ),
        ("layers", (*LAYER_COLUMNS, *_metrics("layer")), _layers),
        ("categories", CATEGORY_COLUMNS, _categories),
    ):
        lines = [{**line, **_provenance(trace, roles)} for trace in traces for line in lines_of(trace)]
        _write(folder / name, (*columns, *PROVENANCE, "Trace"), lines)


REPORTS.add(Report("measurements.csv", write))


def _write(path: Path, columns: Sequence[str], lines: Sequence[Line]) -> None:
    """Write a table twice, with the same columns and exactly the same numbers."""
    cells = {name: [line.get(name) for line in lines] for name in columns}
    write_csv_columns(path.with_suffix(".csv"), cells)
    table = pa.table({name: _column(name, column) for name, column in cells.items()})
    file = pa.BufferOutputStream()
    pq.write_table(table, file, compression="zstd")
    write_whole(path.with_suffix(".parquet"), file.getvalue().to_pybytes())


def _column(name: str, cells: Sequence[object]) -> pa.Array:
    if name in TEXT:
        return pa.array([None if cell is None else str(cell) for cell in cells], pa.string())
    return pa.array(cells, pa.int64() if name in INTEGERS else pa.float64())


def _order(trace: Trace) -> tuple[object, ...]:
    meta = trace.meta
    return meta["model"], meta["weights_kind"], meta["dtype"], meta["pass"] != "forward", _pass(meta), trace.key


def _pass(meta: Meta) -> str:
    return made_of(meta["pass"], meta.get("blocks", "all"))


def _metrics(per: Per, read_from: str | None = None) -> list[str]:
    """Return the metrics of one value a prompt or a layer, of one pass or of any, that a model as it is has."""
    found = (name for name in METRICS if METRICS[name].per == per and not PASSES[METRICS[name].reads].compares)
    return [name for name in found if read_from in (None, METRICS[name].reads)]


def _prompts(described: Mapping[str, Mapping[str, object]], metrics: Iterable[str], trace: Trace) -> Iterator[Line]:
    meta, is_forward = trace.meta, trace.meta["pass"] == "forward"
    facts = meta.get("described") or described.get(meta["model"], {})
    wiring = _ARCHITECTURE.get(str(facts.get("wiring")))
    read = set(_metrics("prompt", meta["pass"]))
    if not read:
        return
    values = {name: _numbers(_values(name, trace)) for name in read}
    centred = _numbers(_values("last_gain", trace, norm="centred") if is_forward else np.full(len(trace), np.nan))
    for index, prompt in enumerate(trace.prompts.to_pylist()):
        found = {name: column[index] for name, column in values.items()}
        yield {
            "Model": meta["title"],
            "Architecture": f"{meta['family']} ({wiring})" if wiring else meta["family"],
            "Norm_Type": facts.get("norm"),
            "Params": facts.get("parameters"),
            "Category": prompt["category"],
            "Complexity": prompt["complexity"],
            "Prompt": prompt["text"],
            "Prompt_Short": f"{prompt['text'][:40]}...",
            "Entropy": found.get("output_entropy"),
            "Last_Gain": found.get("last_gain"),
            "Total_Amp": found.get("total_amplification"),
            "Top_Token": prompt["top_token"] if is_forward else None,
            "Top_Prob": found.get("top_probability"),
            "N_Layers": meta["layers"],
            "Last_Gain_Centred": centred[index],
            "Tokens": prompt["tokens"],
            "Pass": _pass(meta),
            **{name: found.get(name) for name in metrics},
        }


def _layers(trace: Trace) -> Iterator[Line]:
    values = {name: _numbers(_of_layers(name, trace)) for name in _metrics("layer", trace.meta["pass"])}
    if not values:
        return
    made = _pass(trace.meta)
    for index, prompt in enumerate(trace.prompts.to_pylist()):
        for layer in range(trace.meta["layers"]):
            yield {
                "Model": trace.meta["title"],
                "Category": prompt["category"],
                "Prompt": prompt["text"],
                "Layer": layer + 1,
                "Pass": made,
                **{name: table[index][layer] for name, table in values.items()},
            }


def _of_layers(name: str, trace: Trace) -> NDArray[np.float64]:
    """Return a metric's values, shape (prompts, layers), with NaN in the layers that have none."""
    whole = _values(name, trace)
    if whole.ndim == 2:
        return whole
    return np.stack([_values(name, trace, layer=number) for number in range(1, trace.meta["layers"] + 1)], axis=1)


def _categories(trace: Trace) -> Iterator[Line]:
    if trace.meta["pass"] != "forward":
        return
    categories = np.array(trace.prompts["category"].to_pylist())
    values = {name: _values(name, trace) for name in ("last_gain", "output_entropy")}
    for category in dict.fromkeys(categories.tolist()):
        chosen = {name: column[categories == category] for name, column in values.items()}
        yield {
            "Model": trace.meta["title"],
            "Category": category,
            "N": int((categories == category).sum()),
            **{f"{name}_mean": _number(column.mean()) for name, column in chosen.items()},
            **{
                f"{name}_sd": _number(column.std(ddof=1)) if len(column) > 1 else None
                for name, column in chosen.items()
            },
        }


def _values(
    name: str, trace: Trace, norm: Literal["raw", "centred"] = "raw", layer: int | None = None
) -> NDArray[np.float64]:
    """Return a metric's values, or NaN for every prompt if this architecture, pass or layer has none."""
    try:
        return evaluate(name, trace, norm=norm, layer=layer).values
    except RefutableError:
        return np.full(len(trace), np.nan)


def _numbers(values: NDArray[np.float64]) -> list[Any]:
    """Return numbers for the table, nested as the array is; what was not measured is missing, never zero."""
    cells = values.astype(object)
    cells[~np.isfinite(values)] = None
    found: list[Any] = cells.tolist()
    return found


def _provenance(trace: Trace, roles: Mapping[str, str]) -> dict[str, object]:
    values = {column: trace.meta[key] for column, key in PROVENANCE.items()}
    return {**values, "Revision": trace.meta["revision"] or None, "Role": roles[trace.key], "Trace": trace.key}


def _number(value: float | None) -> float | None:
    """Return a number for the table; what was not measured is missing, never zero."""
    return None if value is None or not np.isfinite(value) else float(value)
