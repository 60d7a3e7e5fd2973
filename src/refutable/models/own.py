"""Words of `--model` that name no row: the registry with a row of each folder, GGUF file and repository."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from refutable._util.reading import exists
from refutable.errors import BadInput, NotMeasured
from refutable.models.describer import UNKNOWN, Describer, whereabouts
from refutable.models.free_name import free_name
from refutable.models.naming import is_gguf
from refutable.models.registry import ModelRegistry
from refutable.models.row import ModelRow


def known_as(given: str, registry: ModelRegistry) -> ModelRow | None:
    """Return the row that a word of ``--model`` means, by what it is called or where its weights lie; None without one.

    A word that is somebody's name is never taken for a path.
    """
    return registry.named(given) or (registry.at(Path(given)) if given.strip() else None)


def is_own(given: str, registry: ModelRegistry) -> bool:
    """Whether a word of ``--model`` is a path or a repository, or no name at all, and not a model of the registry."""
    may_be_own = not given.strip() or "/" in given or is_gguf(given) or exists(Path(given))
    return may_be_own and known_as(given, registry) is None


def with_own(
    registry: ModelRegistry, asked: Iterable[str], describer: Callable[[], Describer]
) -> tuple[ModelRegistry, tuple[str, ...]]:
    """Return the registry with a row of each model that is asked for by path or repository, and the names of all asked.

    One that cannot be described stops only itself: its row says why, and nothing is measured of it.

    Args:
        registry: the known models.
        asked: words of ``--model``.
        describer: returns what makes such rows; only called for one.
    """
    asked = tuple(asked)
    names: dict[str, str] = {}
    for given in dict.fromkeys(asked):
        row = known_as(given, registry)
        if is_own(given, registry):
            row = _described(given, registry.called, describer())
            registry = ModelRegistry([*registry, row])
        names[given] = given if row is None else row.name
    return registry, tuple(names[given] for given in asked)


def _described(given: str, taken: Collection[str], describer: Describer) -> ModelRow:
    """Return the row of a model, or one that stands for it and says why it cannot be described."""
    try:
        return describer.row(given, taken)
    except (BadInput, NotMeasured) as error:
        here = whereabouts(Path(given)) if given.strip() and exists(Path(given)) else None
        name = free_name(given.split("/") if here is None else here.parts, taken)
        empty = ModelRow(
            name=name,
            title=name,
            weights=str(here) if here else None,
            family=UNKNOWN,
            parameters=1,
            organisation=UNKNOWN,
            licence=UNKNOWN,
            config={},
        )
        return empty.called(given, error.with_traceback(None))
