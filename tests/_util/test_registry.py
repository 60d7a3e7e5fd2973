"""The one registry mechanism: things found by importing the files of a package, and what extensions add to them."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pytest

from refutable._util.registry import Registry
from refutable.errors import BadInput, UnknownName


@dataclass(frozen=True)
class Thing:
    name: str
    value: object = None


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return a function that makes a package `things` with a registry and modules of the given text."""

    def make(**modules):
        folder = tmp_path / "things"
        folder.mkdir()
        (folder / "__init__.py").write_text(
            "from dataclasses import dataclass\nfrom refutable._util.registry import Registry\n"
            "@dataclass(frozen=True)\nclass Thing:\n    name: str\n    value: object = None\n"
            'THINGS = Registry("thing", Thing, "things")\n'
        )
        for name, body in modules.items():
            (folder / f"{name}.py").write_text(f"from things import THINGS, Thing\n{body}\n")
        monkeypatch.syspath_prepend(tmp_path)
        import things

        return things.THINGS

    yield make
    for name in [name for name in sys.modules if name.partition(".")[0] == "things"]:
        del sys.modules[name]


def registry_of(*things):
    """Return a registry without a package that has these things."""
    registry = Registry("thing", Thing)
    for thing in things:
        registry.add(thing)
    return registry


def test_a_file_in_the_package_is_all_that_an_addition_needs(package):
    things = package(second='THINGS.add(Thing("b", 2))', first='THINGS.add(Thing("a"))')
    assert [*things] == ["a", "b"]
    assert len(things) == 2
    assert things["b"].value == 2
    assert "a" in things
    assert "c" not in things


def test_nothing_is_imported_before_the_first_look_up(package):
    things = package(first='raise RuntimeError("imported")')
    with pytest.raises(RuntimeError, match="imported"):
        things["a"]


def test_files_are_imported_once(package):
    things = package(first='THINGS.add(Thing("a", object()))')
    assert things["a"] is things["a"]


def test_an_unknown_name_is_refused_with_the_known_and_the_nearest(package):
    things = package(first='THINGS.add(Thing("geometric_mean"))\nTHINGS.add(Thing("mean"))')
    with pytest.raises(UnknownName) as caught:
        things["geometric_maen"]
    assert str(caught.value) == (
        "unknown thing 'geometric_maen'; known: geometric_mean, mean. Did you mean 'geometric_mean'?"
    )


def test_nothing_near_is_suggested_where_nothing_is_near(package):
    with pytest.raises(UnknownName, match=r"known: mean\.$"):
        package(first='THINGS.add(Thing("mean"))')["zzz"]


def test_two_things_of_one_name_are_refused_with_both_places():
    things = registry_of(Thing("a"))
    with pytest.raises(BadInput, match=r"two things are called 'a': \S+\.py:\d+ and \S+\.py:\d+; rename one"):
        things.add(Thing("a"))


def test_a_thing_of_another_kind_is_refused_with_its_place():
    with pytest.raises(BadInput, match=r"test_registry\.py:\d+: a thing is made of Thing\(\.\.\.\), and len is none"):
        Registry("thing", Thing).add(len)


def test_a_broken_file_is_blamed_again_and_not_taken_for_an_unknown_name(package):
    things = package(first='THINGS.add(Thing("a"))', second="import no_such_module_anywhere")
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="no_such_module_anywhere"):
            things["a"]


def test_a_file_may_look_up_another_while_all_are_being_imported(package):
    things = package(first='THINGS.add(Thing("a", 1))', second='THINGS.add(Thing("b", THINGS["a"].value + 1))')
    assert things["b"].value == 2


def test_adding_returns_the_thing_so_that_it_may_decorate():
    thing = Thing("f")
    assert Registry("thing", Thing).add(thing) is thing


def test_what_an_extension_adds_is_known_beside_the_packages_own(package):
    things = package(first='THINGS.add(Thing("a"))')
    added = Registry("thing", things.of)
    added.add(things.of("b"))
    things.adopt("mine", added)
    assert [*things] == ["a", "b"]
    assert "test_registry.py" in things.place("b")


def test_an_extension_that_comes_again_replaces_what_it_added_before():
    things = registry_of(Thing("own"))
    things.adopt("mine", registry_of(Thing("a"), Thing("b")))
    things.adopt("mine", registry_of(Thing("b", "new")))
    assert [*things] == ["b", "own"]
    assert things["b"].value == "new"
    things.adopt("mine", registry_of())
    assert [*things] == ["own"]


def test_a_name_that_is_taken_leaves_the_whole_extension_out():
    things = registry_of(Thing("own"))
    with pytest.raises(BadInput, match="two things are called 'own'"):
        things.adopt("mine", registry_of(Thing("a"), Thing("own")))
    assert [*things] == ["own"]
