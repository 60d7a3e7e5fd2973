"""`passages-128` and `passages-512`: that they are as long as they say, of many kinds, and no text stands twice."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from places import ROOT

from refutable.prompts.find import load_prompts

SETS = {length: load_prompts(f"passages-{length}") for length in (128, 512)}
RUN = 12


@pytest.mark.parametrize("length", SETS)
def test_there_are_20_passages_of_each_of_13_kinds_of_one_length(length):
    prompts = SETS[length]
    assert len(prompts.counts) == 13
    assert {*prompts.counts.values()} == {20}
    assert {prompt.tokens for prompt in prompts.prompts} == {length}
    words = [len(prompt.text.split()) for prompt in prompts.prompts]
    assert 0.3 * length < min(words) < max(words) < length


@pytest.mark.parametrize("length", SETS)
def test_each_half_has_ten_passages_of_every_kind(length):
    halves = [load_prompts(f"passages-{length}-{half}") for half in ("exploration", "confirmation")]
    assert [half.counts for half in halves] == [dict.fromkeys(SETS[length].counts, 10)] * 2
    assert not {p.text for p in halves[0].prompts} & {p.text for p in halves[1].prompts}


def test_no_run_of_twelve_words_stands_twice():
    runs = Counter(
        run
        for prompts in SETS.values()
        for prompt in prompts.prompts
        for words in [re.findall(r"\w+", prompt.text.lower())]
        for run in {" ".join(words[at : at + RUN]) for at in range(len(words) - RUN + 1)}
    )
    assert len(runs) > 80_000
    assert max(runs.values()) == 1


def test_passages_are_plain_text_without_addresses():
    for prompts in SETS.values():
        for prompt in prompts.prompts:
            assert prompt.text == prompt.text.strip()
            assert all(one.isprintable() or one == "\n" for one in prompt.text), prompt.text
            assert "@" not in prompt.text
            assert not re.search(r"https?:", prompt.text)


def test_every_kind_says_its_package_and_licence():
    page = (ROOT / "docs" / "passages.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([A-Z][a-z ]+) \| ([a-z][a-z0-9.-]+) ", page, re.MULTILINE))
    assert {*rows} == {*SETS[128].counts}
    for kind, package in rows.items():
        assert f"{kind}: {package} " in SETS[128].source
        assert f"{kind}: {package} " in SETS[512].source
