"""Public sources of what the registry states, and the rule by which they confirm it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import Field

from refutable._util.strict_yaml import Frozen

INDEPENDENT = 2


class Source(Frozen):
    """One public source; two by one author count as one."""

    by: str = Field(description="who wrote it: the owner of the repository, or the first author")
    at: str = Field(description="where: repository, file and commit, or paper and place")

    def __str__(self) -> str:
        return f"{self.by}: {self.at}"


class RowSource(Source):
    """One public source about a model."""

    states: dict[str, Any] = Field(
        min_length=1, description="what it says, in the row's spelling: keys of the configuration, of the row, or facts"
    )

    def says(self, key: str, value: Any) -> bool:
        """Whether it states this value."""
        return key in self.states and self.states[key] == value and (self.states[key] is True) == (value is True)


def independent(sources: Iterable[Source]) -> bool:
    """Whether at least two of the sources were written by different people, so that together they confirm something."""
    return len({source.by for source in sources}) >= INDEPENDENT
