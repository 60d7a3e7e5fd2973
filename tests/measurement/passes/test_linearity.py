"""The linearity pass against least squares on the states themselves, and on states whose answer is known."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from by_hand import FIVE, seen_by_hand
from tiny import prompt_set

from refutable.errors import NotMeasured
from refutable.measurement.forecast import blocks_at_once
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes import linearity
from refutable.measurement.passes.linearity import Moments, halves_of, linear_map, moments, run_linearity, scores
from refutable.metrics import evaluate
from refutable.traces.passes import Pass

ModelOf = Callable[[str], LoadedModel]
ABOUT = {"model": "tiny", "dtype": "float32", "pass": "linearity"}
PROMPTS = prompt_set((60, 50, 3, 60, 58, 57))  # a, b, a, b, ...: 118 and 164 tokens after the first, of 32 coordinates


def by_hand(fit: list[tuple[np.ndarray, np.ndarray]], x: np.ndarray, y: np.ndarray, *, update: bool) -> float:
    """Return 1 - |Y - X A|^2 / |Y|^2 of one prompt, with A by least squares on the states of others."""
    every = [np.concatenate(own) for own in zip(*fit, strict=True)]
    read, given = (own - own.mean(axis=0) for own in every)
    best = np.linalg.lstsq(read, given, rcond=1e-6)[0]
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    whole = y - x if update else y
    return float(1 - ((y - x @ best) ** 2).sum() / (whole**2).sum())


@pytest.mark.parametrize("name", [*FIVE, "bloom"])
def test_each_number_is_that_of_least_squares_on_the_other_category(model_of: ModelOf, name: str) -> None:
    model = model_of(name)
    trace = run_linearity(model, PROMPTS, "key", ABOUT, Pass("linearity"))
    states = [seen_by_hand(model, ids).states for ids in model.tokenizer.encode(PROMPTS)]
    for norm, first in itertools.product(("raw", "centred"), ("with", "without")):
        form = [own - own.mean(axis=-1, keepdims=True) if norm == "centred" else own for own in states]
        form = [own[:, first == "without" :] for own in form]
        for metric, update in (("linearity", False), ("update_linearity", True)):
            expected = [
                [
                    by_hand(
                        [(o[at], o[at + 1]) for o in form[1 - prompt % 2 :: 2]], own[at], own[at + 1], update=update
                    )
                    for at in range(3)
                ]
                for prompt, own in enumerate(form)
            ]
            found = evaluate(metric, trace, norm=norm, first_token=first).values
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5, err_msg=f"{metric} {norm} {first}")


def drawn(tokens: int, width: int, seed: int) -> torch.Tensor:
    return torch.randn(tokens, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def four(own: Moments) -> list[torch.Tensor]:
    return [linear_map(own, of_centred=form) for _ in (0, 1) for form in (False, True)]


def test_a_linear_block_scores_1_and_noise_costs_its_share() -> None:
    x, other, a = drawn(4000, 8, 1), drawn(4000, 8, 2), drawn(8, 8, 3)
    shift = 5 * drawn(1, 8, 4)
    np.testing.assert_allclose(scores(other, other @ a + shift, four(moments(x, x @ a + shift)))[[0, 1, 4, 5]], 1.0)
    # y = x + e with e of the variance of x: half of y is explained, and nothing of e
    y, tried = x + drawn(4000, 8, 5), other + drawn(4000, 8, 6)
    found = scores(other, tried, four(moments(x, y)))
    np.testing.assert_allclose(found[0::2], 0.5, atol=0.02)
    np.testing.assert_allclose(found[1::2], 0.0, atol=0.02)


def test_with_no_more_tokens_than_coordinates_a_map_scores_1_where_it_was_fitted_and_nothing_elsewhere() -> None:
    x, y = drawn(20, 32, 1), drawn(20, 32, 2)
    found = four(moments(x, y))
    assert scores(x, y, found)[0] == pytest.approx(1.0)
    assert scores(drawn(20, 32, 3), drawn(20, 32, 4), found)[0] < 0


def test_states_in_fewer_directions_than_coordinates_have_a_map_and_one_state_has_no_score() -> None:
    x = drawn(100, 3, 1) @ drawn(3, 8, 2)
    assert scores(x, 2 * x, four(moments(x, 2 * x)))[[0, 1]] == pytest.approx([1.0, 1.0])
    same = torch.ones(5, 8, dtype=torch.float64)
    assert np.isnan(scores(same, same, four(moments(x, x)))).all()
    assert torch.isnan(linear_map(moments(x * torch.nan, x), of_centred=False)).all()


def test_halves_are_of_categories_and_without_these_of_prompts() -> None:
    assert halves_of(["a", "a", "b", "c", "b"]) == [0, 0, 1, 0, 1]
    assert halves_of(["", "", ""]) == [0, 1, 0]


def test_few_blocks_at_a_time_and_memory_that_runs_out_change_nothing(
    model_of: ModelOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of("llama")
    whole = run_linearity(model, PROMPTS, "key", ABOUT, Pass("linearity"))
    monkeypatch.setattr(linearity, "blocks_at_once", lambda width: 2)
    add, seen = linearity.Sums.add, [0]

    def fails_once(self: linearity.Sums, *given: object) -> None:
        seen[0] += 1
        if seen[0] == 8:
            raise torch.OutOfMemoryError
        add(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(linearity.Sums, "add", fails_once)
    apart = run_linearity(model, PROMPTS, "key", ABOUT, Pass("linearity"))
    assert apart.meta["batch_halvings"] == 1
    for name in linearity.COLUMNS:
        expected = whole.blocks[name].to_numpy()
        np.testing.assert_allclose(apart.blocks[name].to_numpy(), expected, rtol=1e-5, atol=1e-5)


def test_too_few_tokens_are_refused_with_the_reason(model_of: ModelOf) -> None:
    with pytest.raises(NotMeasured, match="one half of the prompts has 32 tokens after the first ones"):
        run_linearity(model_of("llama"), prompt_set((33, 60)), "key", ABOUT, Pass("linearity"))
    with pytest.raises(NotMeasured, match="a prompt has 2 tokens, and linearity without the first needs 3"):
        run_linearity(model_of("llama"), prompt_set((60, 60, 2)), "key", ABOUT, Pass("linearity"))


def test_matrices_of_wide_models_are_held_for_one_block_at_a_time() -> None:
    assert [blocks_at_once(width) for width in (576, 1600, 4096, 8192)] == [94, 12, 1, 1]
