"""Which of a claims file's cases a run set out to try, so that a few of them are not taken for all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from refutable._util.text import few


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """How many cases a run selected.

    Attributes:
        cases: how many were selected.
        of: how many the claims file has.
        by: the options and node ids that selected them, without any path; empty if the command line named none.
    """

    cases: Annotated[int, Field(ge=0)]
    of: Annotated[int, Field(ge=0)]
    by: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether every case was selected."""
        return self.cases >= self.of

    def __str__(self) -> str:
        return f"{self.cases} of {self.of} cases" + (f" ({few(self.by)})" if self.by else "")
