"""A table of published measurements as samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from refutable.errors import BadInput, NotMeasured
from refutable.evidence.published.column_map import MetricColumn, TableMap
from refutable.evidence.published.formats import TableRecord, is_empty, list_in, number_in
from refutable.metrics import METRICS, first_token_of, mean_over_layers
from refutable.statistics import STATISTICS
from refutable.statistics.sample import CENSUS, Sample
from refutable.traces.trace import Position

if TYPE_CHECKING:
    from refutable.claims import MeasuredTest

TOKENS: Mapping[Position, str] = {
    "last": "the last token",
    "all": "all tokens but the first",
    "first": "the first token",
    "whole": "the whole prompt as one matrix",
}
SINGLE = {"mean": ("mean", "bounded_mean")}  # the statistics that a single recorded value can be


@dataclass(frozen=True, slots=True)
class Table:
    """Published measurements.

    Attributes:
        name: of the file, without its folder.
        sha256: of the file.
        map: what its columns mean.
        columns: the column of each metric.
        rows: the rows of each model, by its name in the registry.
        layers: number of layers of each of these models, from the registry.
    """

    name: str
    sha256: str
    map: TableMap
    columns: Mapping[str, MetricColumn]
    rows: Mapping[str, tuple[TableRecord, ...]]
    layers: Mapping[str, int]

    @property
    def description(self) -> str:
        """The table's name, its hash, and the note of its mapping."""
        return f"{self.name}, SHA-256 {self.sha256[:12]}" + (f"; {self.map.note}" if self.map.note else "")

    def sample(self, metric: str, model: str, test: MeasuredTest, prompts: str) -> Sample:
        """Return a metric of a model, with values of shape (prompts,) or (prompts, layers).

        A single row without replicates has the unit `CENSUS`.

        Raises:
            NotMeasured: the table has no such model, metric, layer, token or prompt set.
            BadInput: a value is missing or not a number.
        """
        if model not in self.rows:
            raise NotMeasured(f"not in {self.name}, which has rows of {', '.join(self.rows)}")
        column = self.columns.get(metric)
        if column is None:
            raise NotMeasured(f"{self.name} has no column for {metric}; it holds {', '.join(self.columns)}")
        self._check_kind(model, metric, column, test, prompts)
        values, layers, categories = self._values(metric, model, column)
        if layers is not None:
            values = self._picked(values, layers, metric, model, test)
        texts = self._texts(model, len(values))
        if len(values) > 1 or texts:
            if STATISTICS[test.statistic].takes.parts:
                raise NotMeasured(f"{self.name} holds ratios, not the lengths that {test.statistic} divides")
            return Sample(metric, values, "prompt", categories, texts)
        statistic, single = STATISTICS[test.statistic], SINGLE.get(self.map.summary, (self.map.summary,))
        if not statistic.takes.has_census and statistic.name not in single:
            raise NotMeasured(
                f"{self.name} holds one value of {metric} for {model}, its {self.map.summary}: no {statistic.name} can"
                " be had from that"
            )
        return Sample(metric, values, CENSUS)

    def _check_kind(self, model: str, metric: str, column: MetricColumn, test: MeasuredTest, prompts: str) -> None:
        made_on = self.map.prompts or str(self.rows[model][0].cells.get("Prompt_Set") or "")
        if made_on and made_on != prompts:
            raise NotMeasured(f"{self.name} holds {model} on the prompts {made_on!r}, not on {prompts!r}")
        if STATISTICS[test.statistic].takes.parts and test.statistic != self.map.summary:
            raise NotMeasured(f"{self.name} holds ratios, not the lengths that {test.statistic} divides")
        if test.first_token not in (None, first_token_of(METRICS[metric], test.position)):
            raise NotMeasured(
                f"{self.name} holds {TOKENS[column.position]}, not that {test.first_token} the first token"
            )
        if (column.position, column.norm) != (test.position, test.norm):
            held = f"{column.norm} norms of {TOKENS[column.position]}"
            raise NotMeasured(f"{self.name} holds {held}, not {test.norm} of {TOKENS[test.position]}")

    def _values(
        self, metric: str, model: str, column: MetricColumn
    ) -> tuple[NDArray[np.float64], tuple[int, ...] | None, tuple[str, ...]]:
        """Return values of shape (prompts,) or (prompts, layers), those layers' numbers, and the categories."""
        rows = self.rows[model]
        if all(is_empty(row.cells.get(column.column)) for row in rows):
            raise NotMeasured(f"{self.name} has no value of {metric} for {model}: its cells are empty")
        categories = tuple(str(row.cells.get(self.map.category) or "") for row in rows)
        layered = METRICS[metric].per == "layer"
        if column.list_of == "prompts":
            if len(rows) > 1:
                raise BadInput(f"{self.name}: {model} has {len(rows)} rows with a list of prompts each; keep one")
            values = list_in(rows[0], column.column)
            return (values[:, None], (column.layer,), ()) if layered and column.layer else (values, None, ())
        if column.list_of == "layers":
            lists = [list_in(row, column.column) for row in rows]
            if len({len(one) for one in lists}) > 1:
                raise BadInput(f"{self.name}: the lists of {column.column} of {model} differ in length: whose layers?")
            return np.stack(lists), tuple(range(1, len(lists[0]) + 1)), categories
        if not layered:
            return np.array([number_in(row, column.column) for row in rows]), None, categories
        if column.layer is not None:
            return np.array([[number_in(row, column.column)] for row in rows]), (column.layer,), categories
        return self._by_layer(model, column.column)

    def _by_layer(self, model: str, column: str) -> tuple[NDArray[np.float64], tuple[int, ...], tuple[str, ...]]:
        """Return the values of a table with one row per prompt and layer, or per layer."""
        by_prompt: dict[str, dict[int, float]] = {}
        categories: dict[str, str] = {}
        for row in self.rows[model]:
            prompt = str(row.cells.get(self.map.prompt) or "")
            by_prompt.setdefault(prompt, {})[self._layer(row)] = number_in(row, column)
            categories[prompt] = str(row.cells.get(self.map.category) or "")
        layers = tuple(sorted(next(iter(by_prompt.values()))))
        uneven = next((prompt for prompt, of in by_prompt.items() if tuple(sorted(of)) != layers), None)
        if uneven is not None:
            raise BadInput(f"{self.name}: {model} has other layers on the prompt {uneven!r} than on the first")
        values = np.array([[of[layer] for layer in layers] for of in by_prompt.values()])
        return values, layers, tuple(categories.values())

    def _texts(self, model: str, n: int) -> tuple[str, ...]:
        """Return the prompts of a model's values, in order; none unless the table names each of them."""
        texts = tuple(dict.fromkeys(str(row.cells.get(self.map.prompt) or "") for row in self.rows[model]))
        return texts if len(texts) == n and all(texts) else ()

    def _layer(self, row: TableRecord) -> int:
        number = number_in(row, self.map.layer) + 1 - self.map.layers_from
        if number != int(number) or number < 1:
            raise BadInput(
                f"{row.where}: {self.map.layer} is {row.cells[self.map.layer]!r}; layers count from"
                f" {self.map.layers_from} here (say `layers_from: 0` in a --measurements-map where they count from 0)"
            )
        return int(number)

    def _picked(
        self, values: NDArray[np.float64], layers: tuple[int, ...], metric: str, model: str, test: MeasuredTest
    ) -> NDArray[np.float64]:
        """Return one layer's values, their mean over layers, or all of them, for which every layer must be there."""
        number = self.layers[model]
        if max(layers) > number:
            raise BadInput(f"{self.name}: {model} has {number} layers and the table a layer {max(layers)} of {metric}")
        match test.layer:
            case None | "each" | "mean":
                if len(layers) != number:
                    raise NotMeasured(f"{self.name} holds {len(layers)} of the {number} layers of {model} for {metric}")
                if test.layer != "mean":
                    return values
                return mean_over_layers(values, model, test.first_block)
            case "first" | "last" | int():
                wanted = {"first": 1, "last": number}.get(str(test.layer), test.layer)
                if wanted not in layers:
                    raise NotMeasured(f"{self.name} has no layer {wanted} of {metric} for {model}")
                return values[:, layers.index(int(wanted))]
