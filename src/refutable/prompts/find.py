"""Finds prompt sets: packaged ones and those of extensions by name, files by path."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from refutable._util.reading import exists, is_file
from refutable._util.registry import Registry
from refutable._util.strict_yaml import parse_yaml, read_yaml
from refutable._util.text import leaves_folder
from refutable.errors import BadInput, UnknownName
from refutable.prompts.halves import HALVES, half_of
from refutable.prompts.prompt_set import PromptSet, packaged_form
from refutable.prompts.text_files import read_prompt_file

PROMPTS: Registry[PromptSet] = Registry("prompt set", PromptSet)  # what extensions add to the packaged sets

_ABSENT = "check the path, or write one as docs/adding-prompts.md shows"


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
        found = packaged_form(read_yaml(path, absent=_ABSENT))
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
        return packaged_form(read_yaml(path, absent=_ABSENT)) if suffix in (".yaml", ".yml") else read_prompt_file(path)
    found = list(_called(name))
    if not found:
        raise UnknownName("prompt set", name, [one.name for one in known_sets()])
    if len(found) > 1:
        raise BadInput(f"two prompt sets are called {name!r}: {found[0].place} and {found[1].place}; rename one")
    return found[0].prompts


def known_sets() -> Iterator[PromptSet]:
    """Yield every prompt set that has a name, each before its halves: the packaged ones, then those of extensions."""
    for whole in (*(_packaged(name) for name in _packaged_names()), *(PROMPTS[name] for name in PROMPTS)):
        yield whole
        if whole.halves is not None:
            yield from (half_of(whole, half) for half in HALVES)


class _Found(NamedTuple):
    prompts: PromptSet
    place: str


def _called(name: str) -> Iterator[_Found]:
    """Yield the sets that a name may mean: whole ones, and halves of those that have halves."""
    yield from _wholes(name)
    of, _, half = name.rpartition("-")
    if half in HALVES:
        yield from (_Found(half_of(whole, half), place) for whole, place in _wholes(of) if whole.halves is not None)


def _wholes(name: str) -> Iterator[_Found]:
    if name in _packaged_names():
        yield _Found(_packaged(name), "a packaged one")
    if name in PROMPTS:
        yield _Found(PROMPTS[name], PROMPTS.place(name))


def _packaged_names() -> list[str]:
    return sorted(entry.name.removesuffix(".yaml") for entry in _folder().iterdir() if entry.name.endswith(".yaml"))


@functools.cache
def _packaged(name: str) -> PromptSet:
    text = _folder().joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    return packaged_form(parse_yaml(text, f"refutable/data/prompts/{name}.yaml"))


def _folder() -> resources.abc.Traversable:
    return resources.files("refutable.data").joinpath("prompts")
