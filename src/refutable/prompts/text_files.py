"""Prompt files in JSON lines, CSV or plain text."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from refutable._util.reading import parse_json, read_text
from refutable._util.text import few
from refutable.errors import BadInput, did_you_mean
from refutable.prompts.prompt_set import MAX_TOKENS, Prompt, PromptSet, set_of, spoken

UNCATEGORISED = ""  # of no category, which no statistic counts as one
COUNTED = "words (one for every 12 characters begun) and punctuation marks"
_PIECE = re.compile(r"\w{1,12}|[^\w\s]")
_KEYS = ("text", "category", "tokens")


def read_prompt_file(path: Path) -> PromptSet:
    """Read prompts from a file: JSON lines (.jsonl, .ndjson), a table with a column `text` (.csv, .tsv), or plain text.

    A prompt without a recorded length gets one by counting (`COUNTED`), so that stand-in tokens are the same on every
    machine; on the 525 prompts of `grand-unified-25` and `-500` it is off SmolLM2's own by 0.9 tokens on average and by
    6 at most; on `many-kinds`, which has code and four more languages, by 2.3 and by 13.

    Raises:
        BadInput: the file is missing, empty, too large or not UTF-8, its ending is not known, or a prompt is blank, too
            long, repeated or not of the file's form.
    """
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        raise BadInput(
            f"{path.name}: files that end in {suffix} are not read; give one that ends in .yaml,"
            f" {', '.join(filter(None, _READERS))}"
        )
    text = read_text(path, path.name)
    prompts: list[Prompt] = []
    first: dict[str, str] = {}
    for where, prompt in _READERS[suffix](text, path.name):
        same = first.setdefault(spoken(prompt.text), where)
        if same is not where:
            raise BadInput(
                f"{where} repeats the prompt of line {same.rpartition(':')[2]}; a repeated prompt is no replicate: keep"
                " one"
            )
        prompts.append(prompt)
    if not prompts:
        raise BadInput(f"{path.name}: empty; write one prompt a line")
    return set_of(_name(path), f"a file of the user's, {path.name}", COUNTED, prompts)


def count_tokens(text: str) -> int:
    """Return the length of a prompt in `COUNTED`, at least 1: a model without a tokenizer gets as many tokens."""
    return max(1, len(_PIECE.findall(text)))


def _lines(text: str, name: str) -> Iterator[tuple[str, str]]:
    """Yield lines without their ends, by where they stand; a blank one is refused, except at the end of the file."""
    for number, line in enumerate(text.rstrip().split("\n"), start=1):
        line = line.removesuffix("\r")
        if not line.strip() and text.strip():
            raise BadInput(
                f"{name}:{number} is blank; one prompt a line: remove it (JSONL holds prompts with line breaks)"
            )
        if line.strip():
            yield f"{name}:{number}", line


def _plain(text: str, name: str) -> Iterator[tuple[str, Prompt]]:
    for where, line in _lines(text, name):
        yield where, _prompt(where, {"text": line})


def _json_lines(text: str, name: str) -> Iterator[tuple[str, Prompt]]:
    for where, line in _lines(text, name):
        data = parse_json(line, where, fix='write {"text": "..."} on each line')
        if isinstance(data, str):
            data = {"text": data}
        if not isinstance(data, dict) or not isinstance(data.get("text"), str):
            raise BadInput(
                f'{where} must be an object with a `text`: {{"text": "...", "category": "...", "tokens": 7}}'
            )
        for key in data:
            if key not in _KEYS:
                raise BadInput(f"{where}: unknown key {key!r}; known: {', '.join(_KEYS)}.{did_you_mean(key, _KEYS)}")
        yield where, _prompt(where, data)


def _table(text: str, name: str) -> Iterator[tuple[str, Prompt]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter="\t" if name.lower().endswith(".tsv") else ",")
    try:
        columns = list(reader.fieldnames or ())
        if columns.count("text") != 1:
            found = few(columns, 8) or "nothing"
            found += " (columns are separated by commas)" if ";" in found else ""
            raise BadInput(f"{name}:1: must have one column `text`, with the prompts; found {found}; rename one")
        for cells in reader:
            where = f"{name}:{reader.line_num}"
            if None in cells or None in cells.values():
                raise BadInput(f"{where}: has not as many cells as the header; put text with commas in quotes")
            tokens: Any = cells.get("tokens") or None
            if tokens is not None and str(tokens).isascii() and str(tokens).isdecimal():
                tokens = int(tokens)
            yield where, _prompt(where, {**cells, "category": cells.get("category", UNCATEGORISED), "tokens": tokens})
    except csv.Error as error:
        raise BadInput(f"{name}:{reader.line_num}: no table ({error})") from None


_READERS: Mapping[str, Callable[[str, str], Iterator[tuple[str, Prompt]]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".csv": _table,
    ".tsv": _table,
    ".txt": _plain,
    "": _plain,
}


def _prompt(where: str, data: Mapping[str, Any]) -> Prompt:
    text, category, tokens = data["text"], data.get("category", UNCATEGORISED), data.get("tokens")
    if not isinstance(category, str):
        raise BadInput(f"{where}: category must be text (got {category!r}); put it in quotes")
    if tokens is not None and (type(tokens) is not int or not 1 <= tokens <= MAX_TOKENS):
        raise BadInput(f"{where}: tokens must be a whole number from 1 to {MAX_TOKENS} (got {str(tokens)[:40]!r})")
    try:
        return Prompt(text=text, category=category, tokens=tokens or count_tokens(text))
    except ValidationError as error:
        problem = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise BadInput(f"{where}: the prompt {problem[0].lower()}{problem[1:]}") from None


def _name(path: Path) -> str:
    """Return a set's name from its file's: lower-case letters, digits, dots, dashes and underscores."""
    return re.sub(r"[^a-z0-9._-]+", "-", path.stem.lower()).lstrip("._-") or "prompts"
