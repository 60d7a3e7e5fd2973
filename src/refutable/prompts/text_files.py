"""Prompt files in JSON lines or plain text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from refutable.errors import BadInput, did_you_mean
from refutable.prompts.prompt_set import MAX_CHARACTERS, Prompt, PromptSet, set_of

MAX_BYTES = 4 * 1024 * 1024
UNCATEGORISED = ""  # of no category, which no statistic counts as one
COUNTED = "words (one for every 12 characters begun) and punctuation marks"
_PIECE = re.compile(r"\w{1,12}|[^\w\s]")
_KEYS = ("text", "category", "tokens")


def read_prompt_file(path: Path) -> PromptSet:
    """Read prompts from a file of JSON lines (.jsonl, .ndjson) or of plain text, one prompt a line.

    A prompt without a recorded length gets one by counting (`COUNTED`), so that stand-in tokens are the same on every
    machine; on the 525 packaged prompts it is off SmolLM2's own by 0.9 tokens on average and by 6 at most.

    Raises:
        BadInput: the file is missing, empty, too large or not UTF-8, or a line is blank, too long, repeated or, in JSON
            lines, not an object with a `text`.
    """
    if path.suffix == ".json":
        raise BadInput(f"{path.name}: JSON is not read; write one object a line in a .jsonl file, or YAML")
    lines = _lines(path)
    read = _json_prompt if path.suffix in (".jsonl", ".ndjson") else _plain_prompt
    prompts: list[Prompt] = []
    first: dict[str, int] = {}
    for number, line in lines:
        prompt = read(line, f"{path.name}:{number}")
        if prompt.text in first:
            raise BadInput(
                f"{path.name}:{number} repeats the prompt of line {first[prompt.text]}; a repeated prompt is no"
                " replicate: keep one"
            )
        first[prompt.text] = number
        prompts.append(prompt)
    if not prompts:
        raise BadInput(f"{path.name}: empty; write one prompt a line")
    return set_of(_name(path), f"a file of the user's, {path.name}", COUNTED, prompts)


def count_tokens(text: str) -> int:
    """Return the length of a prompt in `COUNTED`, at least 1: a model without a tokenizer gets as many tokens."""
    return max(1, len(_PIECE.findall(text)))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield numbered lines without their ends; a blank one is refused, except at the end of the file."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInput(f"{path.name}: larger than {MAX_BYTES} bytes; split it")
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path.name}: not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise BadInput(f"{path.name}: cannot be read ({error.strerror}); check the path and its permissions") from None
    for number, line in enumerate(text.rstrip().split("\n"), start=1):
        line = line.removesuffix("\r")
        if not line.strip() and text.strip():
            raise BadInput(
                f"{path.name}:{number} is blank; one prompt a line: remove it (JSONL holds prompts with line breaks)"
            )
        if line.strip():
            yield number, line


def _plain_prompt(line: str, where: str) -> Prompt:
    return _prompt(where, line, UNCATEGORISED, None)


def _json_prompt(line: str, where: str) -> Prompt:
    try:
        data: Any = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        why = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply"
        raise BadInput(f'{where} is not JSON ({why}); write {{"text": "..."}} on each line') from None
    if isinstance(data, str):
        return _prompt(where, data, UNCATEGORISED, None)
    if not isinstance(data, dict) or not isinstance(data.get("text"), str):
        raise BadInput(f'{where} must be an object with a `text`: {{"text": "...", "category": "...", "tokens": 7}}')
    for key in data:
        if key not in _KEYS:
            raise BadInput(f"{where}: unknown key {key!r}; known: {', '.join(_KEYS)}.{did_you_mean(key, _KEYS)}")
    category, tokens = data.get("category", UNCATEGORISED), data.get("tokens")
    if not isinstance(category, str):
        raise BadInput(f"{where}: category must be text (got {category!r}); put it in quotes")
    if tokens is not None and (isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 1):
        raise BadInput(f"{where}: tokens must be a whole number from 1 (got {tokens!r})")
    return _prompt(where, data["text"], category, tokens)


def _prompt(where: str, text: str, category: str, tokens: int | None) -> Prompt:
    if not text.strip():
        raise BadInput(f"{where}: the prompt is blank; write it, or remove the line")
    if len(text) > MAX_CHARACTERS:
        raise BadInput(f"{where}: {len(text)} characters; a prompt has at most {MAX_CHARACTERS}: shorten it")
    return Prompt(text=text, category=category, tokens=tokens or count_tokens(text))


def _name(path: Path) -> str:
    """Return a set's name from its file's: lower-case letters, digits, dots, dashes and underscores."""
    return re.sub(r"[^a-z0-9._-]+", "-", path.stem.lower()).lstrip("._-") or "prompts"
