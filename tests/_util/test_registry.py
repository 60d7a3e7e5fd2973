"""The one registry mechanism: names found by importing the files of a package."""

from __future__ import annotations

import sys

import pytest

from refutable._util.registry import Registry
from refutable.errors import UnknownName


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return a function that makes a package `things` with a registry and modules of the given text."""

    def make(**modules):
        folder = tmp_path / "things"
        folder.mkdir()
        text = 'from refutable._util.registry import Registry\nTHINGS = Registry("thing", "things")\n'
        (folder / "__init__.py").write_text(text)
        for name, body in modules.items():
            (folder / f"{name}.py").write_text(f"from things import THINGS\n{body}\n")
        monkeypatch.syspath_prepend(tmp_path)
        import things

        return things.THINGS

    yield make
    for name in [name for name in sys.modules if name.partition(".")[0] == "things"]:
        del sys.modules[name]


def test_a_file_in_the_package_is_all_that_an_addition_needs(package):
    things = package(
        second='@THINGS.register("b")\ndef b(): return 2', first='@THINGS.register("a")\ndef a(): return 1'
    )
    assert [*things] == ["a", "b"]
    assert things["b"]() == 2
    assert "a" in things
    assert "c" not in things


def test_nothing_is_imported_before_the_first_look_up(package):
    things = package(first='raise RuntimeError("imported")')
    with pytest.raises(RuntimeError, match="imported"):
        things["a"]


def test_files_are_imported_once(package):
    things = package(first='THINGS.add("a", object())')
    assert things["a"] is things["a"]


def test_an_unknown_name_is_refused_with_the_known_and_the_nearest(package):
    things = package(first='THINGS.add("geometric_mean", 1)\nTHINGS.add("mean", 2)')
    with pytest.raises(UnknownName) as caught:
        things["geometric_maen"]
    assert str(caught.value) == (
        "unknown thing 'geometric_maen'; known: geometric_mean, mean. Did you mean 'geometric_mean'?"
    )


def test_nothing_near_is_suggested_where_nothing_is_near(package):
    with pytest.raises(UnknownName, match=r"known: mean\.$"):
        package(first='THINGS.add("mean", 1)')["zzz"]


def test_two_things_of_one_name_are_a_programming_error():
    things = Registry("thing", "things")
    things.add("a", 1)
    with pytest.raises(ValueError, match="two things are called 'a'"):
        things.add("a", 2)


def test_a_broken_file_is_blamed_again_and_not_taken_for_an_unknown_name(package):
    things = package(first='THINGS.add("a", 1)', second="import no_such_module_anywhere")
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="no_such_module_anywhere"):
            things["a"]


def test_a_file_may_look_up_another_while_all_are_being_imported(package):
    things = package(first='THINGS.add("a", 1)', second='THINGS.add("b", THINGS["a"] + 1)')
    assert things["b"] == 2


def test_decorating_leaves_the_function_as_it_was():
    things = Registry("thing", "things")

    def function():
        pass

    assert things.register("f")(function) is function
