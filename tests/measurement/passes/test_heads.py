"""The heads pass: heads sum to the update in every family, and are those of a model whose other heads are silenced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tiny import VARIANTS, prompt_set, tiny_model

from refutable.errors import ClosureError, NoSuchTap
from refutable.measurement.instrument.parts import head_mixer, oriented
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.forward import run_pass
from refutable.measurement.passes.heads import run_heads
from refutable.metrics import evaluate
from refutable.traces.passes import HEAD_RESIDUAL, Pass
from refutable.traces.trace import Trace, norm_column

ModelOf = Callable[[str], LoadedModel]
ABOUT = {"model": "tiny", "dtype": "float32", "pass": "heads"}
NORM_FOLLOWS = ("gemma2", "gemma3", "olmo2", "glm4")
POST_NORM = ("opt-350m", "bloom-post")
MEASURED = [name for name in VARIANTS if name not in (*NORM_FOLLOWS, *POST_NORM)]


def column(trace: Trace, name: str) -> np.ndarray:
    return trace.blocks[name].to_numpy(zero_copy_only=False).reshape(-1, trace.meta["layers"])


@pytest.mark.parametrize("name", MEASURED)
def test_the_heads_and_the_bias_sum_to_the_attention_update(model_of: ModelOf, name: str) -> None:
    trace = run_heads(model_of(name), prompt_set(), "key", ABOUT, Pass("heads"))
    residual = column(trace, HEAD_RESIDUAL)
    assert residual[np.isfinite(residual)].max() < 1e-6
    assert len(trace.blocks) == len(prompt_set().prompts) * VARIANTS[name].layers


@pytest.mark.parametrize("name", ["gpt2", "gptj", "llama", "granite", "bloom", "falcon-40b"])
def test_a_heads_norm_is_that_of_the_update_when_the_others_are_silent(model_of: ModelOf, name: str) -> None:
    model = model_of(name)
    trace = run_heads(model, prompt_set(), "key", ABOUT, Pass("heads"))
    last = np.cumsum([prompt.tokens for prompt in prompt_set().prompts]) - 1
    for head in range(4):
        silent = tiny_model(VARIANTS[name])
        mixer: Any = head_mixer(silent.blocks()[0], silent.family)
        with torch.no_grad():
            matrix = oriented(mixer)
            matrix[:, : 8 * head] = 0
            matrix[:, 8 * (head + 1) :] = 0
            if getattr(mixer, "bias", None) is not None:
                mixer.bias.zero_()
        alone = run_pass(silent, prompt_set(), "key", {"model": "tiny", "dtype": "float32"})
        np.testing.assert_allclose(
            column(trace, f"heads.norm.{head + 1}")[:, 0],
            column(alone, norm_column("attention_update"))[last, 0],
            rtol=1e-5,
        )


def test_heads_that_all_add_the_same_are_coherent_and_orthogonal_ones_are_not() -> None:
    model = tiny_model(VARIANTS["llama"])
    with torch.no_grad():
        for block in model.blocks():
            weight = block.self_attn.o_proj.weight
            weight.copy_(torch.eye(32))  # each head in its own eight channels
    orthogonal = run_heads(model, prompt_set(), "key", ABOUT, Pass("heads"))
    np.testing.assert_allclose(evaluate("head_coherence", orthogonal).values, 0, atol=1e-6)
    np.testing.assert_allclose(evaluate("head_interference", orthogonal).values, 1, rtol=1e-6)
    with torch.no_grad():
        for block in model.blocks():  # one value head, the same query and key everywhere: all heads see one mix
            for part in ("q_proj", "k_proj", "v_proj"):
                weight = getattr(block.self_attn, part).weight
                weight.copy_(weight[:8].repeat(len(weight) // 8, 1))
            block.self_attn.o_proj.weight.copy_(
                torch.eye(32)[:8].T.repeat(1, 4)[:, :32].reshape(32, 8, 4)[:, :, 0].repeat(1, 4)
            )
    same = run_heads(model, prompt_set(), "key", ABOUT, Pass("heads"))
    np.testing.assert_allclose(evaluate("head_coherence", same).values, 1, atol=1e-5)
    np.testing.assert_allclose(evaluate("head_cancellation", same).values, 1, rtol=1e-5)
    np.testing.assert_allclose(evaluate("head_interference", same).values, 2, rtol=1e-5)  # the root of four
    np.testing.assert_allclose(evaluate("largest_head_share", same).values, 0.25, rtol=1e-5)


@pytest.mark.parametrize("name", NORM_FOLLOWS)
def test_where_a_norm_follows_the_sum_no_head_has_a_share(model_of: ModelOf, name: str) -> None:
    with pytest.raises(NoSuchTap, match="a norm follows the sum of its heads"):
        run_heads(model_of(name), prompt_set(), "key", ABOUT, Pass("heads"))


@pytest.mark.parametrize("name", POST_NORM)
def test_post_norm_blocks_add_no_heads(model_of: ModelOf, name: str) -> None:
    with pytest.raises(NoSuchTap, match="post-norm"):
        run_heads(model_of(name), prompt_set(), "key", ABOUT, Pass("heads"))


def test_heads_that_do_not_make_up_the_update_are_an_error() -> None:
    model = tiny_model(VARIANTS["llama"])
    model.blocks()[1].self_attn.o_proj.register_forward_hook(lambda module, args, output: 1.01 * output)
    with pytest.raises(ClosureError, match="the heads of layer 2 do not sum"):
        run_heads(model, prompt_set(), "key", ABOUT, Pass("heads"))


def test_one_head_has_no_pair() -> None:
    config = {**VARIANTS["llama"].config, "num_attention_heads": 1, "num_key_value_heads": 1, "head_dim": 32}
    model = tiny_model(replace(VARIANTS["llama"], config=config))
    trace = run_heads(model, prompt_set(), "key", ABOUT, Pass("heads"))
    with pytest.raises(NoSuchTap, match="it has one head"):
        evaluate("head_coherence", trace)
    np.testing.assert_allclose(evaluate("head_cancellation", trace).values, 1, rtol=1e-6)


def test_in_bfloat16_the_heads_sum_within_its_rounding() -> None:
    model = tiny_model(VARIANTS["gptj"], dtype="bfloat16")
    run_heads(model, prompt_set(), "key", {**ABOUT, "dtype": "bfloat16"}, Pass("heads"))
