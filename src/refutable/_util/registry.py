"""The one registry: named things of one kind, found in the files of a package or added by extensions.

The files of a package add what they define; looking a name up imports them once. What an extension adds is collected in
a registry of its own and then adopted, so that it comes in as a whole or not at all.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from refutable.errors import BadInput, UnknownName


class Named(Protocol):
    """What a registry holds: a thing that knows its name."""

    @property
    def name(self) -> str:
        """Return the name that claims write."""
        ...


T = TypeVar("T", bound=Named)


class Registry(Generic[T]):
    """Things of one kind by their names.

    Args:
        kind: the word used in messages, e.g. ``"metric"``.
        of: the class of the things.
        package: dotted name of the package whose modules add the things; None where nothing is to be imported.
    """

    def __init__(self, kind: str, of: type[T], package: str | None = None) -> None:
        self.kind = kind
        self.of = of
        self._package = package
        self._things: dict[str, T] = {}
        self._places: dict[str, str] = {}  # file and line of each `add`
        self._adopted: dict[str, tuple[str, ...]] = {}  # the names that each extension added
        self._loaded = package is None

    def add(self, thing: T) -> T:
        """Add a thing and return it, so that this may stand as a decorator.

        Raises:
            BadInput: it is of another kind, or its name is taken; both places are named.
        """
        place = _place()
        if not isinstance(thing, self.of):
            shown = getattr(thing, "__name__", None) or repr(thing)
            raise BadInput(f"{place}: a {self.kind} is made of {self.of.__name__}(...), and {shown} is none")
        self._refuse_second(thing.name, place)
        self._things[thing.name], self._places[thing.name] = thing, place
        return thing

    def adopt(self, source: str, added: Registry[T]) -> None:
        """Take over what an extension added, in place of what the same extension added before.

        Args:
            source: name of the extension.
            added: what it added.

        Raises:
            BadInput: a name is taken; both places are named.
        """
        if not added._things and source not in self._adopted:
            return
        self._load()
        for name in self._adopted.pop(source, ()):
            del self._things[name], self._places[name]
        for name in added._things:
            self._refuse_second(name, added._places[name])
        self._things |= added._things
        self._places |= added._places
        self._adopted[source] = tuple(added._things)

    def has_adopted(self, source: str) -> bool:
        """Whether anything here was added by the extension of this name."""
        return source in self._adopted

    def place(self, name: str) -> str:
        """Return the file and the line that added a thing."""
        return self._places[name]

    def __getitem__(self, name: str) -> T:
        """Look a name up; raises UnknownName with the nearest known one."""
        self._load()
        if name not in self._things:
            raise UnknownName(self.kind, name, self._things)
        return self._things[name]

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._things

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(sorted(self._things))

    def __len__(self) -> int:
        self._load()
        return len(self._things)

    def _refuse_second(self, name: str, place: str) -> None:
        if name in self._things:
            raise BadInput(f"two {self.kind}s are called {name!r}: {self._places[name]} and {place}; rename one")

    def _load(self) -> None:
        if self._loaded or self._package is None:
            return
        self._loaded = True  # before the imports, which may look names up
        try:
            package = importlib.import_module(self._package)
            for module in pkgutil.iter_modules(package.__path__):
                importlib.import_module(f"{self._package}.{module.name}")
        except BaseException:
            self._loaded = False  # so that the next look-up fails for the same reason, not for an unknown name
            raise


def _place() -> str:
    """Return the file and the line of the call to `add`, below the current folder where it lies there."""
    frame = sys._getframe(2)
    file, here = Path(frame.f_code.co_filename), Path.cwd()
    return f"{file.relative_to(here) if file.is_relative_to(here) else file}:{frame.f_lineno}"
