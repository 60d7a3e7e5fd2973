"""The coordinates pass against numpy on the states themselves, and on states whose answer is known."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from by_hand import FIVE, seen_by_hand
from tiny import prompt_set

from refutable.errors import NotMeasured
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.coordinates import cosines, run_coordinates, sizes
from refutable.metrics import evaluate
from refutable.traces.passes import Pass

ModelOf = Callable[[str], LoadedModel]
ABOUT = {"model": "tiny", "dtype": "float32", "pass": "coordinates"}
PROMPTS = prompt_set((5, 3, 12))


def mean_cosine(states: np.ndarray, less: int) -> float:
    """Return the mean over pairs, pair by pair, without the coordinates that add most to it."""
    unit = states / np.linalg.norm(states, axis=1, keepdims=True)
    pairs = list(itertools.combinations(range(len(states)), 2))
    share = np.mean([unit[i] * unit[j] for i, j in pairs], axis=0)
    rest = np.delete(states, np.argsort(-share)[:less], axis=1)
    rest /= np.linalg.norm(rest, axis=1, keepdims=True)
    return float(np.mean([rest[i] @ rest[j] for i, j in pairs]))


BY_HAND = {
    "largest_over_median": lambda x: np.abs(x).max() / np.median(np.abs(x)),
    "largest_activation": lambda x: np.abs(x).max(),
    "largest_coordinate": lambda x: np.unravel_index(np.abs(x).argmax(), x.shape)[1],
    "token_cosine": lambda x: mean_cosine(x, 0),
    "token_cosine_less_1": lambda x: mean_cosine(x, 1),
    "token_cosine_less_3": lambda x: mean_cosine(x, 3),
}


@pytest.mark.parametrize("name", FIVE)
def test_each_number_is_that_of_the_states_of_each_prompt_alone(model_of: ModelOf, name: str) -> None:
    model = model_of(name)
    trace = run_coordinates(model, PROMPTS, "key", ABOUT, Pass("coordinates"))
    for prompt, ids in enumerate(model.tokenizer.encode(PROMPTS)):
        states = seen_by_hand(model, ids).states[1:]
        for metric, by_hand in BY_HAND.items():
            for norm, first in itertools.product(("raw", "centred"), ("with", "without")):
                form = states - states.mean(axis=-1, keepdims=True) if norm == "centred" else states
                expected = [by_hand(one[first == "without" :]) for one in form]
                found = evaluate(metric, trace, norm=norm, first_token=first).values[prompt]
                np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5, err_msg=f"{metric} {norm} {first}")


def test_one_large_coordinate_is_found_and_is_what_makes_tokens_alike() -> None:
    states = torch.tensor([[100.0, 1, 0, 0], [100.0, 0, 1, 0], [100.0, 0, 0, 1]])
    assert [float(one) for one in sizes(states)] == [100.0, 0.5, 0.0]  # of 12 entries: six 0, three 1, three 100
    whole, less_1, less_3 = (float(one) for one in cosines(states))
    assert whole == pytest.approx(10000 / 10001)  # 100 * 100 over 100^2 + 1
    assert less_1 == 0  # what is left is orthogonal
    assert np.isnan(less_3), "two of the three states are zero then"


def test_two_tokens_have_one_cosine_and_without_the_first_none(model_of: ModelOf) -> None:
    with pytest.raises(NotMeasured, match="a prompt has 2 tokens, and cosines without the first need 3"):
        run_coordinates(model_of("llama"), prompt_set((5, 2)), "key", ABOUT, Pass("coordinates"))
