"""Two halves of a prompt set: who is where, and which sets have them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refutable.errors import BadInput, UnknownName
from refutable.prompts import find
from refutable.prompts.halves import HALVES, half_of
from refutable.prompts.prompt_set import Prompt, PromptSet, set_of

CATEGORIES = ("poem", "letter", "list", "joke", "map")


def made(halves="prompts", each=4, categories=CATEGORIES, name="mine"):
    prompts = [Prompt(text=f"{kind} {i}", category=kind, tokens=2) for i in range(each) for kind in categories]
    return set_of(name, "made here", "words", prompts, halves)


@pytest.fixture
def added(monkeypatch):
    registry = find.PROMPTS.empty()
    monkeypatch.setattr(find, "PROMPTS", registry)
    return registry


@given(st.sampled_from(["prompts", "categories"]), st.integers(1, 6), st.integers(0, 9))
def test_halves_part_a_set_alike_in_any_order(halves, each, turns):
    whole = made(halves, each)
    turned = replace(whole, prompts=whole.prompts[turns:] + whole.prompts[:turns])
    parts = [half_of(whole, half) for half in HALVES]
    assert sorted(p.text for part in parts for p in part.prompts) == sorted(p.text for p in whole.prompts)
    for half, part in zip(HALVES, parts, strict=True):
        assert part.prompts == tuple(p for p in whole.prompts if p in part.prompts)
        assert set(part.prompts) == set(half_of(turned, half).prompts)


@pytest.mark.parametrize("each", [4, 5])
def test_prompts_that_are_parted_leave_every_category_in_both_halves(each):
    counts = [half_of(made("prompts", each), half).counts for half in HALVES]
    assert counts == [dict.fromkeys(CATEGORIES, each - each // 2), dict.fromkeys(CATEGORIES, each // 2)]


def test_categories_that_are_parted_are_whole_and_in_one_half():
    first, second = (half_of(made("categories"), half).counts for half in HALVES)
    assert {*first} | {*second} == {*CATEGORIES}
    assert not {*first} & {*second}
    assert {*first.values(), *second.values()} == {4}
    assert (len(first), len(second)) == (3, 2)


def test_a_half_knows_the_complexity_of_its_own_categories_alone():
    whole = replace(made("categories"), complexity={kind: i for i, kind in enumerate(CATEGORIES)})
    for half in (half_of(whole, name) for name in HALVES):
        assert half.complexity == {kind: whole.complexity[kind] for kind in half.complexity}
        assert {*half.complexity} == {*half.categories}


def test_a_half_has_no_halves():
    assert {half_of(made(), half).halves for half in HALVES} == {None}


def test_an_added_set_has_halves_if_it_says_so(added):
    added.add(made("categories"))
    assert find.load_prompts("mine-exploration") == half_of(made("categories"), "exploration")
    names = [one.name for one in find.known_sets()]
    assert names[-3:] == ["mine", "mine-exploration", "mine-confirmation"]


@pytest.mark.parametrize("name", ["mine-exploration", "grand-unified-25-confirmation", "many-kinds-half"])
def test_a_set_that_does_not_say_so_has_none(added, name):
    added.add(made(None))
    with pytest.raises(UnknownName, match=f"unknown prompt set '{name}'"):
        find.load_prompts(name)


def test_a_set_called_like_a_half_of_another_is_refused(added):
    added.add(made())
    added.add(made(None, name="mine-confirmation"))
    with pytest.raises(BadInput, match=r"two prompt sets are called 'mine-confirmation': .*test_halves\.py:\d+ and "):
        find.load_prompts("mine-confirmation")
    added.add(made(None, name="many-kinds-exploration"))
    with pytest.raises(BadInput, match=r"'many-kinds-exploration': .*a packaged one"):
        find.load_prompts("many-kinds-exploration")


def test_halves_of_another_kind_are_refused(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        'name: mine\nsource: here\ntokens_by: words\nhalves: texts\nprompts: [{text: "a", category: b, tokens: 1}]\n'
    )
    with pytest.raises(BadInput, match=r"mine\.yaml:4 halves: unknown value 'texts'; known: prompts, categories"):
        find.load_prompts(str(tmp_path / "mine.yaml"))


def test_the_hash_of_a_set_does_not_see_its_halves():
    assert made("categories").hash == made(None).hash
    assert isinstance(made(), PromptSet)
