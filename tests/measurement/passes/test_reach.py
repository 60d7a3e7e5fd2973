"""The reach pass against finite differences, and on models of which it is known from where they read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tiny import VARIANTS, prompt_set, tiny_model

from refutable.errors import NotMeasured
from refutable.measurement.instrument.interventions import intervening
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.reach import run_reach
from refutable.metrics import evaluate
from refutable.traces.passes import REACH_WRITE, Pass, beside

ModelOf = Callable[[str], LoadedModel]
ABOUT = {"model": "tiny", "dtype": "float32", "pass": "reach"}
PROMPTS = prompt_set((5, 2, 12, 3, 9))
KINDS = ("gpt2", "gptj", "gpt_neox-parallel", "llama", "falcon-7b", "bloom", "opt-350m")


@torch.inference_mode()
def first_choice(model: LoadedModel, ids: list[int], layer: int, scale: float) -> float:
    """Return the log-probability of what is the first choice as it is, a block's update made longer by a factor."""
    plain = model.network(torch.tensor([ids]), use_cache=False).logits[0, -1]

    def hook(module: Any, args: Any, kwargs: Any, output: Any) -> Any:
        x, y = args[0] if args else kwargs["hidden_states"], output[0] if isinstance(output, tuple) else output
        changed = x + scale * (y - x)
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    handle = model.blocks()[layer].register_forward_hook(hook, with_kwargs=True)
    moved = model.network(torch.tensor([ids]), use_cache=False).logits[0, -1]
    handle.remove()
    return float(torch.log_softmax(moved.double(), dim=-1)[plain.argmax()])


@pytest.mark.parametrize("name", KINDS)
def test_what_taking_a_blocks_update_out_does_is_the_slope_of_scaling_it(model_of: ModelOf, name: str) -> None:
    model = model_of(name)
    found = (
        run_reach(model, PROMPTS, "key", ABOUT, Pass("reach"))
        .blocks[REACH_WRITE]
        .to_numpy()
        .reshape(len(PROMPTS.prompts), -1)
    )
    ids = model.tokenizer.encode(PROMPTS)[2]
    for layer in range(len(model.blocks())):
        slope = (first_choice(model, ids, layer, 1.01) - first_choice(model, ids, layer, 0.99)) / 0.02
        np.testing.assert_allclose(found[2, layer], abs(slope), rtol=0.03, atol=2e-3)


@pytest.mark.parametrize("name", ["gpt2", "gptj", "llama"])
def test_without_attention_the_last_token_alone_matters(model_of: ModelOf, name: str) -> None:
    model = model_of(name)
    assert (
        evaluate("token_reach", run_reach(model, PROMPTS, "key", ABOUT, Pass("reach")), layer="first").values > 0.01
    ).all()
    with intervening(model, "ablate-attention"):
        trace = run_reach(model, PROMPTS, "key", ABOUT, Pass("reach"))
    assert (evaluate("token_reach", trace).values == 0).all()


def test_before_the_last_block_reads_back_no_further_than_its_attention(model_of: ModelOf) -> None:
    model = model_of("llama")
    with intervening(model, "ablate-attention", "last"):
        trace = run_reach(model, PROMPTS, "key", ABOUT, Pass("reach"))
    assert (evaluate("token_reach", trace, layer="last").values == 0).all()
    assert (evaluate("token_reach", trace, layer="first").values > 0).all()


@pytest.mark.parametrize(("writes", "reach"), [(0, 1.0), (1, 0.5), (2, 0.0)])
def test_where_one_block_alone_writes_the_reach_is_its_depth(writes: int, reach: float) -> None:
    model = tiny_model(VARIANTS["gptj"])
    for layer, block in enumerate(model.blocks()):
        if layer != writes:
            block.register_forward_hook(lambda m, args, out: (args[0], *out[1:]) if isinstance(out, tuple) else args[0])
    trace = run_reach(model, PROMPTS, "key", ABOUT, Pass("reach"))
    np.testing.assert_allclose(evaluate("write_reach", trace).values, reach, atol=1e-6)


def test_without_the_first_token_only_the_later_ones_count(model_of: ModelOf) -> None:
    model = model_of("llama")
    trace = run_reach(model, PROMPTS, "key", ABOUT, Pass("reach"))
    both, later = (evaluate("token_reach", trace, first_token=first).values for first in ("with", "without"))
    lengths = trace.prompts["tokens"].to_numpy()
    np.testing.assert_array_equal(both, evaluate("token_reach", trace).values)
    assert (later[lengths == 2] == 0).all(), "of two tokens the last alone is left"
    assert (later < both).all(), "the first is the farthest back"
    assert (later <= ((lengths - 2) / (lengths - 1))[:, None]).all()


def test_a_block_that_writes_at_the_first_token_alone_is_not_seen_without_it() -> None:
    model = tiny_model(VARIANTS["gptj"])

    def at_first(module: Any, args: Any, output: Any) -> Any:
        made = output[0] if isinstance(output, tuple) else output
        mixed = torch.cat([made[:, :1], args[0][:, 1:]], dim=1)
        return (mixed, *output[1:]) if isinstance(output, tuple) else mixed

    model.blocks()[0].register_forward_hook(at_first)
    trace = run_reach(model, PROMPTS, "key", ABOUT, Pass("reach"))
    written = {
        name: trace.blocks[name].to_numpy().reshape(len(PROMPTS.prompts), -1)[:, 0]
        for name in (REACH_WRITE, beside(REACH_WRITE, "without"))
    }
    assert (written[REACH_WRITE] > 0).all()
    assert (written[beside(REACH_WRITE, "without")] == 0).all()
    both, later = (evaluate("write_reach", trace, first_token=first).values for first in ("with", "without"))
    assert (later < both).all()


def test_padding_changes_nothing(model_of: ModelOf) -> None:
    model = model_of("gpt_neox-parallel")
    together = run_reach(model, PROMPTS, "key", ABOUT, Pass("reach"))

    class Alone:
        def encode(self, prompts: Any, bos: Any = "default") -> list[list[int]]:
            return [model.tokenizer.encode(PROMPTS)[2]]

    from dataclasses import replace

    alone: Any = replace(model, tokenizer=Alone())
    single = run_reach(alone, prompt_set((12,)), "key", ABOUT, Pass("reach"))
    for name in ("token_reach", "write_reach"):
        np.testing.assert_allclose(evaluate(name, together).values[2], evaluate(name, single).values[0], rtol=1e-3)


def test_one_token_has_nothing_behind_it(model_of: ModelOf) -> None:
    with pytest.raises(NotMeasured, match="nothing lies behind it"):
        run_reach(model_of("llama"), prompt_set((3, 1)), "key", ABOUT, Pass("reach"))
