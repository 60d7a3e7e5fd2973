"""Parts that several kinds of claims share: sources, records, variations, and look-ups by name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from refutable._util.registry import Named, Registry
from refutable._util.strict_yaml import NAMES, Frozen
from refutable.errors import UnknownName, did_you_mean
from refutable.metrics import METRICS, Metric
from refutable.models.config_facts import FACT_WORDS, FACTS
from refutable.models.registry_facts import ROW_FACTS, ROW_WORDS
from refutable.models.revision_names import is_glob, model_of
from refutable.models.selector import Selector
from refutable.statistics import STATISTICS, Statistic
from refutable.traces.passes import Blocks, BlockWord, Change
from refutable.traces.trace import Position, Tap, Token

T = TypeVar("T", bound=Named)

FACT_NAMES = (*FACTS, *ROW_FACTS)
WORDS = {**FACT_WORDS, **ROW_WORDS}  # the possible values of facts that are words

ControlName = Literal["initialization", "permuted", "any-data"]
Norm = Literal["raw", "centred"]
CHANGES = ("under", "blocks", "coordinate")  # keys of a test by which `against:` can name another intervention
READINGS = ("norm", "position", "layer", *CHANGES)  # keys that `against:` can name: another reading of the same weights
AGAINST = (
    "{model: NAME}, {revision: NAME}, {dtype: bfloat16}, {norm: centred}, {position: all} or {layer: first}; or, under"
    " an intervention, {under: skip-block}, {blocks: 8} or {coordinate: 7}"
)
Dtype = Literal["float32", "bfloat16", "float16"]
Decides = Literal["sentence", "part", "neighbour"]
DECIDES = (
    "how far it decides that sentence: all that it says, in one reading of it; a part, so that it may hold where the"
    " sentence does not; or a neighbour, of other models or of another quantity"
)
Quantifier = Literal["each", "all", "any", "majority"]


def _layer(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """Say in one sentence what a layer may be, leaving out `each`, which statistics of layers imply."""
    try:
        return check(value)
    except ValidationError:
        if isinstance(value, int) and not isinstance(value, bool):
            raise ValueError(f"layers count from 1, and the last is `layer: last` (got {value})") from None
        words = ("first", "last", "mean", "trend", "greatest", "least")
        near = did_you_mean(value, words) if isinstance(value, str) else ""
        raise ValueError(f"unknown layer {value!r}; known: {', '.join(words)}, or a number from 1.{near}") from None


Layer = Annotated[
    Literal["first", "last", "mean", "trend", "greatest", "least", "each"] | Annotated[int, Field(ge=1, strict=True)],
    WrapValidator(_layer),
]

SPAN = r"^[1-9][0-9]*-[1-9][0-9]*$"  # a row of blocks, as "16-30"


def _blocks(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    named = value
    if isinstance(value, str) and re.fullmatch(SPAN, value):
        first, last = map(int, value.split("-"))
        named = tuple(range(first, min(last, first + MOST_BLOCKS) + 1))
    elif isinstance(value, list):
        named = tuple(value)
    try:
        found = handler(named)
    except ValidationError:
        words = get_args(BlockWord)
        near = did_you_mean(value, words) if isinstance(value, str) else ""
        raise ValueError(
            f"unknown blocks {value!r}; known: {', '.join(words)}, a number from 1, or several, the lowest"
            f" first: [16, 17] or 16-30.{near}"
        ) from None
    if isinstance(found, tuple) and list(found) != sorted(set(found)):
        raise ValueError(f"blocks {value!r}: write each once, the lowest first")
    return found


class _Span:
    """A row of blocks, in the JSON schema."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core)
        schema["anyOf"].append({"type": "string", "pattern": SPAN})
        return schema


MOST_BLOCKS = 10_000  # more than any model has
NamedBlocks = Annotated[Blocks, WrapValidator(_blocks), _Span()]


def _selector(value: Any) -> Any:
    if value == [] or value == "":
        raise ValueError("names no model; name one, or leave the key out for every pretrained model")
    return {"names": value} if isinstance(value, str | list) else value


Models = Annotated[Selector, BeforeValidator(_selector)]


def _text(text: str) -> str:
    if not text.strip():
        raise ValueError("is blank; write it")
    return text.strip()


Text = Annotated[str, AfterValidator(_text)]


class Source(Frozen):
    """Where a claim comes from."""

    document: str
    section: str | None = None
    quote: str | None = Field(default=None, description="the author's own words")


class Tolerance(Frozen):
    """Why a band `within [a, b]` is as wide as it is: by the effect at stake, or as one reading among others."""

    effect: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        default=None,
        description="the effect at stake, in the band's unit, of the model where it is least: half of the band's width"
        " lies below it. Without it, the width is one reading among others",
    )
    why: Text


class Against(Frozen):
    """What each prompt's value is compared with: the same prompt in another model or dtype, or read in another way."""

    model: str | None = Field(
        default=None, description="name of a model that reads the same prompts", json_schema_extra={NAMES: "model"}
    )
    revision: Text | None = Field(
        default=None, description="a branch, tag or commit of the same model, which reads the same prompts"
    )
    dtype: Dtype | None = Field(default=None, description="of the same weights and activations")
    norm: Norm | None = Field(default=None, description="the same values, read in the other norm")
    position: Position | None = Field(default=None, description="the same values, read at another position")
    layer: Layer | None = Field(default=None, description="the same values, read in another layer")
    under: Change | None = Field(default=None, description="the same weights under another intervention")
    blocks: NamedBlocks | None = Field(default=None, description="the same intervention, in other blocks")
    coordinate: int | None = Field(
        default=None, ge=0, strict=True, description="the same intervention, of another coordinate"
    )

    @model_validator(mode="after")
    def _one(self) -> Against:
        named = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(named) != 1:
            raise ValueError(f"`against:` is held against one thing; write {AGAINST}")
        if self.revision is not None and is_glob(self.revision):
            raise ValueError(f"`against:` is held against one revision, and {self.revision!r} may be several; name one")
        return self

    @property
    def reading(self) -> dict[str, Any]:
        """The key of the test, with its value, by which the same pass is read in another way; empty for neither."""
        return {name: getattr(self, name) for name in READINGS if getattr(self, name) is not None}

    def describe(self, model: str) -> str:
        """Return in words which value each prompt's value of a model is paired with."""
        if self.model is not None:
            return f"{model} minus {self.model} on each prompt: both read the same prompts"
        if self.revision is not None:
            return f"{model} minus {model_of(model)} at {self.revision} on each prompt: both read the same prompts"
        for name, value in self.reading.items():
            if name in CHANGES:
                shown = ", ".join(map(str, value)) if isinstance(value, tuple) else value
                return f"{model} minus itself with `{name}: {shown}` on each prompt: changed in two ways"
            return f"{model} minus itself with `{name}: {value}` on each prompt: both are read from the same weights"
        return f"{model} minus itself in {self.dtype} on each prompt: the same weights read the same prompts"


class Along(Frozen):
    """One number for each prompt: how its value goes with the checkpoints of a model."""

    fact: Literal["step", "log_step", "tokens_seen"] = Field(description="what tells the checkpoints apart")
    take: Literal["trend", "slope", "spearman"] = Field(
        description="of each prompt's values: the median or the least-squares slope, or the rank correlation"
    )


class Restatement(Source):
    """Another sentence that says the same as a claim, so that it shares the claim's verdict."""

    catalogue: str | None = Field(default=None, description="that sentence's id in the catalogue")
    decides: Decides | None = Field(default=None, description=DECIDES)

    @model_validator(mode="after")
    def _decides(self) -> Restatement:
        check_decides(self.catalogue, self.decides)
        return self


class Record(Frozen):
    """What the claim's author reported for one model; shown beside the measurement, never judged."""

    value: Annotated[float, Field(allow_inf_nan=False, strict=True)]
    n: Annotated[int, Field(ge=1, strict=True)] | None = None
    dtype: str | None = None
    tap: str | None = Field(default=None, description="where it was read; comparable only at one of our taps")
    note: str | None = None

    @property
    def comparable(self) -> bool:
        """Whether it is the test's own quantity: read at one of our taps, or at an unspecified place."""
        return self.tap is None or self.tap in get_args(Tap)


class Variations(Frozen):
    """The defensible variations under which a verdict should stand."""

    norm: tuple[Norm, ...] = Field(default=(), min_length=1)
    position: tuple[Token, ...] = Field(
        default=(), min_length=1, description="`whole` is another reading, not a variation: write a claim of its own"
    )
    dtype: tuple[Dtype, ...] = Field(default=(), min_length=1)
    statistic: tuple[str, ...] = Field(
        default=(),
        min_length=1,
        description="as [mean, ratio_of_means]: a mean of ratios or a ratio of means",
        json_schema_extra={NAMES: "statistic"},
    )
    bos: tuple[Literal["with", "without"], ...] = Field(
        default=(), min_length=1, description="the beginning-of-sequence token put before each prompt, or taken away"
    )
    chat_template: tuple[Literal["with", "without"], ...] = Field(
        default=(),
        min_length=1,
        description="each prompt as a user's message in the tokenizer's chat template, or bare",
    )
    prompts: tuple[str, ...] = Field(
        default=(), min_length=1, description="other prompt sets", json_schema_extra={NAMES: "prompt set"}
    )

    @property
    def declared(self) -> bool:
        """Whether there is any."""
        return bool(self.axes)

    @property
    def axes(self) -> dict[str, tuple[str, ...]]:
        """What each axis is tried with, by its name; only those that are declared."""
        given: dict[str, tuple[str, ...]] = {
            "norm": self.norm,
            "position": self.position,
            "dtype": self.dtype,
            "statistic": self.statistic,
            "bos": self.bos,
            "chat_template": self.chat_template,
            "prompts": self.prompts,
        }
        return {axis: values for axis, values in given.items() if values}

    @field_validator("statistic")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            statistic_named(name)
        return names


def check_decides(catalogue: str | None, decides: Decides | None) -> None:
    """Raise ValueError if one of a sentence's id and how far it is decided is given without the other."""
    if catalogue is not None and decides is None:
        raise ValueError(
            f"`catalogue:` names {catalogue!r}, but not how far it is decided; add `decides: sentence`, `part` or"
            " `neighbour`"
        )
    if catalogue is None and decides is not None:
        raise ValueError("`decides:` is of a sentence of a catalogue; add `catalogue:` or remove it")


def named(registry: Registry[T], name: str) -> T:
    """Return what a registry holds under a name, or raise ValueError with the nearest known name."""
    try:
        return registry[name]
    except UnknownName as error:
        raise ValueError(str(error)) from None


def statistic_named(name: str) -> Statistic:
    """Return the statistic of this name, or raise ValueError."""
    return named(STATISTICS, name)


def metric_named(name: str) -> Metric:
    """Return the metric of this name, or raise ValueError."""
    return named(METRICS, name)


def normless(metrics: Iterable[str]) -> str:
    """Return why these metrics cannot be centred: none reads a norm. An empty text if one does."""
    names = tuple(metrics)
    if any(metric_named(name).has_norm for name in names):
        return ""
    shown = " and ".join(map(repr, names))
    return f"{shown} read{'s' if len(names) == 1 else ''} no norm, so raw and centred are one"
