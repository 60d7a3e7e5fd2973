"""The one registry mechanism: metrics, statistics, reports and theorems each live one to a file in a package.

A file registers what it defines by decorating it; looking a name up imports the package's files once.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from refutable.errors import UnknownName

T = TypeVar("T")


class Registry(Generic[T]):
    """Named things of one kind, found by importing every module of one package.

    Args:
        kind: the word used in messages, e.g. ``"metric"``.
        package: dotted name of the package whose modules register the things.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self._package = package
        self._things: dict[str, T] = {}
        self._loaded = False

    def add(self, name: str, thing: T) -> T:
        """Register `thing` under `name`; a second thing of the same name is a programming error."""
        if name in self._things:
            raise ValueError(f"two {self.kind}s are called {name!r}")
        self._things[name] = thing
        return thing

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that registers what it decorates under `name`."""
        return lambda thing: self.add(name, thing)

    def __getitem__(self, name: str) -> T:
        """Look a name up; raises UnknownName with the nearest known one."""
        if not self._loaded:
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

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True  # before the imports, which may look names up
        try:
            package = importlib.import_module(self._package)
            for module in pkgutil.iter_modules(package.__path__):
                importlib.import_module(f"{self._package}.{module.name}")
        except BaseException:
            self._loaded = False  # so that the next look-up fails for the same reason, not for an unknown name
            raise
