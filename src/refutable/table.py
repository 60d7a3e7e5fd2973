"""Numbers that somebody published, in the columns of the notebook or of measurements.csv, judged as they are."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from refutable.errors import BadInput, NotMeasured
from refutable.models import Registry
from refutable.sample import Sample
from refutable.statistics import STATISTICS

if TYPE_CHECKING:
    from refutable.claims import MeasuredTest

COLUMNS = {
    "last_gain": "Last_Gain",
    "total_amplification": "Total_Amp",
    "output_entropy": "Entropy",
    "top_probability": "Top_Prob",
    "prompt_length": "Tokens",
}
ORIGINS = ("Weights_Kind", "Weights_Detail", "Revision", "Dtype", "Device", "Prompt_Set", "Trace")
MAX_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Table:
    """Published per-prompt measurements.

    Attributes:
        name: of the file, without its folder.
        rows: the rows of each model, by its name in the registry.
    """

    name: str
    rows: Mapping[str, tuple[Mapping[str, str], ...]]

    def sample(self, metric: str, model: str, test: MeasuredTest, prompts: str) -> Sample:
        """Return a metric of a model, one value a row of the table.

        Raises:
            NotMeasured: the table has no such model, or no such metric.
            BadInput: a value is no number.
        """
        if model not in self.rows:
            raise NotMeasured(f"{self.name} has no rows of {model}; it has {', '.join(self.rows)}")
        column = COLUMNS.get(metric)
        rows = self.rows[model]
        if column is None or column not in rows[0]:
            raise NotMeasured(f"{self.name} has no column for {metric}; it holds {', '.join(self._metrics(rows[0]))}")
        prompt_set = rows[0].get("Prompt_Set")
        if prompt_set and prompt_set != prompts:
            raise NotMeasured(f"{self.name} holds {model} on the prompts {prompt_set!r}, not on {prompts!r}")
        if STATISTICS[test.statistic].needs_parts:
            raise NotMeasured(f"{self.name} holds ratios, not the lengths that {test.statistic} divides")
        if test.position != "last" or test.norm != "raw":
            raise NotMeasured(f"{self.name} holds raw norms at the last token, not {test.norm} at {test.position}")
        values = np.array([self._number(row, column, model, index) for index, row in enumerate(rows)])
        return Sample(metric, values, "prompt", tuple(row.get("Category", "") for row in rows))

    def _metrics(self, row: Mapping[str, str]) -> list[str]:
        return [metric for metric, column in COLUMNS.items() if column in row]

    def _number(self, row: Mapping[str, str], column: str, model: str, index: int) -> float:
        try:
            value = float(row[column])
        except (TypeError, ValueError):
            raise BadInput(
                f"{self.name}: row {index + 1} of {model}: {column} is {row[column]!r}, not a number"
            ) from None
        if not np.isfinite(value):
            raise BadInput(f"{self.name}: row {index + 1} of {model}: {column} is {value}; leave such rows out")
        return value


def read_table(path: Path, registry: Registry) -> Table:
    """Read a CSV file of published measurements.

    Args:
        path: CSV with a header that has `Model` and at least one of the columns of `COLUMNS`.
        registry: to know which model a row means, by name, title or alias.

    Raises:
        BadInput: the file is missing or has not that form.
    """
    if not path.is_file():
        raise BadInput(f"--measurements {path}: no such file; give a CSV with the columns of reports/measurements.csv")
    if path.stat().st_size > MAX_BYTES:
        raise BadInput(f"--measurements {path}: larger than {MAX_BYTES} bytes; split it")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            header = reader.fieldnames or []
            records = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"--measurements {path}: not a CSV file in UTF-8 ({error})") from None
    if "Model" not in header or not set(header) & set(COLUMNS.values()):
        raise BadInput(
            f"--measurements {path}: its header must name Model and at least one of {', '.join(COLUMNS.values())};"
            f" found {', '.join(header) or 'nothing'}"
        )
    rows: dict[str, list[Mapping[str, str]]] = {}
    for line, record in enumerate(records, start=2):
        if record.get("Role") == "Control":
            continue  # drawn weights beside the subject's own, in this project's tables
        row = registry.named(record["Model"] or "")
        if row is None:
            raise BadInput(
                f"{path}:{line} Model {record['Model']!r} is not in the registry; add it as an alias of its row"
            )
        rows.setdefault(row.name, []).append(record)
    if not rows:
        raise BadInput(f"--measurements {path}: has a header and no rows")
    problems = [problem for name, found in rows.items() for problem in _not_replicates(path, name, found)]
    if problems:
        raise BadInput("\n".join(problems))
    return Table(path.name, {name: tuple(found) for name, found in rows.items()})


def _not_replicates(path: Path, model: str, rows: list[Mapping[str, str]]) -> list[str]:
    """Return why rows of one model may not be taken for replicates of one another: of other weights, or repeated."""
    problems = []
    for column in ORIGINS:
        values = sorted({row.get(column) or "" for row in rows})
        if len(values) > 1:
            problems.append(
                f"--measurements {path}: the rows of {model} differ in {column} ({', '.join(values[:3])}): they are no"
                " replicates of one another; keep those of one"
            )
    prompts = [row["Prompt"] for row in rows if row.get("Prompt")]
    repeated = next((prompt for prompt in prompts if prompts.count(prompt) > 1), None)
    if repeated is not None and not problems:
        problems.append(
            f"--measurements {path}: {model} has the prompt {repeated!r} more than once; keep one row a prompt"
        )
    return problems
