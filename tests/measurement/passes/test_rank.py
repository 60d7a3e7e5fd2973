"""The rank pass against numpy on the states themselves, and on states whose rank is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import VARIANTS, prompt_set, tiny_model

from refutable.errors import NotMeasured
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.rank import effective_ranks, run_rank, variances
from refutable.metrics import evaluate
from refutable.traces.passes import Pass

ModelOf = Callable[[str], LoadedModel]
ABOUT = {"model": "tiny", "dtype": "float32", "pass": "rank"}
PROMPTS = prompt_set((5, 3, 12, 4, 9))


def by_hand(states: np.ndarray, start: int = 1) -> float:
    counted = states[start:]
    singular = np.linalg.svd(counted - counted.mean(axis=0), compute_uv=False)[: len(counted) - 1]
    share = singular / singular.sum()
    return float(np.exp(-sum(p * np.log(p) for p in share if p > 0)))


@pytest.mark.parametrize("name", ["gpt2", "gptj", "gpt_neox-parallel", "llama", "falcon-7b", "opt-350m"])
@torch.inference_mode()
def test_each_blocks_rank_is_that_of_the_states_of_each_prompt_alone(model_of: ModelOf, name: str) -> None:
    model = model_of(name)
    trace = run_rank(model, PROMPTS, "key", ABOUT, Pass("rank"))
    for prompt, ids in enumerate(model.tokenizer.encode(PROMPTS)):
        seen: list[np.ndarray] = []
        handles = [
            block.register_forward_hook(
                lambda m, args, kwargs, out, into=seen: into.extend(
                    x[0].double().numpy()
                    for x in (args[0] if args else kwargs["hidden_states"], out[0] if isinstance(out, tuple) else out)
                ),
                with_kwargs=True,
            )
            for block in model.blocks()
        ]
        model.network(torch.tensor([ids]), use_cache=False)
        for handle in handles:
            handle.remove()
        ranks = np.array([by_hand(states) for states in seen]).reshape(-1, 2)
        np.testing.assert_allclose(evaluate("effective_rank", trace).values[prompt], ranks[:, 1], rtol=1e-3)
        np.testing.assert_allclose(evaluate("rank_gain", trace).values[prompt], ranks[:, 1] / ranks[:, 0], rtol=1e-3)
        before, after = np.array([states[1:].var(axis=0).sum() for states in seen]).reshape(-1, 2).T
        np.testing.assert_allclose(evaluate("variance_gain", trace).values[prompt], after / before, rtol=1e-3)
        centred = [by_hand(states - states.mean(axis=1, keepdims=True)) for states in seen[1::2]]
        found = evaluate("effective_rank", trace, norm="centred").values[prompt]
        np.testing.assert_allclose(found, centred, rtol=1e-3)
        every = np.array([by_hand(states, 0) for states in seen]).reshape(-1, 2)
        found = evaluate("effective_rank", trace, first_token="with").values[prompt]
        np.testing.assert_allclose(found, every[:, 1], rtol=1e-3)
        before, after = np.array([states.var(axis=0).sum() for states in seen]).reshape(-1, 2).T
        found = evaluate("variance_gain", trace, first_token="with").values[prompt]
        np.testing.assert_allclose(found, after / before, rtol=1e-3)


@given(rank=st.integers(1, 6), seed=st.integers(0, 99), factor=st.floats(0.01, 100))
def test_directions_of_one_length_count_each_and_neither_factor_nor_shift_matters(
    rank: int, seed: int, factor: float
) -> None:
    rng = np.random.default_rng(seed)
    along = np.linalg.qr(rng.normal(size=(12, 12)))[0]
    across = np.linalg.qr(np.concatenate([np.ones((12, 1)), rng.normal(size=(12, 11))], axis=1))[0][:, 1:]  # mean 0
    states = across[:, :rank] @ along[:rank]
    moved = [torch.tensor(factor * states + rng.normal(size=12))]
    np.testing.assert_allclose(effective_ranks(moved).numpy(), rank, rtol=1e-4)
    np.testing.assert_allclose(variances(moved).numpy(), factor**2 * rank / 12, rtol=1e-4)


def test_a_block_that_only_shortens_takes_no_direction_away_and_one_that_projects_does(model_of: ModelOf) -> None:
    def measured(of: str, change: Callable[[torch.Tensor], torch.Tensor]) -> np.ndarray:
        model = tiny_model(VARIANTS["llama"])

        def hook(module: Any, args: Any, output: Any) -> Any:
            return change(args[0])

        model.blocks()[-1].register_forward_hook(hook)
        return evaluate(of, run_rank(model, PROMPTS, "key", ABOUT, Pass("rank")), layer="last").values

    def one_channel(x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x[..., :1], torch.zeros_like(x[..., 1:])], dim=-1)

    np.testing.assert_allclose(measured("rank_gain", lambda x: 0.8 * x + 1), 1, rtol=1e-5)
    np.testing.assert_allclose(measured("variance_gain", lambda x: 0.8 * x + 1), 0.64, rtol=1e-5)
    np.testing.assert_allclose(measured("effective_rank", one_channel), 1, rtol=1e-5)
    gains = measured("rank_gain", one_channel)
    three = np.array([prompt.tokens == 3 for prompt in PROMPTS.prompts])
    np.testing.assert_allclose(gains[three], 1, rtol=1e-5)  # two tokens differ in one direction, whatever happens
    assert (gains[~three] < 1).all()


def test_one_token_after_the_first_differs_from_none(model_of: ModelOf) -> None:
    with pytest.raises(NotMeasured, match="a prompt has 2 tokens, and a rank needs 3"):
        run_rank(model_of("llama"), prompt_set((5, 2)), "key", ABOUT, Pass("rank"))
