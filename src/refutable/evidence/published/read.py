"""Reads a table of published measurements and refuses rows that are not replicates of each other."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from refutable.errors import BadInput, did_you_mean
from refutable.evidence.published.column_map import MetricColumn, TableMap, read_map
from refutable.evidence.published.formats import TableRecord, TableRecords, outside, read_records
from refutable.evidence.published.table import Table
from refutable.metrics import METRICS
from refutable.models.registry import ModelRegistry
from refutable.models.training import is_commit
from refutable.prompts.prompt_set import spoken
from refutable.statistics import STATISTICS

COLUMNS = {
    "last_gain": "Last_Gain",
    "total_amplification": "Total_Amp",
    "output_entropy": "Entropy",
    "top_probability": "Top_Prob",
    "prompt_length": "Tokens",
    "prompt_complexity": "Complexity",
}
OWN = {"Weights_Kind", "Trace"}  # columns of this project's tables, where `Role` and `Pass` say what a row is
SHOWN = 10  # out-of-range values named in one message
ORIGINS = ("Weights_Kind", "Weights_Detail", "Revision", "Dtype", "Device", "Trace")


def read_table(path: Path, registry: ModelRegistry, map_file: Path | None = None) -> Table:
    """Read a file of published measurements.

    Args:
        path: CSV, JSON, JSON lines or Parquet with one row per prompt, per prompt and layer, per layer, or per model;
            `Model` and at least one metric, by the names in reports/measurements.csv and layers.csv.
        registry: resolves models by name, title or alias.
        map_file: a mapping in YAML for a table with other columns; if it names metrics, only those are read.

    Raises:
        BadInput: the file is missing or malformed, or holds a value that its metric can never have.
    """
    given = read_map(map_file) if map_file is not None else TableMap()
    records = read_records(path, given.records)
    columns = _metric_columns(path, records, given)
    own = set(records.columns) >= OWN
    rows = _by_model(path, records, registry, given, own=own)
    layered = given.layer in records.columns
    problems = [
        problem
        for name, of in rows.items()
        for replicates in _together(of, own=own)
        for problem in _not_replicates(path, name, replicates, given, layered)
    ]
    problems += _outside(path, rows, columns, given, registry)
    if problems:
        raise BadInput("\n".join(problems))
    layers = {name: int(registry[name].fact("layers")) for name in rows}
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Table(path.name, digest, given, columns, {name: tuple(of) for name, of in rows.items()}, layers, own)


def _metric_columns(path: Path, records: TableRecords, given: TableMap) -> dict[str, MetricColumn]:
    """Return the column of each metric, by the mapping or else by this project's names."""
    header = set(records.columns)
    absent = [column.column for column in given.metrics.values() if column.column not in header]
    if given.only_model is None and given.model not in header:
        absent = [given.model, *absent]
    named = {"prompt", "category", "layer"} & given.model_fields_set
    absent += [column for key in sorted(named) if (column := getattr(given, key)) not in header]
    if (given.metrics or named) and absent:
        found = ", ".join(records.columns) or "nothing"
        raise BadInput(f"--measurements {path}: no column {', '.join(map(repr, absent))}, as mapped; found {found}")
    columns = dict(given.metrics) or {
        name: MetricColumn(column=column)
        for name in METRICS
        for column in (COLUMNS.get(name, name), name)
        if column in header
    }
    if not columns or absent:
        raise BadInput(
            f"--measurements {path}: its header must name Model and at least one of {', '.join(COLUMNS.values())} or a"
            f" metric; found {', '.join(records.columns) or 'nothing'}. A --measurements-map FILE names other columns"
        )
    layered = [name for name, column in columns.items() if METRICS[name].per == "layer"]
    if given.layer not in header:
        bare = [name for name in layered if not _says_which_layer(columns[name])]
        if bare and given.metrics:
            raise BadInput(
                f"--measurements {path}: {bare[0]} has one value a layer: name the column that numbers layers"
                f" (`layer:`), or say `list: layers` or `layer: N` of its column"
            )
        columns = {name: column for name, column in columns.items() if name not in bare}
    else:
        columns = {name: column for name, column in columns.items() if name in layered}
    if not columns:
        raise BadInput(f"--measurements {path}: no metric in it can be read; found {', '.join(records.columns)}")
    return columns


def _says_which_layer(column: MetricColumn) -> bool:
    return column.layer is not None or column.list_of is not None or column.each_layer


def _by_model(
    path: Path, records: TableRecords, registry: ModelRegistry, given: TableMap, *, own: bool
) -> dict[str, list[TableRecord]]:
    rows: dict[str, list[TableRecord]] = {}
    seen: set[str] = set()
    for record in records.rows:
        if None in record.cells:
            raise BadInput(f"{record.where} has more cells than the header; fix the row")
        told = given.only_model or str(record.cells.get(given.model) or "")
        name = given.models.get(told, told)
        if name is None:
            seen.add(told)
            continue
        row = registry.titled(name)
        if row is None and told in given.models:
            raise BadInput(
                f"--measurements-map: `models:` takes {told!r} for {name!r}, which is not in the registry."
                f"{did_you_mean(name, [row.name for row in registry])}"
            )
        if row is None:
            raise BadInput(
                f"{record.where} Model {told!r} is not in the registry; add it as an alias of its row, or name it under"
                " `models:` of a --measurements-map"
            )
        rows.setdefault(row.name, []).append(record)
        seen.add(told)
    if not rows:
        raise BadInput(f"--measurements {path}: has a header and no rows")
    unknown = [told for told in given.models if told not in seen]
    if unknown:
        raise BadInput(
            f"--measurements-map: `models:` names {', '.join(map(repr, unknown))}, of which {path.name} has no row; it"
            f" has {', '.join(sorted(seen))}"
        )
    subjects = {name: _subjects(of, own=own) for name, of in rows.items()}
    return {each: kept for name, of in subjects.items() for each, kept in _by_revision(name, of).items()}


def _by_revision(model: str, rows: list[TableRecord]) -> dict[str, list[TableRecord]]:
    """Return a model's rows by the name of their revision, where the table has several and tells them by branch or tag.

    Commits do not say which checkpoint they are: rows that differ in these are refused as no replicates.
    """
    named = [str(row.cells.get("Revision") or "") for row in rows]
    if "@" in model or len({*named}) < 2 or any(not name or is_commit(name) for name in named):
        return {model: rows}
    found: dict[str, list[TableRecord]] = {}
    for name, row in zip(named, rows, strict=True):
        found.setdefault(f"{model}@{name}", []).append(row)
    return found


def _subjects(rows: list[TableRecord], *, own: bool) -> list[TableRecord]:
    """Return a model's rows without the controls and variations that this project's tables have beside them.

    In other people's tables `Role` is a column like any other. Drawn weights are left out where there are others.
    """
    subjects = [row for row in rows if row.cells.get("Role") == "Subject"] if own else []
    trained = [row for row in rows if row.cells.get("Weights_Kind") != "initialisation"]
    return subjects or trained or rows


def _together(rows: Sequence[TableRecord], *, own: bool) -> list[list[TableRecord]]:
    """Return the rows that are judged together: those on one prompt set and, in this project's tables, of one pass."""
    found: dict[tuple[object, object], list[TableRecord]] = {}
    for row in rows:
        key = row.cells.get("Prompt_Set"), row.cells.get("Pass") if own else None
        found.setdefault(key, []).append(row)
    return [*found.values()]


def _not_replicates(path: Path, model: str, rows: Sequence[TableRecord], given: TableMap, layered: bool) -> list[str]:
    """Return why the rows of one model are not replicates: they are of different weights, or repeated."""
    problems = []
    for column in ORIGINS:
        values = sorted({str(row.cells.get(column) or "") for row in rows})
        if len(values) > 1:
            problems.append(
                f"--measurements {path}: the rows of {model} differ in {column} ({', '.join(values[:3])}): they are no"
                " replicates of one another; keep those of one"
            )
    if problems:
        return problems
    seen: set[tuple[str, str]] = set()
    for row in rows:
        prompt = spoken(str(row.cells.get(given.prompt) or ""))  # another white space is no other prompt
        layer = str(row.cells.get(given.layer)) if layered else ""
        if (prompt, layer) in seen and (prompt or layered):
            what = f"the prompt {prompt!r}" if prompt else "no prompt"
            where = f" at layer {layer}" if layered else ""
            fix = "keep one row a prompt" if prompt else f"name the column of prompts ({given.prompt!r} is not there)"
            return [f"--measurements {path}: {model} has {what}{where} more than once; {fix}"]
        seen.add((prompt, layer))
    return []


def _outside(
    path: Path,
    rows: Mapping[str, list[TableRecord]],
    columns: Mapping[str, MetricColumn],
    given: TableMap,
    registry: ModelRegistry,
) -> list[str]:
    """Return the values that are impossible for their metric, at most the first `SHOWN`."""
    problems = []
    for model, of in rows.items():
        vocabulary = float(registry[model].fact("vocabulary"))
        for name, column in columns.items():
            alone = len(of) == 1 and column.list_of is None  # it may be of a statistic other than the mean
            narrow = METRICS[name].of_vocabulary
            known = METRICS[name].range if narrow is None else narrow(vocabulary)
            low, high = (alone and STATISTICS[given.summary_of(column)].range) or known
            if column.each_layer:
                low, high = 0.0, 1.0
            unit = " (in nats: bits times ln 2)" if METRICS[name].unit == "nats" else ""
            which = name if narrow is None else f"{name}{unit} of {model}, which has {vocabulary:,g} tokens,"
            found = (outside(row, column.column, which, low, high) for row in of)
            problems += [problem for problem in found if problem]
    if not problems:
        return []
    more = [f"{path.name}: {len(problems) - SHOWN} more such values"] if len(problems) > SHOWN else []
    fix = f"--measurements {path}: fix these values, or leave them out; a --measurements-map FILE names other columns"
    return [*problems[:SHOWN], *more, fix]
