"""Prompt sets: the packaged one, a user's own, and how a wrong file is refused."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import Counter

import pytest
from hypothesis import given as given_inputs
from hypothesis import strategies as st

from refutable.errors import BadInput, UnknownName
from refutable.prompts.find import given_prompts, known_sets, load_prompts
from refutable.prompts.text_files import count_tokens

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


# 500 texts and their halves

PINNED = {
    "grand-unified-25": "e27aa78c34727433d59e0dd4332375b8cc9231c24db4b613d42559235dc71fb1",
    "grand-unified-500": "ae6c5f13b5d25cf53ffa243f1f5ce1468f980aea56799deeaf47b302ca2a2625",
    "grand-unified-500-confirmation": "37997b440980fe497846ce10ea083eadda42a1f8bc530f5de5c85846b18f076e",
    "grand-unified-500-exploration": "aaa11de7086d5737bcfbc1f2843f3e1813ba844125307ec9b89d0ad6301a4e05",
    "many-kinds": "7659ac01c19c8ed5ccc0408e864fa7049ebc4e32568cc2f1822ced4b359cac20",
    "many-kinds-52": "07fd125ae1a993317d1b0129118e2c86d6e75c05b586a9dce6b7fa0520ab9b2f",
    "many-kinds-confirmation": "bdf8f9d589fbc2659f70ad4332fc2ccb1d53289ba602f517711600a76747291b",
    "many-kinds-exploration": "c8cf14b4ccadc4a0474bad9f7350d5cd97b742fe0f29a01b47833ac7450d59f0",
    "passages-128": "a4a5575d8c7e42b605b3a3632ff404708cd5c22802ce4e88143193ca993abfb9",
    "passages-128-13": "4d92a096713165d8dd81d223398611eaab48ac989398a5635b16f5845492fe3a",
    "passages-128-confirmation": "639fec23e6b117713e0c727fb21673e64d0c20e8a923425a6021a98d0c301ffa",
    "passages-128-exploration": "3215184c051895473905a6856e7b2e9b62ee30d99fa087992876025d64fbb8da",
    "passages-512": "b9e561ef8f1c72d61bc410c782279eefa5d59c70d3135f4b0b3f13c4098846ca",
    "passages-512-confirmation": "c48358524fde1062df1db27951293af2482c703ce56527fc747c8ce174bfdd77",
    "passages-512-exploration": "9403e824d360190c897560bd08ebb58a637d0cbf47a6ee4be35b44985ac0421b",
}
WRITTEN = ("grand-unified-25", "grand-unified-500", "many-kinds")  # none is part of another
CATEGORIES = ("Factual", "Syntactic", "Cliche", "Novel", "Nonsense")


def test_every_packaged_set_is_the_one_that_was_published():
    assert {one.name: one.hash for one in known_sets()} == PINNED


@pytest.mark.parametrize(("name", "of"), [("many-kinds-52", "many-kinds"), ("passages-128-13", "passages-128")])
def test_one_of_each_kind_is_the_one_whose_text_has_the_least_hash(name, of):
    least = {}
    for prompt in sorted(load_prompts(of).prompts, key=lambda one: hashlib.sha256(one.text.encode()).hexdigest()):
        least.setdefault(prompt.category, prompt)
    assert {*load_prompts(name).prompts} == {*least.values()}
    assert [*load_prompts(name).counts] == [*load_prompts(of).counts]


def test_the_500_are_a_hundred_of_each_of_the_documents_categories():
    whole = load_prompts("grand-unified-500")
    assert whole.counts == dict.fromkeys(CATEGORIES, 100)
    assert whole.complexity == load_prompts("grand-unified-25").complexity


def test_the_halves_part_the_whole_by_the_rank_of_each_texts_hash():
    whole = load_prompts("grand-unified-500")
    halves = [load_prompts(f"grand-unified-500-{half}") for half in ("exploration", "confirmation")]
    assert [half.counts for half in halves] == [dict.fromkeys(CATEGORIES, 50)] * 2
    texts = [{prompt.text for prompt in half.prompts} for half in halves]
    assert not texts[0] & texts[1]
    assert texts[0] | texts[1] == {prompt.text for prompt in whole.prompts}
    for category in CATEGORIES:
        of = [prompt.text for prompt in whole.prompts if prompt.category == category]
        ranked = sorted(of, key=lambda text: hashlib.sha256(text.encode()).hexdigest())
        assert [text in texts[0] for text in ranked] == [True, False] * 50


def test_no_prompt_is_near_another():
    seen = [(p.text, _words(p.text)) for name in WRITTEN for p in load_prompts(name).prompts]
    assert len(seen) == 1045
    near = [
        (one, other)
        for (one, a), (other, b) in itertools.combinations(seen, 2)
        if len(a & b) > 0.6 * len(a | b)  # share of common words
    ]
    assert near == []


def _words(text):
    return set(re.findall(r"\w+", text.lower()))


# Prompts as plain text or JSON lines


def given(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return given_prompts(str(path))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("mine.txt", "One two\nThree é\n"),
        ("mine.txt", b"\xef\xbb\xbfOne two\r\nThree \xc3\xa9"),  # a byte order mark, Windows' line ends, no last one
        ("mine", "One two\nThree é\n\n\n"),
        ("mine.csv", "category,text\n,One two\n,Three é\n"),
        ("mine.tsv", "text\ttokens\tsource\nOne two\t\tme\nThree é\t2\tme\n"),
        ("mine.jsonl", '{"text": "One two"}\n"Three é"\n'),
        ("mine.jsonl", b'\xef\xbb\xbf{"text": "One two", "tokens": 2}\n{"text": "Three \\u00e9"}\n'),
    ],
)
def test_plain_text_and_json_lines_are_read_alike(tmp_path, name, content):
    prompts = given(tmp_path, name, content)
    assert (prompts.name, prompts.given) == ("mine", True)
    assert [(p.text, p.category, p.tokens) for p in prompts.prompts] == [("One two", "", 2), ("Three é", "", 2)]


def test_json_lines_take_categories_and_lengths(tmp_path):
    prompts = given(tmp_path, "My Set!.jsonl", '{"text": "a\\nb", "category": "Odd", "tokens": 9}\n')
    assert [(p.text, p.category, p.tokens) for p in prompts.prompts] == [("a\nb", "Odd", 9)]
    assert prompts.name == "my-set-"


def test_a_packaged_set_or_the_packaged_form_stands_in_too(tmp_path):
    assert given_prompts("grand-unified-500-confirmation").hash == PINNED["grand-unified-500-confirmation"]
    assert given(tmp_path, "mine.yaml", OWN).hash == load(tmp_path, OWN).hash


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", "", "a.txt: empty; write one prompt a line"),
        ("a.txt", " \n\n", "a.txt: empty"),
        ("a.txt", "One\n\nTwo\n", "a.txt:2 is blank; one prompt a line"),
        ("a.txt", "One\nTwo\nOne\n", "a.txt:3 repeats the prompt of line 1"),
        ("a.txt", b"One\n\xff\n", "a.txt: not UTF-8 text (byte 4)"),
        ("a.txt", "x" * 20_001, "a.txt:1: the prompt has 20001 characters; a prompt has at most 20000"),
        ("a.txt", b"x\n" * 2_100_000, "at most 4194304 are read"),
        ("a.json", "[]", "files that end in .json are not read"),
        ("a.jsonl", "{\n", "a.jsonl:1: not JSON"),
        ("a.jsonl", "[" * 100_000, "a.jsonl:1: nested deeper than 200 levels"),
        ("a.jsonl", "3\n", "a.jsonl:1 must be an object with a `text`"),
        ("a.jsonl", '{"txet": "One"}\n', "must be an object with a `text`"),
        ("a.jsonl", '{"text": "One", "categroy": "x"}\n', "unknown key 'categroy'"),
        ("a.jsonl", '{"text": "One", "tokens": 0}\n', "tokens must be a whole number from 1 to 80000 (got '0')"),
        ("a.jsonl", '{"text": "One", "category": 3}\n', "category must be text (got 3)"),
        ("a.jsonl", '{"text": " "}\n', "a.jsonl:1: the prompt is blank"),
        ("a.yaml", OWN.replace('"One two"', '" "'), "prompts[0].text: is blank"),
        ("a.yaml", b"\xff", "not UTF-8"),
        ("a.yaml", OWN.replace('"One two"', '" Three   é"'), "stands twice"),
        ("a.yaml", OWN.replace('"One two"', '"\\ud83d"'), "half of a surrogate pair"),
        ("a.txt", "a\na \n", "a.txt:2 repeats the prompt of line 1"),
        ("a.txt", "caf\u00e9\ncafe\u0301\n", "a.txt:2 repeats the prompt of line 1"),
        ("a.xlsx", b"PK", "files that end in .xlsx are not read"),
        ("a.md", "One\n", "files that end in .md are not read"),
        (
            "cities.csv",
            "statement,label\nParis is in France,1\n",
            "with the prompts; found statement",
        ),
        ("cities.csv", "text,text\na,b\n", "one column `text`"),
        ("a.csv", "text,category\nOne, two,three\n", "a.csv:2: has not as many cells as the header"),
        ("a.csv", "text,category\nOne\n", "a.csv:2: has not as many cells as the header"),
        ("a.csv", "text,tokens\nOne,-3\n", "a.csv:2: tokens must be a whole number"),
        ("a.csv", 'text\n""\n', "a.csv:2: the prompt is blank"),
        ("a.csv", "", "one column `text`, with the prompts; found nothing"),
        ("a.csv", "text\n", "a.csv: empty"),
        ("a.jsonl", '{"text": "\\ud800"}', "a.jsonl:1: holds half of a surrogate pair"),
        ("a.jsonl", '{"text": "a", "text": "b"}', "a.jsonl:1: repeats the key 'text'"),
        ("a.jsonl", '{"text": "a", "tokens": 1000000000}', "tokens must be a whole number from 1 to 80000"),
        ("a.jsonl", '{"text": "a", "tokens": true}', "tokens must be a whole number"),
    ],
)
def test_a_wrong_prompt_file_is_refused(tmp_path, name, content, words):
    with pytest.raises(BadInput) as caught:
        given(tmp_path, name, content)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent.txt", "no such file"),
        ("deep/absent", "no such file"),
        (".", "not a file"),
        ("grand-unified", "Did you"),
    ],
)
def test_prompts_that_are_not_there_are_named(name, words):
    with pytest.raises(BadInput, match=words):
        given_prompts(name)


@given_inputs(st.text(max_size=200))
def test_a_length_is_at_least_1_and_grows_with_the_text(text):
    assert 1 <= count_tokens(text) <= max(1, len(text))
    assert count_tokens(text) <= count_tokens(f"{text} more")


def test_lengths_are_near_those_of_smollm2s_tokenizer():
    prose = [p for name in WRITTEN[:2] for p in load_prompts(name).prompts]
    off = [abs(count_tokens(p.text) - p.tokens) for p in prose]
    assert (len(off), max(off), sum(off) / len(off) < 0.9) == (525, 6, True)
    off = [abs(count_tokens(p.text) - p.tokens) for p in load_prompts("many-kinds").prompts]
    assert (len(off), max(off), sum(off) / len(off) < 2.4) == (520, 13, True)


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
            "unknown key 'sorce'; known: complexity, halves, name, prompts, source, tokens_by. Did you mean 'source'",
        ),
        (
            OWN.replace("tokens: 3", "tokens: 0"),
            6,
            "prompts[1].tokens: input should be greater than or equal to 1 (got 0)",
        ),
        (OWN.replace('"One two"', '""'), 5, "prompts[0].text: is blank"),
        (OWN.replace('"One two"', "12"), 5, "prompts[0].text: must be text (got 12); put it in quotes"),
        (OWN.replace("name: mine", "name: My Set"), 1, "name: 'My Set' does not match"),
        (OWN.replace("category: Odd, ", ""), 6, "prompts[1].category: the key 'category' is missing"),
        (OWN.split("prompts:")[0] + "prompts: []\n", 4, "prompts: is empty (got []); name at least one"),
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
