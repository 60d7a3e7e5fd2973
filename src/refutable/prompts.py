"""Prompt sets: named, hashed, with a category and a recorded token length for each prompt."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, field_validator

from refutable.errors import BadInput, UnknownName
from refutable.models import Frozen
from refutable.schema_errors import explain
from refutable.yaml_source import YamlSource, parse_yaml, read_yaml


class Prompt(Frozen):
    """One prompt."""

    text: str = Field(min_length=1)
    category: str
    tokens: int = Field(ge=1, description="length under the set's reference tokenizer; for stand-in tokens")


class _PromptFile(Frozen):
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    source: str
    tokens_by: str = Field(description="the tokenizer that the recorded lengths are of")
    complexity: dict[str, int] = Field(default_factory=dict)
    prompts: Annotated[tuple[Prompt, ...], Field(min_length=1)]

    @field_validator("prompts")
    @classmethod
    def _replicates(cls, prompts: tuple[Prompt, ...]) -> tuple[Prompt, ...]:
        seen: set[str] = set()
        for prompt in prompts:
            if prompt.text in seen:
                raise ValueError(f"the prompt {prompt.text!r} stands twice; a repeated prompt is no replicate")
            seen.add(prompt.text)
        return prompts


_FIELDS: dict[str, Sequence[str]] = {"": [*_PromptFile.model_fields], "prompts": [*Prompt.model_fields]}


@dataclass(frozen=True)
class PromptSet:
    """Prompts in their order; `hash` identifies texts, categories and order."""

    name: str
    prompts: tuple[Prompt, ...]
    complexity: dict[str, int]

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the prompts' texts, categories and recorded lengths, in order."""
        content = [[p.text, p.category, p.tokens] for p in self.prompts]
        return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()

    @property
    def categories(self) -> tuple[str, ...]:
        """The category of each prompt."""
        return tuple(p.category for p in self.prompts)

    def __len__(self) -> int:
        return len(self.prompts)


def load_prompts(name: str, beside: Path = Path()) -> PromptSet:
    """Load a packaged prompt set by name, or a YAML file of the same form by path.

    Args:
        name: of a packaged set, or a path that ends in .yaml or .yml.
        beside: folder that a path is relative to: that of the claims file.

    Raises:
        BadInput: there is none, or the file is unusable.
    """
    if name.endswith((".yaml", ".yml")):
        return _prompt_set(read_yaml(beside / name))
    folder = resources.files("refutable.data").joinpath("prompts")
    known = sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))
    if name not in known:
        raise UnknownName("prompt set", name, known)
    text = folder.joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    return _prompt_set(parse_yaml(text, f"refutable/data/prompts/{name}.yaml"))


def _prompt_set(source: YamlSource) -> PromptSet:
    try:
        file = _PromptFile.model_validate(source.data)
    except ValidationError as error:
        raise BadInput("\n".join(explain(error, source, fields=_FIELDS))) from None
    return PromptSet(file.name, file.prompts, dict(file.complexity))
