"""A table of published measurements as samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from refutable.errors import BadInput, NotMeasured
from refutable.evidence.plan import pass_for
from refutable.evidence.published.column_map import MetricColumn, TableMap
from refutable.evidence.published.formats import TableRecord, is_empty, list_in, number_in, printed_in
from refutable.evidence.published.made_on import check_prompts
from refutable.metrics import METRICS, SEVERAL_LAYERS, first_token_of, over_layers
from refutable.prompts.prompt_set import PromptSet, are_categorised
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
Rows = tuple[TableRecord, ...]


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
        own: whether this project wrote it, so that its columns `Prompt_Set` and `Pass` say what a row is of.
    """

    name: str
    sha256: str
    map: TableMap
    columns: Mapping[str, MetricColumn]
    rows: Mapping[str, Rows]
    layers: Mapping[str, int]
    own: bool = False

    @property
    def description(self) -> str:
        """The table's name, its hash, and the note of its mapping."""
        return f"{self.name}, SHA-256 {self.sha256[:12]}" + (f"; {self.map.note}" if self.map.note else "")

    @property
    def has_categories(self) -> bool:
        """Whether its rows are of at least two categories of prompts."""
        return are_categorised(
            str(row.cells.get(self.map.category) or "") for rows in self.rows.values() for row in rows
        )

    def sample(self, metric: str, model: str, test: MeasuredTest, prompts: PromptSet) -> Sample:
        """Return a metric of a model, with values of shape (prompts,) or (prompts, layers).

        A single row without replicates has the unit `CENSUS`.

        Raises:
            NotMeasured: the table has no such model, metric, layer, token, pass or prompt set.
            BadInput: a value is missing or not a number.
        """
        if model not in self.rows:
            raise NotMeasured(f"not in {self.name}, which has rows of {', '.join(self.rows)}")
        column = self.columns.get(metric)
        if column is None:
            raise NotMeasured(f"{self.name} has no column for {metric}; it holds {', '.join(self.columns)}")
        rows = self._made_on(self._of_pass(metric, model, test, prompts), model, prompts)
        self._check_kind(metric, column, test)
        values, layers, categories = self._values(metric, model, column, rows)
        if layers is not None:
            values = self._picked(values, layers, metric, model, test)
        texts = self._texts(rows, len(values))
        if len(values) > 1 or texts:
            if STATISTICS[test.statistic].takes.parts:
                raise NotMeasured(f"{self.name} holds ratios, not the lengths that {test.statistic} divides")
            return Sample(metric, values, "prompt", categories, texts)
        self._check_single(metric, model, column, test, of_layers=values.ndim > 1)
        return Sample(metric, values, CENSUS, ends=self._ends(metric, column, rows[0], values))

    def _of_pass(self, metric: str, model: str, test: MeasuredTest, prompts: PromptSet) -> Rows:
        """Return a model's rows of the pass that a metric is read from, where the table tells them apart."""
        rows = self.rows[model]
        if not self.own or "Pass" not in rows[0].cells:
            return rows
        spec = pass_for(metric, test, prompts.name)
        for made_of in (spec.made_of, spec.name):
            if found := tuple(row for row in rows if row.cells["Pass"] == made_of):
                return found
        raise NotMeasured(
            f"{self.name} has no rows of {model} of the pass {spec.made_of!r}, which {metric} is read from"
        )

    def _made_on(self, rows: Rows, model: str, prompts: PromptSet) -> Rows:
        """Return the rows that were made on a prompt set, all of it; raises NotMeasured if there are none."""
        rows = tuple(row for row in rows if row.cells.get("Prompt_Set") == prompts.name) or rows
        made_on = self.map.prompts or ", ".join(dict.fromkeys(str(row.cells.get("Prompt_Set") or "") for row in rows))
        texts = [str(row.cells.get(self.map.prompt) or "") for row in rows]
        check_prompts(f"{self.name} holds {model}", made_on, [text for text in texts if text.strip()], prompts)
        return rows

    def _check_kind(self, metric: str, column: MetricColumn, test: MeasuredTest) -> None:
        if STATISTICS[test.statistic].takes.parts and test.statistic != self.map.summary_of(column):
            raise NotMeasured(f"{self.name} holds ratios, not the lengths that {test.statistic} divides")
        if test.first_token not in (None, first_token_of(METRICS[metric], test.position)):
            raise NotMeasured(
                f"{self.name} holds {TOKENS[column.position]}, not that {test.first_token} the first token"
            )
        if (column.position, column.norm) != (test.position, test.norm):
            held = f"{column.norm} norms of {TOKENS[column.position]}"
            raise NotMeasured(f"{self.name} holds {held}, not {test.norm} of {TOKENS[test.position]}")

    def _check_single(
        self, metric: str, model: str, column: MetricColumn, test: MeasuredTest, *, of_layers: bool
    ) -> None:
        """Raise NotMeasured unless a single value of a model is what a test asks for: of layers, or its own statistic.

        A test whose units are models needs the mean of each.
        """
        summary, asked = self.map.summary_of(column), "mean" if test.over_models else test.statistic
        held = f"{self.name} holds one value of {metric} for {model}, its {summary}"
        if column.holds is not None:
            held += f" (layers {column.holds})"
        if of_layers and STATISTICS[asked].takes.has_census:
            return
        if asked not in SINGLE.get(summary, (summary,)) or (column.each_layer and column.holds != test.holds):
            wanted = f"{asked} (layers {test.holds})" if asked == summary else asked
            raise NotMeasured(f"{held}: no {wanted} can be had from that")

    def _ends(
        self, metric: str, column: MetricColumn, row: TableRecord, values: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Return the least and the largest value that is printed as a model's one number, if the table is rounded."""
        if not self.map.rounded or values.ndim > 1 or column.list_of is not None:
            return None
        low, high = STATISTICS[self.map.summary_of(column)].range or METRICS[metric].range
        least, largest = printed_in(row, column.column)
        ends = max(least, low), min(largest, 1.0 if column.each_layer else high)
        return np.array(ends[:1]), np.array(ends[1:])

    def _values(
        self, metric: str, model: str, column: MetricColumn, rows: Rows
    ) -> tuple[NDArray[np.float64], tuple[int, ...] | None, tuple[str, ...]]:
        """Return values of shape (prompts,) or (prompts, layers), those layers' numbers, and the categories."""
        if all(is_empty(row.cells.get(column.column)) for row in rows):
            raise NotMeasured(f"{self.name} has no value of {metric} for {model}: its cells are empty")
        categories = tuple(str(row.cells.get(self.map.category) or "") for row in rows)
        layered = METRICS[metric].per == "layer" and not column.each_layer
        layer = column.layer_of(self.layers[model])
        if column.list_of == "prompts":
            if len(rows) > 1:
                raise BadInput(f"{self.name}: {model} has {len(rows)} rows with a list of prompts each; keep one")
            values = list_in(rows[0], column.column)
            return (values[:, None], (layer,), ()) if layered and layer else (values, None, ())
        if column.list_of == "layers":
            lists = [list_in(row, column.column) for row in rows]
            if len({len(one) for one in lists}) > 1:
                raise BadInput(f"{self.name}: the lists of {column.column} of {model} differ in length: whose layers?")
            return np.stack(lists), tuple(range(1, len(lists[0]) + 1)), categories
        if column.each_layer and len(rows) > 1:
            raise BadInput(f"{self.name}: {model} has {len(rows)} rows with a share of its layers each; keep one")
        if not layered:
            return np.array([number_in(row, column.column) for row in rows]), None, categories
        if layer is not None:
            return np.array([[number_in(row, column.column)] for row in rows]), (layer,), categories
        return self._by_layer(model, column.column, rows)

    def _by_layer(
        self, model: str, column: str, rows: Rows
    ) -> tuple[NDArray[np.float64], tuple[int, ...], tuple[str, ...]]:
        """Return the values of a table with one row per prompt and layer, or per layer.

        A layer whose cells are empty on every prompt was not measured, and is not among the layers.
        """
        empty = {self._layer(row) for row in rows} - {
            self._layer(row) for row in rows if not is_empty(row.cells.get(column))
        }
        by_prompt: dict[str, dict[int, float]] = {}
        categories: dict[str, str] = {}
        for row in rows:
            if self._layer(row) in empty:
                continue
            prompt = str(row.cells.get(self.map.prompt) or "")
            by_prompt.setdefault(prompt, {})[self._layer(row)] = number_in(row, column)
            categories[prompt] = str(row.cells.get(self.map.category) or "")
        layers = tuple(sorted(next(iter(by_prompt.values()))))
        uneven = next((prompt for prompt, of in by_prompt.items() if tuple(sorted(of)) != layers), None)
        if uneven is not None:
            raise BadInput(f"{self.name}: {model} has other layers on the prompt {uneven!r} than on the first")
        values = np.array([[of[layer] for layer in layers] for of in by_prompt.values()])
        return values, layers, tuple(categories.values())

    def _texts(self, rows: Rows, n: int) -> tuple[str, ...]:
        """Return the prompts of a model's values, in order; none unless the table names each of them."""
        texts = tuple(dict.fromkeys(str(row.cells.get(self.map.prompt) or "") for row in rows))
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
            case None | "each" | "mean" | "trend" | "greatest" | "least":
                if len(layers) != number:
                    raise NotMeasured(f"{self.name} holds {len(layers)} of the {number} layers of {model} for {metric}")
                if test.layer not in SEVERAL_LAYERS:
                    return values
                return over_layers(values, test.layer, model, test.first_block)
            case "first" | "last" | int():
                wanted = {"first": 1, "last": number}.get(str(test.layer), test.layer)
                if wanted not in layers:
                    raise NotMeasured(f"{self.name} has no layer {wanted} of {metric} for {model}")
                return values[:, layers.index(int(wanted))]
