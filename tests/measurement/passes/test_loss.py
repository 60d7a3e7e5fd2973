"""The loss pass against transformers' own loss, and the interventions that it is made for against models built so."""

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
from refutable.measurement.instrument.interventions import changed_ids, intervening
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.loss import run_loss
from refutable.metrics import evaluate
from refutable.traces.passes import Pass

ModelOf = Callable[[str], LoadedModel]
ABOUT = {"model": "tiny", "dtype": "float32", "pass": "loss"}
PROMPTS = prompt_set((5, 2, 12, 3, 9))
TOKENS = torch.randint(64, (2, 9), generator=torch.Generator().manual_seed(0))
KINDS = ("gpt2", "gptj", "gpt_neox-parallel", "llama", "opt", "falcon-7b", "mixtral", "opt-350m")


def losses(model: LoadedModel, change: Any = "none", blocks: Any = "all", prompts: Any = PROMPTS) -> np.ndarray:
    trace = run_loss(model, prompts, "key", ABOUT, Pass("loss", "tiny", change, blocks))
    return evaluate("next_token_loss", trace).values


@torch.inference_mode()
def logits(model: LoadedModel, change: Any = "none", blocks: Any = "all") -> torch.Tensor:
    with intervening(model, change, blocks):
        return model.network(TOKENS, use_cache=False).logits


@pytest.mark.parametrize("name", KINDS)
@torch.inference_mode()
def test_the_loss_of_a_padded_batch_is_transformers_own_of_each_prompt_alone(model_of: ModelOf, name: str) -> None:
    model = model_of(name)
    ids = [torch.tensor([one]) for one in model.tokenizer.encode(PROMPTS)]
    alone = [float(model.network(one, labels=one, use_cache=False).loss) for one in ids]
    np.testing.assert_allclose(losses(model), alone, rtol=1e-5)


def test_a_model_that_knows_nothing_loses_the_log_of_its_vocabulary() -> None:
    model = tiny_model(VARIANTS["llama"])
    with torch.no_grad():
        model.network.lm_head.weight.zero_()
    np.testing.assert_allclose(losses(model), np.log(64), rtol=1e-6)


def test_a_prompt_of_one_token_foretells_nothing(model_of: ModelOf) -> None:
    with pytest.raises(NotMeasured, match="a prompt has one token"):
        losses(model_of("llama"), prompts=prompt_set((3, 1)))


def norms(model: LoadedModel, change: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the norms of what every block was given and of what it made, at every position."""
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    with intervening(model, change):
        handles = [
            block.register_forward_hook(
                lambda m, args, kwargs, out: seen.append(
                    (args[0] if args else kwargs["hidden_states"], out[0] if isinstance(out, tuple) else out)
                ),
                with_kwargs=True,
            )
            for block in model.blocks()
        ]
        with torch.inference_mode():
            model.network(TOKENS, use_cache=False)
    for handle in handles:
        handle.remove()
    given_, made = (torch.stack([pair[at].norm(dim=-1) for pair in seen]) for at in (0, 1))
    return given_, made


@pytest.mark.parametrize("name", KINDS)
def test_kept_norms_are_kept_at_every_position_and_in_every_block(model_of: ModelOf, name: str) -> None:
    model = model_of(name)
    torch.testing.assert_close(*norms(model, "keep-norm"), rtol=1e-5, atol=1e-6)
    assert torch.equal(logits(model), logits(model)), "hooks were left behind"


@pytest.mark.parametrize("name", ["gpt_neox-parallel", "llama"])
def test_a_norm_that_may_not_fall_may_rise_and_the_other_way_round(name: str) -> None:
    model = tiny_model(VARIANTS[name])
    for block in model.blocks():  # of drawn weights no block shortens the stream: here each does, at every other token
        block.register_forward_hook(lambda m, args, out: out * (1 - 0.9 * (torch.arange(out.shape[1]) % 2)[:, None]))
    given_, made = norms(model, "none")
    assert {*(made > given_)[0, 0].tolist()} == {True, False}
    for change, end in (("never-shorten", torch.maximum), ("never-lengthen", torch.minimum)):
        was, now = norms(model, change)
        torch.testing.assert_close(now[0], end(given_[0], made[0]), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(now, end(was, now), rtol=1e-5, atol=1e-6)


def test_the_final_norm_takes_the_last_blocks_factor_out_and_not_that_of_all(model_of: ModelOf) -> None:
    model = model_of("llama")
    as_it_is = losses(model)
    np.testing.assert_allclose(losses(model, "keep-norm", "last"), as_it_is, rtol=1e-4)
    assert np.abs(losses(model, "keep-norm") - as_it_is).max() > 1e-2


@pytest.mark.parametrize("name", ["llama", "gptj", "opt", "qwen2"])
def test_softened_attention_is_that_of_a_model_with_half_the_queries(model_of: ModelOf, name: str) -> None:
    model, halved = model_of(name), tiny_model(VARIANTS[name])
    with torch.no_grad():
        for block in halved.blocks():
            query: Any = block.get_submodule(halved.family.attention).q_proj
            query.weight.mul_(0.5)
            if query.bias is not None:
                query.bias.mul_(0.5)
    torch.testing.assert_close(logits(model, "soften-attention"), logits(halved), rtol=1e-5, atol=1e-5)
    assert (logits(model, "soften-attention") - logits(model)).abs().max() > 1e-3
    assert torch.equal(logits(model), logits(model)), "the scale was not put back"


def test_attention_that_keeps_no_scale_is_not_softened(model_of: ModelOf) -> None:
    with pytest.raises(NotMeasured, match="keeps no scale of its scores"):
        logits(model_of("gpt_neo"), "soften-attention")


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=12), min_size=1, max_size=4))
def test_shuffled_tokens_keep_their_ends_and_are_in_another_order_wherever_there_is_one(ids: list[list[int]]) -> None:
    for was, now in zip(ids, changed_ids(ids, "shuffle-tokens"), strict=True):
        assert sorted(was) == sorted(now)
        assert (was[0], was[-1]) == (now[0], now[-1])
        assert (was != now) == (len(set(was[1:-1])) > 1)
    assert changed_ids(ids, "ablate-mlp") == ids
    assert changed_ids(ids, "shuffle-tokens") == changed_ids(ids, "shuffle-tokens")
