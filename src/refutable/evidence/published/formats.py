"""Reads the rows of a CSV, JSON, JSON lines or Parquet file, by its ending."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refutable._util.atomic import unmarked
from refutable._util.reading import MEGABYTE, parse_json, read_bytes, read_text
from refutable.errors import BadInput, did_you_mean

MAX_BYTES = 512 * MEGABYTE
ROUNDING = 1e-5  # how far a published value may lie outside its metric's range: a cosine of 1.0000001


@dataclass(frozen=True, slots=True)
class TableRecord:
    """One row: its cells by column, and its place in the file in words."""

    cells: Mapping[str, object]
    where: str


@dataclass(frozen=True, slots=True)
class TableRecords:
    """The rows of a table and every column that any of them has."""

    columns: tuple[str, ...]
    rows: tuple[TableRecord, ...]


def read_records(path: Path, under: str | None = None) -> TableRecords:
    """Read the rows of a table.

    Args:
        path: a file that ends in .json, .jsonl, .ndjson or .parquet; anything else is read as CSV.
        under: JSON only: the key, or keys joined by dots, that holds the records.

    Raises:
        BadInput: it is missing, too large, or not in its format.
    """
    if path.is_dir():
        found = [one.name for one in sorted(path.iterdir()) if one.suffix.lower() in (".csv", ".json", *_FORMATS)]
        held = f" (it holds {', '.join(found[:5])})" if found else ""
        raise BadInput(f"--measurements {path}: a folder; name the table in it{held}")
    kind = path.suffix.lower()
    if under is not None and kind != ".json":
        raise BadInput(f"--measurements-map: `records: {under}` is for JSON; {path.name} is not; remove it")
    if kind == ".json":
        return _json(path, under)
    return _FORMATS.get(kind, _csv)(path)


def is_empty(cell: object) -> bool:
    """Whether a cell is empty: it was not measured, which is never zero."""
    return cell is None or (isinstance(cell, str) and not cell.strip())


def number_in(row: TableRecord, column: str, cell: object = None) -> float:
    """Return the finite number in a cell, or in one item of its list; raises BadInput if there is none.

    A text that ends in % is a hundredth of what it says.
    """
    cell = row.cells.get(column) if cell is None else cell
    if is_empty(cell):
        raise BadInput(f"{row.where}: {column} is empty; leave such rows out: what is missing is no number")
    if isinstance(cell, list):
        raise BadInput(f"{row.where}: {column} is a list; say `list: prompts` or `list: layers` of it in the mapping")
    try:
        if isinstance(cell, bool) or not isinstance(cell, str | int | float) or "_" in str(cell):
            raise ValueError(cell)
        value = float(_decimal(cell)) if isinstance(cell, str) and "%" in cell else float(cell)
    except (ValueError, InvalidOperation):
        raise BadInput(f"{row.where}: {column} is {cell!r}, not a number") from None
    if not math.isfinite(value):
        raise BadInput(f"{row.where}: {column} is {value}; leave such rows out")
    return value


def printed_in(row: TableRecord, column: str) -> tuple[float, float]:
    """Return the least and the largest number that is printed as a cell's text.

    They lie half a unit of its last digit around it, and the upper end is printed otherwise: 0.80 is printed for
    [0.795, 0.805), and 97% for [0.965, 0.975).

    Raises:
        BadInput: the cell is not a number, or no text, which does not tell how many digits were printed.
    """
    number_in(row, column)
    cell = row.cells[column]
    if not isinstance(cell, str):
        raise BadInput(f"{row.where}: {column} is {cell!r}, and only text tells how many digits were printed: quote it")
    printed = _decimal(cell)
    exponent = printed.as_tuple().exponent
    assert isinstance(exponent, int)
    half = Decimal(5).scaleb(exponent - 1)
    return float(printed - half), math.nextafter(float(printed + half), -math.inf)


def _decimal(text: str) -> Decimal:
    number = text.strip()
    return Decimal(number.removesuffix("%").strip()).scaleb(-2 if number.endswith("%") else 0)


def list_in(row: TableRecord, column: str) -> NDArray[np.float64]:
    """Return the numbers of a cell that is a list, shape (items,); raises BadInput if it is not."""
    cell = row.cells.get(column)
    if not isinstance(cell, list) or not cell:
        raise BadInput(f"{row.where}: {column} is {str(cell)[:40]!r}, not a list of numbers")
    return np.array([number_in(row, column, "" if value is None else value) for value in cell])


def outside(row: TableRecord, column: str, metric: str, low: float, high: float) -> str:
    """Return the problem if a number in a cell, or in one item of its list, is impossible for the metric, else "".

    Cells that are empty, not numbers or not finite were not measured and are skipped.
    """
    cell = row.cells.get(column)
    for item in cell if isinstance(cell, list) else [cell]:
        try:
            value = number_in(row, column, "" if item is None else item)
        except BadInput:
            continue
        if not low - ROUNDING <= value <= high + ROUNDING:
            allowed = f"lies in [{low:g}, {high:g}]" if math.isfinite(high) else f"is at least {low:g}"
            return f"{row.where}: {column} is {value:.6g}; {metric} {allowed}"
    return ""


def _csv(path: Path) -> TableRecords:
    try:
        reader = csv.DictReader(io.StringIO(_text(path), newline=""))
        twice = [name for name, count in Counter(reader.fieldnames or ()).items() if count > 1]
        if twice:
            raise BadInput(f"{path.name}:1: two columns are called {twice[0]!r}; rename one or take it out")
        rows = [TableRecord(_unmarked(cells), f"{path.name}:{reader.line_num}") for cells in reader]
        return TableRecords(tuple(reader.fieldnames or ()), tuple(rows))
    except csv.Error as error:
        raise BadInput(f"--measurements {path}: not a CSV file ({error})") from None


def _unmarked(cells: Mapping[str, Any]) -> dict[str, Any]:
    return {name: unmarked(cell) if isinstance(cell, str) else cell for name, cell in cells.items()}


def _json_lines(path: Path) -> TableRecords:
    rows = []
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if line.strip():
            rows.append(_record(parse_json(line, f"{path.name}:{number}"), f"{path.name}:{number}"))
    return _records(rows)


def _json(path: Path, under: str | None) -> TableRecords:
    data = parse_json(_text(path), f"--measurements {path}")
    for key in under.split(".") if under else ():
        if not isinstance(data, dict) or key not in data:
            known = list(data) if isinstance(data, dict) else []
            held = f"it holds {', '.join(known)}" if known else "it holds no keys"
            raise BadInput(f"{path}: no key {key!r} of `records: {under}`; {held}.{did_you_mean(key, known)}")
        data = data[key]
    if isinstance(data, dict):
        data = _of_columns(path, data)
    if not isinstance(data, list):
        raise BadInput(f"--measurements {path}: must be a list of records, or columns with a list each")
    return _records([_record(row, f"{path.name}: record {number}") for number, row in enumerate(data, start=1)])


def _of_columns(path: Path, data: Mapping[str, Any]) -> list[dict[str, Any]]:
    lengths = {name: len(cells) for name, cells in data.items() if isinstance(cells, list)}
    if len(lengths) == len(data) and len(set(lengths.values())) == 1:
        return [dict(zip(data, cells, strict=True)) for cells in zip(*data.values(), strict=True)]
    inside = [name for name, cells in data.items() if isinstance(cells, list) and cells and isinstance(cells[0], dict)]
    hint = ""
    if inside:
        hint = f"; the records seem to stand under {inside[0]!r}: say `records: {inside[0]}` in a --measurements-map"
    raise BadInput(
        f"--measurements {path}: its keys ({', '.join(list(data)[:6])}) are not columns with a list of the same length"
        f" each{hint}"
    )


def _parquet(path: Path) -> TableRecords:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(read_bytes(path, f"--measurements {path}", most=MAX_BYTES)))
        cells = table.to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadInput(f"--measurements {path}: not a Parquet file ({str(error).splitlines()[0]})") from None
    rows = (TableRecord(row, f"{path.name}: row {number}") for number, row in enumerate(cells, start=1))
    return TableRecords(tuple(table.column_names), tuple(rows))


_FORMATS: Mapping[str, Callable[[Path], TableRecords]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
}


def _text(path: Path) -> str:
    absent = "give a CSV with the columns of reports/measurements.csv"
    return read_text(path, f"--measurements {path}", most=MAX_BYTES, absent=absent)


def _record(row: object, where: str) -> TableRecord:
    if not isinstance(row, dict):
        raise BadInput(f"{where} must be an object of column: value (got {str(row)[:60]!r})")
    return TableRecord(row, where)


def _records(rows: list[TableRecord]) -> TableRecords:
    return TableRecords(tuple(dict.fromkeys(name for row in rows for name in row.cells)), tuple(rows))
