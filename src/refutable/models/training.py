"""What a row says of a model's training: which revisions are its checkpoints, and the step of each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from refutable._util.strict_yaml import Frozen, Names
from refutable.errors import did_you_mean

_STEP = r"step[-_]?(\d+)"  # where a row says nothing: the number in a name such as step1000
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Steps(Frozen):
    """How the name of a revision tells its step."""

    pattern: str = Field(default=_STEP, description="regular expression of a whole name, with the step as its group")
    names: dict[str, Annotated[int, Field(ge=0, strict=True)]] = Field(
        default_factory=dict, description="the step of each revision whose name does not say it, such as main"
    )

    @field_validator("pattern")
    @classmethod
    def _one_group(cls, pattern: str) -> str:
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression ({error})") from None
        if groups != 1:
            raise ValueError(f"{pattern!r} must have one group in brackets, the step; it has {groups}")
        return pattern


class Training(Frozen):
    """The checkpoints of a model."""

    checkpoints: Names = Field(default=(), description="every revision that is a checkpoint, in the order of training")
    steps: Steps = Steps()
    tokens_per_step: int | None = Field(default=None, gt=0, description="tokens that one step reads")

    def step(self, revision: str) -> int | None:
        """Return after how many steps a revision was saved, or None where its name does not say."""
        if revision in self.steps.names:
            return self.steps.names[revision]
        found = re.fullmatch(self.steps.pattern, revision)
        return int(found[1]) if found and found[1].isdecimal() else None


_PYTHIA = (0, *(2**k for k in range(10)), *range(1000, 143_001, 1000))
SCHEDULES: Mapping[str, Training] = {
    # Biderman et al. (2023), arXiv:2304.01373, 2.3: 154 checkpoints, 143,000 steps of 1,024 sequences of 2,048 tokens.
    # Their cards on the hub: the last is that of main.
    "pythia": Training(
        checkpoints=tuple(f"step{step}" for step in _PYTHIA),
        steps=Steps(names={"main": 143_000}),
        tokens_per_step=1024 * 2048,
    ),
}
UNSAID = Training()


def _named(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value not in SCHEDULES:
        near = did_you_mean(value, SCHEDULES)
        raise ValueError(f"unknown schedule {value!r}; known: {', '.join(SCHEDULES)}, or a mapping.{near}")
    return SCHEDULES[value]


GivenTraining = Annotated[Training, BeforeValidator(_named)]


def is_commit(revision: str) -> bool:
    """Whether a revision is a whole commit hash."""
    return _COMMIT.fullmatch(revision) is not None
