"""The beginning-of-sequence token put before prompts, or taken away."""

from __future__ import annotations

import pytest
from tiny import prompt_set

from refutable.errors import NotMeasured
from refutable.measure.tokens import OwnTokenizer

BOS = 7


class Fake:
    """A tokenizer of fixed ids, with or without a beginning of its own."""

    def __init__(self, ids: list[int], bos: int | None = BOS) -> None:
        self.ids, self.bos_token_id = ids, bos

    def __call__(self, text: str) -> dict[str, list[int]]:
        return {"input_ids": list(self.ids)}


@pytest.mark.parametrize("ids", [[BOS, 1, 2], [1, 2]])
def test_each_prompt_begins_as_asked_whatever_the_tokenizer_does(ids: list[int]) -> None:
    tokenizer, prompts = OwnTokenizer(Fake(ids)), prompt_set([3, 3])
    assert tokenizer.encode(prompts) == [ids, ids]
    assert tokenizer.encode(prompts, "with") == [[BOS, 1, 2]] * 2
    assert tokenizer.encode(prompts, "without") == [[1, 2]] * 2


def test_only_the_first_one_is_taken_away() -> None:
    assert OwnTokenizer(Fake([BOS, BOS, 1])).encode(prompt_set([3]), "without") == [[BOS, 1]]


@pytest.mark.parametrize(
    ("tokenizer", "bos", "why"),
    [(Fake([1], None), "with", "no beginning-of-sequence token"), (Fake([BOS]), "without", "has no token but")],
)
def test_what_cannot_begin_so_is_not_measured(tokenizer: Fake, bos: str, why: str) -> None:
    with pytest.raises(NotMeasured, match=why):
        OwnTokenizer(tokenizer).encode(prompt_set([3]), bos)  # type: ignore[arg-type]
