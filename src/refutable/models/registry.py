"""The model registry: one YAML row per model, packaged in data/models.yaml; a suite's own file adds and overrides."""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib import resources
from pathlib import Path

from refutable._util.reading import exists
from refutable._util.registry import Registry
from refutable._util.strict_yaml import parse_yaml, read_yaml
from refutable.errors import BadInput, UnknownName
from refutable.models.revision_names import split_name
from refutable.models.row import ModelRow, check_facts
from refutable.models.rows_file import rows_of

MODELS: Registry[ModelRow] = Registry("model", ModelRow)  # rows that extensions add to the packaged ones
_PACKAGED = "refutable/data/models.yaml"
_TWINS = "refutable/data/twins/rows.yaml"
_ABSENT = (
    "check the path (refutable_models in the ini file, or --models), or write one: `refutable models add` does, and"
    " docs/adding-a-model.md shows how"
)


class ModelRegistry:
    """The rows of every registry file, later files adding to and overriding earlier ones."""

    def __init__(self, rows: Iterable[ModelRow]) -> None:
        self._rows = {row.name: row for row in rows}
        self._called: dict[str, ModelRow] = {}
        for row in self._rows.values():
            for name in filter(None, (row.name, row.title, row.hub, *row.aliases)):
                other = self._called.setdefault(name.casefold(), row)
                if other is not row:
                    raise BadInput(
                        f"{name!r} is the name, title, hub repository or alias of two models, {other.name} and"
                        f" {row.name}: rename one"
                    )
        self._matching: dict[str, tuple[ModelRow, ...]] = {}
        self._revisions: dict[str, ModelRow] = {}  # those that were asked for, by name and revision

    def __iter__(self) -> Iterator[ModelRow]:
        return iter(self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, name: str) -> ModelRow:
        """Return the row of a name, or of a model's name and a revision; raises UnknownName with the nearest one."""
        if name in self._rows:
            return self._rows[name]
        model, revision = split_name(name)
        if not revision or model not in self._rows:
            raise UnknownName("model", name, self._rows)
        if name not in self._revisions:
            self._revisions[name] = self._rows[model].at_revision(revision)
        return self._revisions[name]

    @property
    def called(self) -> Collection[str]:
        """Every name, title, alias and hub repository, in lower case."""
        return self._called.keys()

    def named(self, text: str) -> ModelRow | None:
        """Return the row that a person means by `text` (name, title, alias or hub id), or None."""
        bare = text.rstrip("/")
        return self._called.get((bare if "/" in bare else text).casefold())  # "gpt2/" is a folder

    def titled(self, text: str) -> ModelRow | None:
        """Return the row that a table means: as `named`, or one at a revision, ``Pythia-160m@step1000``."""
        model, revision = split_name(text)
        found = self.named(text) or (self.named(model) if revision else None)
        return found if found is None or not revision or self.named(text) else self[f"{found.name}@{revision}"]

    def at(self, path: Path) -> ModelRow | None:
        """Return the row whose weights lie at a path, by whatever way it is written, or None."""
        place = path.resolve() if exists(path) else None
        rows = (row for row in self if row.weights is not None and place is not None)
        return next((row for row in rows if Path(row.weights or "").resolve() == place), None)

    def matching(self, pattern: str) -> tuple[ModelRow, ...]:
        """Return the rows whose name matches a name, alias or glob.

        Raises:
            UnknownName: nothing does.
        """
        if pattern not in self._matching:
            rows = tuple(row for row in self._rows.values() if fnmatch.fnmatchcase(row.name, pattern.lower()))
            single = self.named(pattern)
            if not rows and single is None:
                raise UnknownName("model", pattern, self._rows)
            self._matching[pattern] = rows or ((single,) if single else ())
        return self._matching[pattern]


def load_registry(extra: Path | None = None) -> ModelRegistry:
    """Load the packaged registry, the rows that extensions add and, on top of them, a suite's own file.

    Raises:
        BadInput: a file is unusable; every problem is named.
    """
    rows = {**_packaged_rows()}
    for name in MODELS:
        rows[name] = _added(MODELS[name], rows)
    if extra is not None:
        rows = {**rows, **rows_of(read_yaml(extra, absent=_ABSENT), rows, extra)}
    return ModelRegistry(rows.values())


def place_of(row: ModelRow) -> str:
    """Return where a row that no suite's file adds stands: the packaged file, or the line of an extension."""
    return MODELS.place(row.name) if row.name in MODELS else f"the packaged registry ({_PACKAGED})"


def is_own_commit(row: ModelRow, commit: str) -> bool:
    """Whether a commit is the one that a row pins, of the model's own repository.

    A suite's file may point a packaged name at another repository: that one is not the model's own.
    """
    packaged = _packaged_rows().get(row.base.name, row)
    return commit in (row.revision, packaged.revision) and row.hub == packaged.hub


@functools.cache
def _packaged_rows() -> Mapping[str, ModelRow]:
    rows: dict[str, ModelRow] = {}
    for name in (_PACKAGED, _TWINS):
        file = Path(str(resources.files("refutable"))).parent / name  # weights that are packaged lie beside their rows
        rows |= rows_of(parse_yaml(file.read_text(encoding="utf-8"), name), {}, file)
    return rows


def _added(row: ModelRow, packaged: Mapping[str, ModelRow]) -> ModelRow:
    """Return a row that an extension added; it has a name of its own, and a known family."""
    place = MODELS.place(row.name)
    if row.name in packaged:
        raise BadInput(f"two models are called {row.name!r}: {_PACKAGED} and {place}; rename one")
    try:
        check_facts(row)
    except BadInput as error:
        raise BadInput(f"{place}: models.{row.name}: {error}") from None
    return row
