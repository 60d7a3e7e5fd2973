"""Prompt sets: the packaged one, a user's own, and how a wrong file is refused."""

from __future__ import annotations

from collections import Counter

import pytest

from refutable.errors import BadInput, UnknownName
from refutable.prompts import load_prompts

OWN = """\
name: mine
source: written for this test
tokens_by: gpt2
prompts:
  - {text: "One two", category: Plain, tokens: 2}
  - {text: "Three é", category: Odd, tokens: 3}
"""


def load(tmp_path, text):
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    return load_prompts(str(tmp_path / "mine.yaml"))


def problem_of(tmp_path, text):
    with pytest.raises(BadInput) as caught:
        load(tmp_path, text)
    return str(caught.value)


def test_the_documents_25_prompts_are_packaged():
    prompts = load_prompts("grand-unified-25")
    assert len(prompts) == 25
    assert Counter(prompts.categories) == dict.fromkeys(("Factual", "Syntactic", "Cliche", "Novel", "Nonsense"), 5)
    assert len({p.text for p in prompts.prompts}) == 25
    assert {*prompts.complexity} == {*prompts.categories}
    assert prompts.prompts[0].text == "The capital city of France is"


def test_the_packaged_prompts_are_those_of_every_stored_trace():
    # another hash means other prompts: every trace and every published verdict would have to be made again
    expected = "e27aa78c34727433d59e0dd4332375b8cc9231c24db4b613d42559235dc71fb1"
    assert load_prompts("grand-unified-25").hash == expected


def test_a_users_own_set_is_read_by_path(tmp_path):
    prompts = load(tmp_path, OWN)
    assert (prompts.name, len(prompts), prompts.categories) == ("mine", 2, ("Plain", "Odd"))
    assert prompts.prompts[1].text == "Three é"


@pytest.mark.parametrize(
    ("old", "new"), [("One two", "One too"), ("Plain", "Other"), ("tokens: 2", "tokens: 4"), ("é", "e\u0301")]
)
def test_the_hash_sees_texts_categories_and_lengths(tmp_path, old, new):
    assert load(tmp_path, OWN).hash != load(tmp_path, OWN.replace(old, new)).hash


def test_the_hash_sees_the_order_of_prompts_and_not_the_sets_name(tmp_path):
    lines = OWN.splitlines(keepends=True)
    assert load(tmp_path, "".join([*lines[:4], lines[5], lines[4]])).hash != load(tmp_path, OWN).hash
    assert load(tmp_path, OWN.replace("name: mine", "name: other")).hash == load(tmp_path, OWN).hash


def test_an_unknown_set_is_refused_with_the_nearest():
    with pytest.raises(UnknownName, match=r"unknown prompt set 'grand-unified'.*Did you mean 'grand-unified-25'\?"):
        load_prompts("grand-unified")


@pytest.mark.parametrize("name", ["../models", "", "/etc/passwd", "grand-unified-25.json"])
def test_a_name_is_no_path(name):
    with pytest.raises(UnknownName, match="unknown prompt set"):
        load_prompts(name)


def test_a_missing_file_is_named():
    with pytest.raises(BadInput, match=r"no-such\.yaml: no such file"):
        load_prompts("no-such.yaml")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (
            OWN.replace('text: "One', 'txet: "One'),
            5,
            "prompts[0].txet: unknown key 'txet'; known: category, text, tokens. Did you mean 'text'?",
        ),
        (
            OWN.replace("source:", "sorce:"),
            2,
            "unknown key 'sorce'; known: complexity, name, prompts, source, tokens_by. Did you mean 'source'",
        ),
        (
            OWN.replace("tokens: 3", "tokens: 0"),
            6,
            "prompts[1].tokens: input should be greater than or equal to 1 (got 0)",
        ),
        (OWN.replace('"One two"', '""'), 5, "prompts[0].text: string should have at least 1 character"),
        (OWN.replace('"One two"', "12"), 5, "prompts[0].text: must be text (got 12); put it in quotes"),
        (OWN.replace("name: mine", "name: My Set"), 1, "name: 'My Set' does not match"),
        (OWN.replace("category: Odd, ", ""), 6, "prompts[1].category: the key 'category' is missing"),
        (OWN.split("prompts:")[0] + "prompts: []\n", 4, "prompts: must have at least 1 (got [])"),
        (OWN.split("prompts:")[0] + "prompts: One\n", 4, "prompts: must be a list (got 'One')"),
        (
            OWN.split("prompts:")[0] + "prompts: [One]\n",
            4,
            "prompts[0]: must be a mapping of keys (got 'One')",
        ),
        ("", 1, "the file: must be a mapping of keys (got None)"),
        ("- a\n", 1, "the file: must be a mapping of keys (got ['a'])"),
        (OWN + "name: again\n", 7, "repeats the key 'name' of line 1"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line_and_the_nearest_word(tmp_path, text, line, words):
    problem = problem_of(tmp_path, text)
    assert f"mine.yaml:{line} " in problem
    assert words in problem
    assert "pydantic" not in problem


def test_every_problem_is_named_at_once(tmp_path):
    text = OWN.replace("tokens: 2", "tokens: x").replace("source:", "sorce:")
    assert len(problem_of(tmp_path, text).splitlines()) == 3  # a missing key, an unknown one, a wrong number
