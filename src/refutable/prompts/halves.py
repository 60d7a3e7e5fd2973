"""The halves of a prompt set: one to explore claims on, one to test them on."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable

from refutable.prompts.prompt_set import PromptSet

HALVES = ("exploration", "confirmation")


def half_of(whole: PromptSet, half: str) -> PromptSet:
    """Return one half of a set that has halves.

    A set that parts its prompts has every category in both halves: that is for claims about these categories. One that
    parts its categories has none in both: for claims about categories like these, whose replicate is the category.
    Which half a prompt is in is fixed by the SHA-256 of its text, or of its category's name, so nobody chose it, and no
    text stands in two files.

    Args:
        whole: the set.
        half: one of `HALVES`.
    """
    parity = HALVES.index(half)
    by_category: dict[str, list[str]] = defaultdict(list)
    for prompt in whole.prompts:
        by_category[prompt.category].append(prompt.text)
    if whole.halves == "categories":
        texts = {text for category in _every_second(by_category, parity) for text in by_category[category]}
        parted, by = "categories", "names"
    else:
        texts = {text for of_category in by_category.values() for text in _every_second(of_category, parity)}
        parted, by = "prompts", "texts, in each category"
    kept = tuple(prompt for prompt in whole.prompts if prompt.text in texts)
    complexity = {one.category: whole.complexity[one.category] for one in kept if one.category in whole.complexity}
    source = f"{whole.name}, the {parted} of {('even', 'odd')[parity]} rank (from 0) by the SHA-256 of their {by}"
    return PromptSet(f"{whole.name}-{half}", kept, complexity, source, whole.tokens_by)


def _every_second(words: Iterable[str], parity: int) -> list[str]:
    """Return the words of even or of odd rank by their SHA-256."""
    return sorted(words, key=lambda word: hashlib.sha256(word.encode()).hexdigest())[parity::2]
