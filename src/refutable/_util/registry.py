"""The registry: named things of one kind, defined in the modules of a package or added by extensions.

The first look-up imports the package's modules, which add what they define. An extension fills a registry of its own,
which is then adopted whole or not at all.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from refutable._util.text import below_here
from refutable.errors import BadInput, UnknownName


class Named(Protocol):
    """A thing that knows its name."""

    @property
    def name(self) -> str:
        """The name that claims use."""
        ...


T = TypeVar("T", bound=Named)


class Registry(Generic[T]):
    """Things of one kind by name.

    Args:
        kind: the word used in messages, such as ``"metric"``.
        of: the class of the things.
        package: dotted name of the package whose modules add the things, if any.
    """

    def __init__(self, kind: str, of: type[T], package: str | None = None) -> None:
        self.kind = kind
        self.of = of
        self._package = package
        self._things: dict[str, T] = {}
        self._places: dict[str, str] = {}  # file and line of each `add`
        self._adopted: dict[str, tuple[str, ...]] = {}  # names that each extension added
        self._loaded = package is None

    def add(self, thing: T) -> T:
        """Add a thing and return it, so that this can be used as a decorator.

        Raises:
            BadInput: it is of another kind, or its name is taken; the message gives both places.
        """
        place = _place()
        if not isinstance(thing, self.of):
            shown = getattr(thing, "__name__", None) or repr(thing)
            raise BadInput(f"{place}: a {self.kind} is made of {self.of.__name__}(...), and {shown} is none")
        self._refuse_second(thing.name, place)
        self._things[thing.name], self._places[thing.name] = thing, place
        return thing

    def adopt(self, source: str, added: Registry[T]) -> None:
        """Take over what the extension `source` added, replacing what it added before; a taken name raises BadInput."""
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
        """Whether an extension of this name added anything."""
        return source in self._adopted

    def empty(self) -> Registry[T]:
        """Return an empty registry of the same kind, for an extension to fill."""
        return Registry(self.kind, self.of)

    def place(self, name: str) -> str:
        """Return the file and line that added a thing."""
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
            self._loaded = False  # the next look-up then fails for the same reason, not for an unknown name
            raise


def _place() -> str:
    """Return the file and line of the call to `add`."""
    frame = sys._getframe(2)
    return f"{below_here(Path(frame.f_code.co_filename))}:{frame.f_lineno}"
