"""The `test:` of claims that run no model on prompts: a fact, a probe or a property."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)

from refutable._util.strict_yaml import NAMES, Frozen
from refutable.claims.parts import FACT_NAMES, WORDS, named
from refutable.errors import did_you_mean
from refutable.statistics.region import GRAMMAR, RegionText
from refutable.traces.passes import ProbeName


def _word(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """Say how to write a number instead."""
    try:
        return check(value)
    except ValidationError:
        if not isinstance(value, int | float):
            raise
        told = f'of a fact that is a number write `predicts: "within [{value}, {value}]"`'
        raise ValueError(f"`equals:` is a word, or true or false (got {value}); {told}") from None


class FactTest(Frozen):
    """A fact of a model's configuration, looked up."""

    fact: Literal[FACT_NAMES]  # type: ignore[valid-type]
    predicts: RegionText | None = None
    equals: Annotated[str | bool | None, WrapValidator(_word)] = Field(
        default=None, description="for facts that are words"
    )

    @model_validator(mode="after")
    def _one(self) -> FactTest:
        words = WORDS.get(self.fact)
        if words is None and (self.predicts is None or self.equals is not None):
            raise ValueError(f"fact {self.fact!r} is a number; write `predicts:` ({GRAMMAR}) and no `equals:`")
        if words is not None and (self.equals is None or self.predicts is not None):
            raise ValueError(
                f"fact {self.fact!r} is a word; write `equals:` (one of {_shown(words)}) and no `predicts:`"
            )
        if words is not None and self.equals not in words:
            near = did_you_mean(str(self.equals), [str(word) for word in words])
            raise ValueError(f"fact {self.fact!r} is never {self.equals!r}; known: {_shown(words)}.{near}")
        return self


PROBE_WORDS = {"mlp_reads_attention": ("parallel", "sequential"), "stream_reads_rotation": ("pattern", "stream")}


class WiringTest(Frozen):
    """What a probe sees.

    ``mlp_reads_attention`` changes attention's output and watches the MLP input of the same block, which does not move
    in a *parallel* block. ``stream_reads_rotation`` switches off the rotation, holds attention's probabilities, and
    watches what attention adds: if that does not move, rotation reaches the *pattern* alone, otherwise the *stream*.
    """

    probe: Literal["mlp_reads_attention", "stream_reads_rotation"]
    equals: Literal["parallel", "sequential", "pattern", "stream"]

    @property
    def reads(self) -> ProbeName:
        """The pass that decides it."""
        return "rotation" if self.probe == "stream_reads_rotation" else "wiring"

    @model_validator(mode="after")
    def _seen_by_it(self) -> WiringTest:
        words = PROBE_WORDS[self.probe]
        if self.equals not in words:
            raise ValueError(f"probe {self.probe!r} never sees {self.equals!r}; known: {', '.join(words)}")
        return self


class TheoremTest(Frozen):
    """A mathematical property, tried on generated inputs."""

    property: str = Field(json_schema_extra={NAMES: "property"})
    examples: int = Field(default=1000, ge=1, le=1_000_000)

    @field_validator("property")
    @classmethod
    def _known_property(cls, name: str) -> str:
        from refutable.theorems import THEOREMS

        named(THEOREMS, name)
        return name


def _shown(words: Collection[str | bool]) -> str:
    return ", ".join(str(word).lower() if isinstance(word, bool) else word for word in words)
