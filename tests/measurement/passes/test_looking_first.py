"""A coordinate at its mean and a weight at zero, against models that are built so by hand."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from by_hand import seen_by_hand
from tiny import VARIANTS, prompt_set, tiny_model
from torch.nn.functional import cross_entropy

from refutable.errors import InstrumentError, NoSuchTap
from refutable.measurement.instrument.interventions import intervening
from refutable.measurement.instrument.taps import first_tensor, with_first_tensor
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.forward import run_pass
from refutable.measurement.passes.looking_first import look_first
from refutable.measurement.passes.loss import run_loss
from refutable.metrics import evaluate
from refutable.traces.passes import Pass

ModelOf = Callable[[str], LoadedModel]
ABOUT = {"model": "tiny", "dtype": "float32", "pass": "loss"}
PROMPTS = prompt_set((5, 2, 12))
OUTPUTS = {  # below a block, as each family's code has it
    "gpt2": "mlp.c_proj",
    "gptj": "mlp.fc_out",
    "gpt_neox-parallel": "mlp.dense_4h_to_h",
    "llama": "mlp.down_proj",
    "opt": "fc2",
    "bloom": "mlp.dense_4h_to_h",
}


@torch.inference_mode()
def losses(network: Any, every: list[list[int]]) -> list[float]:
    """Return each prompt's loss, alone."""
    logits = [network(torch.tensor([ids]), use_cache=False).logits[0] for ids in every]
    return [float(cross_entropy(one[:-1], torch.tensor(ids[1:]))) for one, ids in zip(logits, every, strict=True)]


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_coordinate_is_set_to_its_mean_over_the_prompts_that_reach_a_position(model_of: ModelOf, name: str) -> None:
    model = model_of(name)
    every = model.tokenizer.encode(PROMPTS)
    states = [seen_by_hand(model, ids).states[2][:, 7] for ids in every]  # after block 2
    means = torch.tensor([np.mean([own[at] for own in states if len(own) > at]) for at in range(12)])

    def give(module: Any, args: Any, output: Any) -> Any:
        made = first_tensor(output).clone()
        made[..., 7] = means[: made.shape[1]].float()
        return with_first_tensor(output, made)

    handle = model.blocks()[1].register_forward_hook(give)
    expected = losses(model.network, every)
    handle.remove()
    trace = run_loss(model, PROMPTS, "key", ABOUT, Pass("loss", "tiny", "mean-coordinate", 2, coordinate=7))
    found = evaluate("next_token_loss", trace).values
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert np.abs(found - losses(model.network, every)).max() > 1e-5, "and it makes a difference"


def test_alone_a_prompt_keeps_its_coordinate(model_of: ModelOf) -> None:
    model, alone = model_of("llama"), prompt_set((9,))
    plain = evaluate("next_token_loss", run_loss(model, alone, "key", ABOUT, Pass("loss"))).values
    spec = Pass("loss", "tiny", "mean-coordinate", "all", coordinate=7)
    same = evaluate("next_token_loss", run_loss(model, alone, "key", ABOUT, spec)).values
    np.testing.assert_allclose(same, plain, rtol=1e-6)


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_weight_is_where_output_and_input_spike_and_a_network_without_it_is_the_same(name: str) -> None:
    model = tiny_model(VARIANTS[name])
    every = model.tokenizer.encode(PROMPTS)
    matrix = model.blocks()[1].get_submodule(OUTPUTS[name])
    best, where = -1.0, (0, 0)
    for ids in every:
        seen: list[Any] = []
        handle = matrix.register_forward_hook(lambda m, a, out, seen=seen: seen.extend((a[0], out)))
        with torch.inference_mode():
            model.network(torch.tensor([ids]), use_cache=False)
        handle.remove()
        read, made = (one.reshape(len(ids), -1).abs().numpy() for one in seen)
        token, row = np.unravel_index(made.argmax(), made.shape)
        if made[token, row] > best:
            best, where = made[token, row], (int(row), int(read[token].argmax()))
    spec = Pass("loss", "tiny", "zero-weight", 2)
    seen_first: Any = look_first(model, PROMPTS, spec)
    assert tuple(seen_first[1].tolist()) == where
    without = copy.deepcopy(model.network)
    plain = losses(model.network, every)
    weight = tiny_like(model, without).blocks()[1].get_submodule(OUTPUTS[name]).weight
    with torch.no_grad():
        weight[where[::-1] if name == "gpt2" else where] = 0
    trace = run_loss(model, PROMPTS, "key", ABOUT, spec)
    found = evaluate("next_token_loss", trace).values
    np.testing.assert_allclose(found, losses(without, every), rtol=1e-5, atol=1e-5)
    assert losses(model.network, every) == plain, "the weight was not put back"


def tiny_like(model: LoadedModel, network: Any) -> LoadedModel:
    return replace(model, network=network)


def test_a_block_without_its_weight_still_closes_and_has_its_weight_again_after() -> None:
    model = tiny_model(VARIANTS["llama"])
    matrix: Any = model.blocks()[0].get_submodule("mlp.down_proj").weight
    was = matrix.detach().clone()
    trace = run_pass(model, PROMPTS, "key", {**ABOUT, "pass": "forward"}, Pass("forward", "tiny", "zero-weight", 1))
    assert trace.meta["closure_worst"] is not None
    seen = look_first(model, PROMPTS, Pass("loss", "tiny", "zero-weight", 1))
    with intervening(model, "zero-weight", 1, seen=seen):
        assert (matrix == 0).sum() == 1
    assert torch.equal(matrix, was)
    with pytest.raises(InstrumentError, match="nothing was seen"), intervening(model, "zero-weight", 1):
        pass


def test_experts_have_no_one_output_matrix(model_of: ModelOf) -> None:
    with pytest.raises(NoSuchTap, match="output matrices with a name that is known"):
        look_first(model_of("mixtral"), PROMPTS, Pass("loss", "tiny", "zero-weight", 1))
