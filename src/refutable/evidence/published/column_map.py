"""The column mapping that `--measurements-map FILE` reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from refutable._util.schema_errors import explain
from refutable._util.strict_yaml import Frozen, read_yaml
from refutable.claims.parts import Norm, metric_named, normless, statistic_named
from refutable.errors import BadInput
from refutable.statistics.region import RegionText
from refutable.traces.trace import Position


def _layer(value: Any) -> Any:
    if value in ("first", "last") or (isinstance(value, int) and not isinstance(value, bool) and value != 0):
        return value
    raise ValueError(f"unknown layer {value!r}; write first, last, a number from 1, or from -1 (the last) backwards")


LayerOf = Annotated[Literal["first", "last"] | int, BeforeValidator(_layer)]


class MetricColumn(Frozen):
    """The column that holds a metric."""

    column: str = Field(min_length=1)
    list_of: Literal["prompts", "layers"] | None = Field(
        default=None, alias="list", description="what a cell that is a list (JSON, Parquet) has one value for"
    )
    layer: LayerOf | None = Field(
        default=None,
        description="the one layer that the column is of, for a metric that has one value a layer; -1 is each model's"
        " last, -2 its last but one",
    )
    position: Position = Field(
        default="last", description="the token it was read at; `all` leaves out the first, `whole` is all as one matrix"
    )
    norm: Norm = "raw"
    summary: str | None = Field(
        default=None, description="the statistic that a single value of a model is; by default the table's"
    )
    holds: RegionText | None = Field(
        default=None, description="of a summary that counts layers: what was true of those that were counted"
    )

    @property
    def each_layer(self) -> bool:
        """Whether a cell is a share of a model's layers: one number, though the metric has one value a layer."""
        return self.holds is not None

    def layer_of(self, layers: int) -> int | None:
        """Return the number of its one layer in a model of this many layers; None if it is of no single layer."""
        match self.layer:
            case "first":
                return 1
            case "last":
                return layers
            case None:
                return None
        return self.layer if self.layer > 0 else layers + 1 + self.layer

    @model_validator(mode="after")
    def _one_layer_or_all(self) -> MetricColumn:
        if self.layer is not None and self.list_of == "layers":
            raise ValueError("a list of layers holds every layer; remove `layer:`")
        counts = self.summary is not None and statistic_named(self.summary).takes.each_layer
        if counts and self.holds is None:
            raise ValueError(f"`summary: {self.summary}` counts layers; say where something holds: `holds:`")
        if self.holds is not None and not counts:
            raise ValueError("`holds:` belongs to a summary that counts layers; add `summary: layers_passing`")
        if counts and (self.layer is not None or self.list_of is not None):
            raise ValueError("a share of a model's layers is one number a model; remove `layer:` and `list:`")
        return self


def _column(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


class TableMap(Frozen):
    """The meaning of a table's columns; anything left out has the name it has in reports/measurements.csv."""

    records: str | None = Field(default=None, description="JSON: the key (or keys, joined by dots) of the records")
    model: str = Field(default="Model", description="column that names the model")
    only_model: str | None = Field(default=None, description="the one model that the whole table is of")
    models: dict[str, str | None] = Field(
        default_factory=dict, description="the table's names of models: the registry's; null leaves its rows out"
    )
    prompt: str = "Prompt"
    category: str = "Category"
    layer: str = Field(default="Layer", description="column that numbers layers, for a table with one row a layer")
    layers_from: Literal[0, 1] = Field(default=1, description="the number of the first layer")
    prompts: str | None = Field(default=None, description="the prompt set that the table was made on")
    summary: str = Field(default="mean", description="the statistic that a single value of a model is")
    rounded: bool = Field(
        default=False, description="whether a model's single value is any that rounds to the digits of its cell"
    )
    metrics: dict[str, Annotated[MetricColumn, BeforeValidator(_column)]] = Field(default_factory=dict)
    note: str | None = Field(default=None, description="what else must be said beside a verdict on this table")

    @field_validator("metrics")
    @classmethod
    def _known(cls, metrics: dict[str, MetricColumn]) -> dict[str, MetricColumn]:
        for name, column in metrics.items():
            per = metric_named(name).per
            if column.norm == "centred" and (why := normless([name])):
                raise ValueError(f"{why}; remove `norm:`")
            if metric_named(name).last_only and column.position != "last":
                raise ValueError(f"metric {name!r} is read at the last token only; remove `position:`")
            if per == "prompt" and (column.layer is not None or column.list_of == "layers"):
                raise ValueError(f"metric {name!r} has one value a prompt; remove `layer:` and `list: layers`")
            if per == "prompt" and column.each_layer:
                raise ValueError(f"metric {name!r} has one value a prompt, and no layers to count; remove `holds:`")
            if per == "layer" and column.list_of == "prompts" and column.layer is None:
                raise ValueError(f"metric {name!r} has one value a layer; say which its list is of: `layer: N`")
        return metrics

    def summary_of(self, column: MetricColumn) -> str:
        """Return the statistic that a single value of a column is."""
        return column.summary or self.summary

    @field_validator("summary")
    @classmethod
    def _known_summary(cls, name: str) -> str:
        statistic_named(name)
        return name


def read_map(path: Path) -> TableMap:
    """Read a mapping; raises BadInput with the line, the allowed values and the nearest word of every problem."""
    source = read_yaml(path, absent="check the path, or write one as docs/published-tables.md shows")
    try:
        return TableMap.model_validate(source.data)
    except ValidationError as error:
        columns = [field.alias or name for name, field in MetricColumn.model_fields.items()]
        fields = {"": [*TableMap.model_fields], "metrics": columns}
        raise BadInput("\n".join(explain(error, source, fields=fields))) from None
