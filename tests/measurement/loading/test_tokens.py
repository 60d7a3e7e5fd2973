"""The beginning-of-sequence token put before prompts, or taken away."""

from __future__ import annotations

import pytest
from tiny import prompt_set

from refutable.errors import NotMeasured
from refutable.measurement.loading.tokens import OwnTokenizer

BOS = 7


class Fake:
    """A tokenizer of fixed ids, with or without a beginning of its own."""

    def __init__(self, ids: list[int], bos: int | None = BOS) -> None:
        self.ids, self.bos_token_id = ids, bos

    def __call__(self, text: str) -> dict[str, list[int]]:
        return {"input_ids": list(self.ids)}


def test_each_prompt_begins_as_asked_whatever_the_tokenizer_does() -> None:
    prompts = prompt_set([3, 3])
    begun, bare = (OwnTokenizer(Fake(ids)) for ids in ([BOS, 1, 2], [1, 2]))
    assert begun.encode(prompts) == [[BOS, 1, 2]] * 2 == bare.encode(prompts, "with")
    assert bare.encode(prompts) == [[1, 2]] * 2 == begun.encode(prompts, "without")


def test_only_the_first_one_is_taken_away() -> None:
    assert OwnTokenizer(Fake([BOS, BOS, 1])).encode(prompt_set([3]), "without") == [[BOS, 1]]


@pytest.mark.parametrize(
    ("tokenizer", "bos", "why"),
    [
        (Fake([1], None), "with", "no beginning-of-sequence token"),
        (Fake([BOS]), "without", "has no token but"),
        (Fake([1]), "without", "nothing varies"),
        (Fake([BOS, 1]), "with", "nothing varies"),
    ],
)
def test_what_cannot_begin_so_is_not_measured(tokenizer: Fake, bos: str, why: str) -> None:
    with pytest.raises(NotMeasured, match=why):
        OwnTokenizer(tokenizer).encode(prompt_set([3]), bos)  # type: ignore[arg-type]
