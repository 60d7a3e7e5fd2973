"""`many-kinds`: that its kinds of text differ in kind, and in nothing that could be told from a prompt's shape."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import Counter

import numpy as np
import pytest

from refutable.prompts.find import load_prompts
from refutable.statistics.check_assumptions import clustering
from refutable.statistics.sample import Sample

KINDS, EACH = 52, 10
PROMPTS = load_prompts("many-kinds")
BY_KIND = {kind: [p for p in PROMPTS.prompts if p.category == kind] for kind in PROMPTS.counts}


def test_there_are_ten_prompts_of_each_of_52_kinds():
    assert len(PROMPTS) == KINDS * EACH
    assert PROMPTS.counts == dict.fromkeys(BY_KIND, EACH)
    assert len(BY_KIND) == KINDS
    assert all(re.fullmatch(r"[A-Z][A-Za-z]*( [a-z]+)?", kind) for kind in BY_KIND)


def test_prompts_are_plain_text():
    for prompt in PROMPTS.prompts:
        assert prompt.text == prompt.text.strip(), prompt
        assert unicodedata.is_normalized("NFC", prompt.text), prompt
        assert all(one.isprintable() for one in prompt.text.replace("\n", "")), prompt


def test_prompts_begin_differently():
    begins = Counter(" ".join(prompt.text.lower().split()[:3]) for prompt in PROMPTS.prompts)
    assert begins.most_common(1)[0][1] == 1


def test_no_prompt_is_part_of_another():
    texts = [prompt.text.lower() for prompt in PROMPTS.prompts]
    assert [pair for pair in itertools.permutations(texts, 2) if pair[0] in pair[1]] == []


def test_lengths_are_those_of_prompts_and_tell_no_kind():
    """The share of the variance of lengths between kinds is 0.01; between the categories of the 500 it is 0.86."""
    lengths = np.array([prompt.tokens for prompt in PROMPTS.prompts], dtype=float)
    assert (lengths.min(), lengths.max()) == (8, 36)
    means = [np.mean([prompt.tokens for prompt in prompts]) for prompts in BY_KIND.values()]
    assert min(means) > 14.5
    assert max(means) < 22.5
    assert all(len({prompt.tokens for prompt in prompts}) >= 5 for prompts in BY_KIND.values())
    sample = Sample("tokens", lengths, "prompt", clusters=PROMPTS.categories)
    found = clustering(sample)
    assert found is not None
    assert found.icc < 0.05


@pytest.mark.parametrize("kind", BY_KIND)
def test_no_ending_gives_a_kind_away(kind):
    """Metrics are read at the last position."""
    ends = Counter(_last_piece(prompt.text) for prompt in BY_KIND[kind])
    assert ends.most_common(1)[0][1] <= 2
    assert len(ends) >= 8


def test_no_ending_is_common():
    ends = Counter(_last_piece(prompt.text) for prompt in PROMPTS.prompts)
    assert ends.most_common(1)[0][1] <= 0.05 * len(PROMPTS)


def _last_piece(text):
    return re.findall(r"\w+|[^\w\s]", text.lower())[-1]


def test_the_halves_hold_different_kinds():
    halves = [load_prompts(f"many-kinds-{half}") for half in ("exploration", "confirmation")]
    assert [len(half.counts) for half in halves] == [KINDS // 2] * 2
    assert [len(half) for half in halves] == [KINDS // 2 * EACH] * 2
    assert not {*halves[0].counts} & {*halves[1].counts}
    assert {*halves[0].counts} | {*halves[1].counts} == {*BY_KIND}
