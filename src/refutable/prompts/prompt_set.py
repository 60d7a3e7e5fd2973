"""A prompt set: named and hashed, with a category and a recorded token length per prompt."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator

from refutable._util.schema_errors import explain
from refutable._util.strict_yaml import Frozen, YamlSource
from refutable._util.text import is_utf8, shortened
from refutable.errors import BadInput

MAX_CHARACTERS = 20_000
MAX_TOKENS = 4 * MAX_CHARACTERS  # a character has at most four bytes, and a token at least one

Parted = Literal["prompts", "categories"]  # what two halves share out: each category's prompts, or whole categories


def are_categorised(categories: Iterable[str]) -> bool:
    """Whether prompts are of at least two categories; one for all of them tells none apart."""
    return len({name for name in categories if name}) > 1


def spoken(text: str) -> str:
    """Return a text as a reader takes it: one space for any white space, none at the ends, one form of each letter."""
    return unicodedata.normalize("NFC", " ".join(text.split()))


class Prompt(Frozen):
    """One prompt."""

    text: str
    category: str
    tokens: int = Field(
        ge=1, le=MAX_TOKENS, strict=True, description="length under the set's reference tokenizer; for stand-in tokens"
    )

    @field_validator("text")
    @classmethod
    def _said(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("is blank; write the prompt, or remove the entry")
        if len(text) > MAX_CHARACTERS:
            raise ValueError(f"has {len(text)} characters; a prompt has at most {MAX_CHARACTERS}: shorten it")
        if not is_utf8(text):
            raise ValueError("holds half of a surrogate pair, which is no text; write the character itself")
        return text


class _PromptFile(Frozen):
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    source: str
    tokens_by: str = Field(description="the tokenizer that the recorded lengths are of")
    complexity: dict[str, int] = Field(default_factory=dict)
    halves: Parted | None = Field(default=None, description="how the set is parted into two halves, if it is")
    prompts: Annotated[tuple[Prompt, ...], Field(min_length=1)]

    @field_validator("prompts")
    @classmethod
    def _replicates(cls, prompts: tuple[Prompt, ...]) -> tuple[Prompt, ...]:
        seen: set[str] = set()
        for prompt in prompts:
            if spoken(prompt.text) in seen:
                raise ValueError(f"the prompt {prompt.text!r} stands twice; a repeated prompt is no replicate")
            seen.add(spoken(prompt.text))
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
        halves: whether it has two halves, and what they part: the prompts of each category, or whole categories.
        given: whether it stands in for the claims' own set (``--prompts``).
    """

    name: str
    prompts: tuple[Prompt, ...]
    complexity: dict[str, int]
    source: str = ""
    tokens_by: str = ""
    halves: Parted | None = None
    given: bool = field(default=False, compare=False)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the prompts' texts, categories and recorded lengths, in order."""
        content = [[p.text, p.category, p.tokens] for p in self.prompts]
        return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()

    @cached_property
    def links(self) -> tuple[str, ...]:
        """The hash chain, a link after each prompt: SHA-256 of the link before and the prompt, in its first 16 digits.

        Two sets whose k-th links are equal begin with the same k prompts.
        """
        found, link = [], ""
        for one in self.prompts:
            content = json.dumps([link, one.text, one.category, one.tokens], ensure_ascii=False)
            link = hashlib.sha256(content.encode()).hexdigest()[:16]
            found.append(link)
        return tuple(found)

    @property
    def categories(self) -> tuple[str, ...]:
        """The category of each prompt."""
        return tuple(p.category for p in self.prompts)

    @property
    def counts(self) -> dict[str, int]:
        """Number of prompts of each category, in their order."""
        return dict(Counter(self.categories))

    def called(self, index: int) -> str:
        """Return what messages call a prompt: its number from 1, the set's name, and how the text begins."""
        return f"prompt {index + 1} of {self.name} ({shortened(repr(self.prompts[index].text))})"

    def __len__(self) -> int:
        return len(self.prompts)


def set_of(
    name: str, source: str, tokens_by: str, prompts: Sequence[Prompt], halves: Parted | None = None
) -> PromptSet:
    """Return a prompt set that was read from another form than the packaged one, or made in a program.

    Args:
        name: as claims write it.
        source: where the texts come from.
        tokens_by: what the recorded lengths count.
        prompts: the prompts.
        halves: what its halves part, if it has halves; they are found by name once the set is added.

    Raises:
        ValidationError: the prompts are none, or repeat one.
    """
    file = _PromptFile(name=name, source=source, tokens_by=tokens_by, halves=halves, prompts=tuple(prompts))
    return PromptSet(file.name, file.prompts, {}, file.source, file.tokens_by, file.halves)


def packaged_form(source: YamlSource) -> PromptSet:
    """Return the prompt set that a YAML file of the packaged form holds.

    Raises:
        BadInput: it is none.
    """
    try:
        file = _PromptFile.model_validate(source.data)
    except ValidationError as error:
        raise BadInput("\n".join(explain(error, source, fields=_FIELDS))) from None
    return PromptSet(file.name, file.prompts, dict(file.complexity), file.source, file.tokens_by, file.halves)
