"""Finds prompt sets: packaged ones and those of extensions by name, files by path."""

from __future__ import annotations

import functools
import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path, PurePosixPath

from refutable._util.reading import exists, is_file
from refutable._util.registry import Registry
from refutable._util.strict_yaml import parse_yaml, read_yaml
from refutable._util.text import leaves_folder
from refutable.errors import BadInput, UnknownName
from refutable.prompts.prompt_set import Prompt, PromptSet, packaged_form
from refutable.prompts.text_files import read_prompt_file

HALVED = "grand-unified-500"
HALVES = ("exploration", "confirmation")
PROMPTS: Registry[PromptSet] = Registry("prompt set", PromptSet)  # what extensions add to the packaged sets


def given_prompts(given: str, asked_by: str = "--prompts ") -> PromptSet:
    """Return the set that stands in for the claims' own.

    Args:
        given: the path of a file, or the name of a packaged set.
        asked_by: what it was given by, for messages.

    Raises:
        BadInput: it is neither, or the file is unusable.
    """
    path = Path(given)
    if exists(path) and not is_file(path):
        raise BadInput(f"{asked_by}{given}: not a file; give YAML, JSONL, CSV, or text with one prompt a line")
    if path.suffix in (".yaml", ".yml"):
        found = packaged_form(read_yaml(path))
    elif is_file(path):
        found = read_prompt_file(path)
    elif path.suffix or path.parent != Path():
        raise BadInput(
            f"{asked_by}{given}: no such file; give YAML, JSONL, CSV, text with one prompt a line, or a set's name"
        )
    else:
        found = load_prompts(given)
    return replace(found, given=True)


def load_prompts(name: str, beside: Path | None = None) -> PromptSet:
    """Load a packaged prompt set, or one that an extension added, by name, or a file by path.

    Args:
        name: of a packaged set, or a path that ends in .yaml or .yml (the packaged form), .jsonl, .csv, .tsv
            or .txt, inside the folder.
        beside: folder that a path is relative to: that of the claims file.

    Raises:
        BadInput: there is none, the path leaves the folder, or the file is unusable.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in (".yaml", ".yml", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt"):
        if beside is not None and leaves_folder(name):
            raise BadInput(f"{name!r} does not stay in this folder; write a relative path, with / and without ..")
        path = (beside or Path()) / name
        return packaged_form(read_yaml(path)) if suffix in (".yaml", ".yml") else read_prompt_file(path)
    known = packaged_names()
    if name in PROMPTS:
        if name in known:
            raise BadInput(f"two prompt sets are called {name!r}: a packaged one and {PROMPTS.place(name)}; rename one")
        return PROMPTS[name]
    if name not in known:
        raise UnknownName("prompt set", name, [*known, *PROMPTS])
    return _packaged(name)


def packaged_names() -> list[str]:
    """Return the names of the packaged prompt sets, halves among them."""
    names = [entry.name.removesuffix(".yaml") for entry in _folder().iterdir() if entry.name.endswith(".yaml")]
    return sorted([*names, *(f"{HALVED}-{half}" for half in HALVES if HALVED in names)])


def known_sets() -> Iterator[PromptSet]:
    """Yield every prompt set that has a name: the packaged ones, and those that extensions add."""
    yield from (load_prompts(name) for name in (*packaged_names(), *PROMPTS))


@functools.cache
def _packaged(name: str) -> PromptSet:
    whole, _, half = name.rpartition("-")
    if whole == HALVED and half in HALVES:
        return _half(_packaged(whole), half)
    text = _folder().joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    return packaged_form(parse_yaml(text, f"refutable/data/prompts/{name}.yaml"))


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
