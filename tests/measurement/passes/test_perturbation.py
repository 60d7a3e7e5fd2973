"""The perturbation pass against closed forms, against finite differences, and against itself in other batches."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tiny import VARIANTS, eager_twin, prompt_set, tiny_model

from refutable.errors import NoSuchTap
from refutable.measurement.instrument.batching import pad
from refutable.measurement.instrument.differentiable import differentiable
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.forward import run_pass
from refutable.measurement.passes.perturbation import _changes, run_perturbation
from refutable.metrics import METRICS, evaluate
from refutable.traces.passes import Pass
from refutable.traces.trace import Trace, norm_column

ModelOf = Callable[[str], LoadedModel]
ABOUT = {"model": "tiny", "dtype": "float32", "pass": "perturbation"}
LENGTHS = (6, 5, 4)
D = 32


def column(trace: Trace, name: str) -> np.ndarray:
    return trace.blocks[name].to_numpy(zero_copy_only=False).reshape(-1, trace.meta["layers"])


def linear_model(c: float) -> LoadedModel:
    """Return a llama whose attention adds c x / rms(x), its own token's alone, and whose MLP adds nothing."""
    config = {**VARIANTS["llama"].config, "num_key_value_heads": 4, "rms_norm_eps": 1e-12}
    model = tiny_model(replace(VARIANTS["llama"], config=config))
    with torch.no_grad():
        for block in model.blocks():
            block.input_layernorm.weight.fill_(1)
            block.self_attn.v_proj.weight.copy_(torch.eye(D))
            block.self_attn.o_proj.weight.copy_(c * torch.eye(D))
            block.mlp.down_proj.weight.zero_()
    return model


@pytest.mark.parametrize("c", [0.3, -0.05])
def test_growth_is_its_closed_form_where_a_block_adds_its_own_direction(c: float) -> None:
    """x + c x / rms(x) has J = I + k (I - u u^T), u = x / |x|, k = c sqrt(D) / |x|: 1 along u, 1 + k across."""
    model = linear_model(c)
    one_token = prompt_set((1,) * 6)
    trace = run_perturbation(model, one_token, "key", ABOUT, Pass("perturbation"))
    ids = torch.tensor([one[0] for one in model.tokenizer.encode(one_token)])
    x = model.network.get_input_embeddings().weight[ids].detach().double()  # (prompts, D)
    radius = x.norm(dim=-1).numpy()
    generator = torch.Generator().manual_seed(0)
    v = torch.randn(3, 6, D, generator=generator).double()
    along = ((v * x).sum(-1) / x.norm(dim=-1)).numpy() ** 2  # (directions, prompts)
    across = (v**2).sum(-1).numpy() - along
    followed = np.ones(6)
    for layer in range(3):
        k = c * math.sqrt(D) / radius
        local = np.exp(np.log(np.sqrt((along + across * (1 + k) ** 2) / (along + across))).mean(axis=0))
        np.testing.assert_allclose(evaluate("noise_gain", trace).values[:, layer], local, rtol=2e-5)
        np.testing.assert_allclose(evaluate("layer_gain", trace).values[:, layer], 1 + k, rtol=2e-5)
        np.testing.assert_allclose(evaluate("noise_to_signal_gain", trace).values[:, layer], local / (1 + k), rtol=4e-5)
        followed = followed * (1 + k)
        radius = radius * (1 + k)
        whole = np.exp(np.log(np.sqrt((along + across * followed**2) / (along + across))).mean(axis=0))
        np.testing.assert_allclose(column(trace, "perturbation.out")[:, layer], whole, rtol=2e-5)
    np.testing.assert_allclose(evaluate("radial_gain", trace).values, 1, rtol=2e-5)
    np.testing.assert_allclose(evaluate("perturbation_amplification", trace).values, whole, rtol=2e-5)
    np.testing.assert_allclose(evaluate("depth_cosine", trace).values, 1, rtol=1e-5)


def test_where_blocks_add_nothing_changes_pass_as_they_are() -> None:
    trace = run_perturbation(linear_model(0.0), prompt_set(LENGTHS), "key", ABOUT, Pass("perturbation"))
    for name in ("perturbation_growth", "relative_perturbation_growth", "noise_gain", "radial_gain"):
        np.testing.assert_allclose(evaluate(name, trace).values, 1, rtol=1e-6)
    np.testing.assert_allclose(evaluate("relative_perturbation_slope", trace).values, 0, atol=1e-6)


@pytest.mark.parametrize("name", ["gptj", "codegen", "gpt_neox-parallel", "falcon-7b", "falcon-40b", "phi", "cohere"])
def test_a_parallel_block_passes_a_change_of_length_as_it_is(model_of: ModelOf, name: str) -> None:
    trace = run_perturbation(model_of(name), prompt_set(LENGTHS), "key", ABOUT, Pass("perturbation"))
    np.testing.assert_allclose(evaluate("radial_gain", trace).values, 1, atol=5e-3)  # the norm's eps is the rest
    sequential = run_perturbation(model_of("llama"), prompt_set(LENGTHS), "key", ABOUT, Pass("perturbation"))
    assert np.abs(evaluate("radial_gain", sequential).values - 1).max() > 0.1


@pytest.mark.parametrize("name", ["gpt2", "gptj", "bloom", "llama", "gemma2", "mixtral", "opt-350m", "mpt"])
def test_the_change_is_the_limit_of_a_finite_difference(model_of: ModelOf, name: str) -> None:
    """(f(x + h v) - f(x - h v)) / 2h, in float64 weights; its own error falls as h^2, and so does the distance."""
    model = model_of(name)
    ids = model.tokenizer.encode(prompt_set(LENGTHS))[:1]
    tokens, mask, last = pad(ids, model.device)[:3]
    v = torch.randn(1, D, generator=torch.Generator().manual_seed(5))
    with differentiable(model):
        _, change = _changes(model, tokens, mask, last, v, afresh=False)
    network = eager_twin(VARIANTS[name]).double()
    network.config._experts_implementation = "eager"
    double = replace(model, network=network)

    def last_states(h: float) -> torch.Tensor:
        seen: list[torch.Tensor] = []

        def put(block: Any, args: Any, kwargs: Any) -> Any:
            x = (args[0] if args else kwargs["hidden_states"]).clone()
            x[0, -1] += h * v[0].double()
            return ((x, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": x})

        def see(block: Any, args: Any, output: Any) -> None:
            seen.append((output[0] if isinstance(output, tuple) else output)[0, -1])

        blocks = list(double.blocks())
        handles = [blocks[0].register_forward_pre_hook(put, with_kwargs=True)]
        handles += [block.register_forward_hook(see) for block in blocks]
        with torch.no_grad():
            double.backbone(tokens, mask)
        for handle in handles:
            handle.remove()
        return torch.stack(seen)

    h = 1e-3
    difference = (last_states(h) - last_states(-h)) / (2 * h)
    off = (difference - change[:, 0].double()).norm(dim=-1) / difference.norm(dim=-1)
    assert float(off.max()) < 2e-3


def test_padded_or_alone_or_in_another_order_it_is_the_same(model_of: ModelOf) -> None:
    model = model_of("gptj")
    whole = run_perturbation(model, prompt_set((6, 3, 40)), "key", ABOUT, Pass("perturbation"))  # two batches on a CPU
    assert whole.meta["batches"] == 2
    ids = model.tokenizer.encode(prompt_set((6, 3, 40)))

    class Given:
        def encode(self, prompts: Any) -> list[list[int]]:
            return ids

        def decode(self, token: int) -> str:
            return ""

    import refutable.measurement.passes.batches as module

    alone = replace(model, tokenizer=Given())
    original = module.cut_batches
    try:
        module.cut_batches = lambda *a, **k: [[2, 0, 1]]  # type: ignore[assignment]
        padded = run_perturbation(alone, prompt_set((6, 3, 40)), "key", ABOUT, Pass("perturbation"))
    finally:
        module.cut_batches = original
    for name in (name for name in METRICS if METRICS[name].reads == "perturbation"):
        np.testing.assert_allclose(evaluate(name, whole).values, evaluate(name, padded).values, rtol=1e-4, atol=1e-5)


def test_the_stream_is_the_one_that_the_forward_pass_sees(model_of: ModelOf) -> None:
    model = model_of("llama")
    trace = run_perturbation(model, prompt_set(LENGTHS), "key", ABOUT, Pass("perturbation"))
    plain = run_pass(model, prompt_set(LENGTHS), "key", {"model": "tiny", "dtype": "float32"})
    for norm in ("raw", "centred"):
        expected = evaluate("layer_gain", plain, norm=norm).values
        np.testing.assert_allclose(evaluate("layer_gain", trace, norm=norm).values, expected, rtol=1e-5)
    last = np.cumsum(LENGTHS) - 1
    output = column(plain, norm_column("block_output"))[last]
    np.testing.assert_allclose(column(trace, norm_column("block_output")), output, rtol=1e-5)


def test_other_positions_are_not_read(model_of: ModelOf) -> None:
    trace = run_perturbation(model_of("llama"), prompt_set(LENGTHS), "key", ABOUT, Pass("perturbation"))
    with pytest.raises(NoSuchTap, match="reads the last token only"):
        evaluate("noise_gain", trace, position="all")


def test_in_bfloat16_growth_is_that_of_float32_to_its_rounding() -> None:
    fine, coarse = (
        evaluate(
            "perturbation_growth",
            run_perturbation(
                tiny_model(VARIANTS["llama"], dtype=d), prompt_set(LENGTHS), "k", ABOUT, Pass("perturbation")
            ),
        )
        for d in ("float32", "bfloat16")
    )
    np.testing.assert_allclose(coarse.values, fine.values, rtol=0.1)


def test_an_operation_without_a_derivative_is_said_and_not_guessed() -> None:
    class NoForward(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, g: torch.Tensor) -> torch.Tensor:
            return g

    model = tiny_model(VARIANTS["llama"])
    model.blocks()[0].mlp.register_forward_hook(lambda module, args, output: NoForward.apply(output))
    with pytest.raises(NoSuchTap, match="has no derivative here"):
        run_perturbation(model, prompt_set(LENGTHS), "key", ABOUT, Pass("perturbation"))
