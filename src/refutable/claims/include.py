"""Included claims files: each is read once, in order, and only from inside the folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from refutable._util.reading import is_file
from refutable._util.strict_yaml import YamlSource, read_yaml
from refutable._util.text import leaves_folder
from refutable.errors import BadInput, did_you_mean


def read_with_includes(path: Path) -> tuple[YamlSource, ...]:
    """Read a claims file after every file that it includes, recursively; these take its `collection:`.

    Paths are relative to the file that names them and stay inside the folder of the first file. An `include:` of the
    wrong form is not followed; `include_problems` reports it.

    Raises:
        BadInput: a file cannot be read, or an `include:` names a missing file, one outside the folder, one already
            included, or itself through others.
    """
    reader = _Reader(path.parent)
    reader.read(path, (), None)
    if reader.problems:
        raise BadInput("\n".join(reader.problems))
    return tuple(reader.sources)


def include_problems(source: YamlSource) -> list[str]:
    """Return problems with the form of a file's `include:`, each with its line."""
    names = source.data.get("include") if isinstance(source.data, dict) else None
    if names is None:
        return []
    if not isinstance(names, list) or not names:
        return [f"{source.where(('include',))} include: must be a list of at least one path (got {names!r})"]
    return [
        f"{source.where(('include', index))} include[{index}]: {problem}"
        for index, name in enumerate(names)
        if (problem := _unfit(name))
    ]


def _unfit(name: object) -> str:
    if not isinstance(name, str) or not name.strip():
        return f"must be the path of a YAML file (got {name!r})"
    if leaves_folder(name):
        return f"{name!r} does not stay in this folder; write a relative path, with / and without .."
    return ""


MAX_DEPTH = 20
MAX_FILES = 1000


class _Reader:
    """What has been read so far, in the order of the claims."""

    def __init__(self, folder: Path) -> None:
        self.sources: list[YamlSource] = []
        self.problems: list[str] = []
        self._folder = folder.resolve()
        self._read: dict[Path, str] = {}

    def read(self, path: Path, above: Sequence[Path], collection: str | None) -> None:
        """Read a file after those that it includes; `above` are the files that led to it, with their collection."""
        source = _of_collection(read_yaml(path), collection)
        self._read[path.resolve()] = source.name
        names = source.data.get("include") if isinstance(source.data, dict) else None
        for index, name in enumerate(names or () if not include_problems(source) else ()):
            where = f"{source.where(('include', index))} include[{index}]"
            self._include(path.parent / name, where, path, above, source.data.get("collection"))
        self.sources.append(source)

    def _include(self, path: Path, where: str, by: Path, above: Sequence[Path], collection: str | None) -> None:
        target = path.resolve()
        if not target.is_relative_to(self._folder):
            self.problems.append(f"{where}: {path.name!r} is a link that leads out of this folder; copy the file here")
        elif target in {one.resolve() for one in (*above, by)}:
            self.problems.append(f"{where}: {path.name!r} includes itself, through this file; remove one of the two")
        elif target in self._read:
            self.problems.append(f"{where}: {self._read[target]} is included already; name it once")
        elif len(above) >= MAX_DEPTH or len(self._read) >= MAX_FILES:
            self.problems.append(
                f"{where}: at most {MAX_FILES} files are included, at most {MAX_DEPTH} deep; join some of them"
            )
        elif not is_file(path):
            near = did_you_mean(path.name, [one.name for one in path.parent.glob("*.yaml")])
            self.problems.append(f"{where}: no file {path.relative_to(by.parent).as_posix()} beside {by.name}.{near}")
        else:
            self.read(path, (*above, by), collection)


def _of_collection(source: YamlSource, collection: str | None) -> YamlSource:
    """Return a file with the collection of the file that includes it, unless it names one itself."""
    if collection is None or not isinstance(source.data, dict):
        return source
    return replace(source, data={"collection": collection, **source.data})
