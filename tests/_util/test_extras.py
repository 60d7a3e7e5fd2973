"""What measuring needs is looked for without importing it."""

from __future__ import annotations

import sys

import pytest

from refutable._util import extras
from refutable.errors import NotMeasured


class Refusing:
    """A finder as tools that block imports install it."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "gguf":
            raise ModuleNotFoundError(f"No module named {name!r}")


@pytest.fixture(autouse=True)
def _looked_for_anew():
    extras._missing.cache_clear()
    yield
    extras._missing.cache_clear()


def test_nothing_is_said_where_all_is_installed() -> None:
    extras.require_measure()


def test_what_is_missing_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", [Refusing(), *sys.meta_path])
    monkeypatch.delitem(sys.modules, "gguf", raising=False)
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(
        NotMeasured, match=r"not installed here \(accelerate, gguf\): pip install 'refutable\[measure\]'"
    ):
        extras.require_measure()
