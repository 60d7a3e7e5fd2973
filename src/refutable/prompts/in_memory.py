"""Prompts given in a program: texts, or lists of token ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from refutable._util.hashing import key_of
from refutable.errors import BadInput
from refutable.prompts.find import given_prompts
from refutable.prompts.prompt_set import Prompt, PromptSet, set_of
from refutable.prompts.text_files import COUNTED, UNCATEGORISED, count_tokens

Texts = Sequence[str]
TokenIds = Sequence[Sequence[int]]


class GivenPrompts(NamedTuple):
    """A prompt set, and the token ids of each prompt where these were given instead of texts."""

    prompts: PromptSet
    ids: tuple[tuple[int, ...], ...] | None = None


def prompts_from(given: str | Path | Texts | TokenIds) -> GivenPrompts:
    """Return prompts as a set.

    Args:
        given: a packaged set's name, a file as `--prompts` takes it, a list of texts, or a list of lists of token ids.

    Raises:
        BadInput: there are none, one is blank, repeated or too long, or ids are no whole numbers from 0.
    """
    if isinstance(given, str | Path):
        return GivenPrompts(given_prompts(str(given), "prompts: "))
    if len(given) == 0:
        raise BadInput("prompts: none were given; give a list of texts, or of lists of token ids")
    if all(isinstance(prompt, str) for prompt in given):
        texts = [str(prompt) for prompt in given]
        return GivenPrompts(_set("texts", COUNTED, [(text, count_tokens(text)) for text in texts]))
    if isinstance(given, bytes) or not all(isinstance(prompt, Iterable) for prompt in given):
        raise BadInput("prompts: must be a list of texts, or a list with a list of token ids for each prompt")
    ids = tuple(tuple(_id(token, prompt) for token in tokens) for prompt, tokens in enumerate(given))
    named = [(f"{len(tokens)} token ids, SHA-256 {key_of({'ids': tokens})}", len(tokens)) for tokens in ids]
    return GivenPrompts(_set("token-ids", "token ids", named), ids)


def _set(name: str, tokens_by: str, prompts: Sequence[tuple[str, int]]) -> PromptSet:
    made = []
    for index, (text, tokens) in enumerate(prompts):
        try:
            made.append(Prompt(text=text, category=UNCATEGORISED, tokens=tokens))
        except ValidationError as error:
            raise BadInput(f"prompts[{index}]: {error.errors()[0]['msg']}") from None
    try:
        return replace(set_of(name, f"{name} given in a program", tokens_by, made), given=True)
    except ValidationError as error:
        raise BadInput(f"prompts: {error.errors()[0]['msg']}") from None


def _id(token: object, prompt: int) -> int:
    if isinstance(token, bool) or not hasattr(token, "__index__") or token.__index__() < 0:
        raise BadInput(f"prompts[{prompt}]: token ids are whole numbers from 0 (got {token!r})")
    return int(token.__index__())
