"""measurements.csv, layers.csv and categories.csv: the numbers behind the verdicts.

``measurements.csv`` has one row per prompt, ``layers.csv`` one per prompt and layer (last token), ``categories.csv``
the mean and standard deviation of last gain and output entropy by prompt category. docs/reports.md names the columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from refutable._util.atomic import write_csv
from refutable.errors import RefutableError
from refutable.metrics import METRICS, evaluate
from refutable.models.registry import ModelRow, load_registry
from refutable.reports.formats import REPORTS, Report
from refutable.reports.journal import RunResult
from refutable.traces.store import Store
from refutable.traces.trace import Trace

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
LAYER_METRICS = tuple(name for name in METRICS if METRICS[name].per == "layer" and METRICS[name].reads == "forward")
NOTEBOOK_COLUMNS = (  # those of the research group's own notebooks, in their order: never changed
    *("Model", "Architecture", "Norm_Type", "Params", "Role", "Category", "Complexity", "Prompt", "Prompt_Short"),
    *("Entropy", "Last_Gain", "Total_Amp", "Top_Token", "Top_Prob", "N_Layers"),
)
PROMPT_COLUMNS = (  # a new column goes here and into `_prompts`
    *NOTEBOOK_COLUMNS,
    "Last_Gain_Centred",
    "Tokens",
)
LAYER_COLUMNS = ("Model", "Prompt", "Layer", *LAYER_METRICS)
CATEGORY_COLUMNS = (
    *("Model", "Category", "N", "last_gain_mean", "output_entropy_mean", "last_gain_sd", "output_entropy_sd"),
)


def write(run: RunResult, store: Store, folder: Path) -> None:
    """Write the three tables for every plain forward trace that the run read and the store still has."""
    keys = dict.fromkeys(key for row in run.rows for key in row.traces)
    stored = (store.get(key) for key in keys)
    traces = [trace for trace in stored if trace is not None and _is_plain(trace)]
    traces.sort(key=lambda trace: (trace.meta["model"], trace.meta["weights_kind"], trace.meta["dtype"], trace.key))
    models = {row.name: row for row in load_registry()}
    for name, columns, lines_of in (
        ("measurements.csv", PROMPT_COLUMNS, partial(_prompts, models)),
        ("layers.csv", LAYER_COLUMNS, _layers),
        ("categories.csv", CATEGORY_COLUMNS, _categories),
    ):
        lines = ({**line, **_provenance(trace)} for trace in traces for line in lines_of(trace))
        write_csv(folder / name, (*columns, *PROVENANCE, "Trace"), lines)


REPORTS.add(Report("measurements.csv", write))


def _is_plain(trace: Trace) -> bool:
    return trace.meta["pass"] == "forward" and "intervention" not in trace.meta


def _prompts(models: Mapping[str, ModelRow], trace: Trace) -> Iterator[Mapping[str, object]]:
    row = models.get(trace.meta["model"])
    columns = {name: _values(name, trace) for name in ("last_gain", "total_amplification")}
    centred = _values("last_gain", trace, norm="centred")
    for index, prompt in enumerate(trace.prompts.to_pylist()):
        yield {
            "Model": trace.meta["title"],
            "Architecture": f"{trace.meta['family']} ({_ARCHITECTURE[str(row.fact('wiring'))]})"
            if row
            else trace.meta["family"],
            "Norm_Type": row.fact("norm") if row else "",
            "Params": row.parameters if row else "",
            "Role": "Control" if trace.meta["weights_kind"] == "initialisation" else "Subject",
            "Category": prompt["category"],
            "Complexity": "" if prompt["complexity"] is None else prompt["complexity"],
            "Prompt": prompt["text"],
            "Prompt_Short": f"{prompt['text'][:40]}...",
            "Entropy": _number(prompt["output_entropy"]),
            "Last_Gain": _number(columns["last_gain"][index]),
            "Total_Amp": _number(columns["total_amplification"][index]),
            "Top_Token": prompt["top_token"],
            "Top_Prob": _number(prompt["top_probability"]),
            "N_Layers": trace.meta["layers"],
            "Last_Gain_Centred": _number(centred[index]),
            "Tokens": prompt["tokens"],
        }


def _layers(trace: Trace) -> Iterator[Mapping[str, object]]:
    values = {name: _values(name, trace) for name in LAYER_METRICS}
    for index, prompt in enumerate(trace.prompts.to_pylist()):
        for layer in range(trace.meta["layers"]):
            yield {
                "Model": trace.meta["title"],
                "Prompt": prompt["text"],
                "Layer": layer + 1,
                **{name: _number(table[index, layer] if table.ndim == 2 else np.nan) for name, table in values.items()},
            }


def _categories(trace: Trace) -> Iterator[Mapping[str, object]]:
    categories = np.array(trace.prompts["category"].to_pylist())
    values = {name: _values(name, trace) for name in ("last_gain", "output_entropy")}
    for category in dict.fromkeys(categories.tolist()):
        chosen = {name: column[categories == category] for name, column in values.items()}
        yield {
            "Model": trace.meta["title"],
            "Category": category,
            "N": int((categories == category).sum()),
            **{f"{name}_mean": _number(column.mean()) for name, column in chosen.items()},
            **{f"{name}_sd": _number(column.std(ddof=1)) if len(column) > 1 else "" for name, column in chosen.items()},
        }


def _values(name: str, trace: Trace, norm: Literal["raw", "centred"] = "raw") -> NDArray[np.float64]:
    """Return a metric's values, or NaN for every prompt if this architecture or this pass has none."""
    try:
        return evaluate(name, trace, norm=norm).values
    except RefutableError:
        return np.full(len(trace), np.nan)


def _provenance(trace: Trace) -> dict[str, object]:
    values = {column: trace.meta[key] for column, key in PROVENANCE.items()}
    return {**values, "Revision": trace.meta["revision"] or "", "Trace": trace.key}


def _number(value: float | None) -> str:
    """Return a number for the table; what was not measured is an empty cell, never zero."""
    return "" if value is None or not np.isfinite(value) else repr(float(value))
