"""Prompt sets: named, hashed, with a category and a recorded token length for each prompt."""

from __future__ import annotations

import functools
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, field_validator

from refutable.errors import BadInput, UnknownName
from refutable.models import Frozen
from refutable.schema_errors import explain
from refutable.yaml_source import YamlSource, parse_yaml, read_yaml

HALVED = "grand-unified-500"
HALVES = ("exploration", "confirmation")
MAX_CHARACTERS = 20_000


class Prompt(Frozen):
    """One prompt."""

    text: str = Field(min_length=1, max_length=MAX_CHARACTERS)
    category: str
    tokens: int = Field(ge=1, description="length under the set's reference tokenizer; for stand-in tokens")

    @field_validator("text")
    @classmethod
    def _said(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("is blank; write the prompt, or remove the entry")
        return text


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
    """Prompts in their order; `hash` identifies texts, categories and order.

    Attributes:
        name: as claims write it.
        prompts: the prompts.
        complexity: of each category, where the set has one.
        source: where the texts come from.
        tokens_by: what the recorded lengths count.
        given: whether it stands in for the claims' own set (``--prompts``).
    """

    name: str
    prompts: tuple[Prompt, ...]
    complexity: dict[str, int]
    source: str = ""
    tokens_by: str = ""
    given: bool = field(default=False, compare=False)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the prompts' texts, categories and recorded lengths, in order."""
        content = [[p.text, p.category, p.tokens] for p in self.prompts]
        return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()

    @property
    def categories(self) -> tuple[str, ...]:
        """The category of each prompt."""
        return tuple(p.category for p in self.prompts)

    @property
    def counts(self) -> dict[str, int]:
        """Number of prompts of each category, in their order."""
        return dict(Counter(self.categories))

    def __len__(self) -> int:
        return len(self.prompts)


def load_prompts(name: str, beside: Path = Path()) -> PromptSet:
    """Load a packaged prompt set by name, or a file by path.

    Args:
        name: of a packaged set, or a path that ends in .yaml or .yml (the packaged form), .jsonl or .txt.
        beside: folder that a path is relative to: that of the claims file.

    Raises:
        BadInput: there is none, or the file is unusable.
    """
    if name.endswith((".yaml", ".yml")):
        return _prompt_set(read_yaml(beside / name))
    if name.endswith((".jsonl", ".txt")):
        from refutable.prompt_files import read_prompt_file

        return read_prompt_file(beside / name)
    known = packaged_names()
    if name not in known:
        raise UnknownName("prompt set", name, known)
    return _packaged(name)


def packaged_names() -> list[str]:
    """Return the names of the packaged prompt sets, halves among them."""
    names = [entry.name.removesuffix(".yaml") for entry in _folder().iterdir() if entry.name.endswith(".yaml")]
    return sorted([*names, *(f"{HALVED}-{half}" for half in HALVES if HALVED in names)])


def packaged_sets() -> Iterator[PromptSet]:
    """Yield every packaged prompt set."""
    yield from (load_prompts(name) for name in packaged_names())


def set_of(name: str, source: str, tokens_by: str, prompts: Sequence[Prompt]) -> PromptSet:
    """Return a prompt set that was read from another form than the packaged one.

    Raises:
        ValidationError: the prompts are none, or repeat one.
    """
    file = _PromptFile(name=name, source=source, tokens_by=tokens_by, prompts=tuple(prompts))
    return PromptSet(file.name, file.prompts, {}, file.source, file.tokens_by)


@functools.cache
def _packaged(name: str) -> PromptSet:
    whole, _, half = name.rpartition("-")
    if whole == HALVED and half in HALVES:
        return _half(_packaged(whole), half)
    text = _folder().joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    return _prompt_set(parse_yaml(text, f"refutable/data/prompts/{name}.yaml"))


def _half(whole: PromptSet, half: str) -> PromptSet:
    """Return one half of a set: of each category, the prompts of even or of odd rank by the SHA-256 of their texts.

    Which prompt is in which half is thus fixed by the texts alone, was chosen by nobody, and no text stands in two
    files.
    """
    by_category: dict[str, list[Prompt]] = defaultdict(list)
    for prompt in whole.prompts:
        by_category[prompt.category].append(prompt)
    chosen: set[str] = set()
    for prompts in by_category.values():
        ranked = sorted(prompts, key=lambda prompt: hashlib.sha256(prompt.text.encode()).hexdigest())
        chosen |= {prompt.text for prompt in ranked[HALVES.index(half) :: 2]}
    kept = tuple(prompt for prompt in whole.prompts if prompt.text in chosen)
    parity = ("even", "odd")[HALVES.index(half)]
    source = f"{whole.name}, the prompts of {parity} rank (from 0) in their category by the SHA-256 of their texts"
    return PromptSet(f"{whole.name}-{half}", kept, whole.complexity, source, whole.tokens_by)


def _folder() -> resources.abc.Traversable:
    return resources.files("refutable.data").joinpath("prompts")


def _prompt_set(source: YamlSource) -> PromptSet:
    try:
        file = _PromptFile.model_validate(source.data)
    except ValidationError as error:
        raise BadInput("\n".join(explain(error, source, fields=_FIELDS))) from None
    return PromptSet(file.name, file.prompts, dict(file.complexity), file.source, file.tokens_by)
