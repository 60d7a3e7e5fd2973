"""The Jacobian pass against the Jacobian itself, written out by autograd."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import constructed
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import VARIANTS, eager_twin, prompt_set, tiny_model

from refutable.errors import NoSuchTap, NotMeasured
from refutable.measurement.instrument.differentiable import differentiable
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.forward import run_pass
from refutable.measurement.passes.jacobian import Maps, largest_eigenvalue, largest_singular_value, run_jacobian
from refutable.metrics import evaluate
from refutable.traces.passes import JACOBIAN_NORM, JACOBIAN_RADIUS, KRYLOV, Pass, paired
from refutable.traces.trace import Trace

ModelOf = Callable[[str], LoadedModel]
ABOUT = {"model": "tiny", "dtype": "float32", "pass": "jacobian"}
LENGTHS = (5, 4)
FAMILIES = ("gpt2", "gptj", "bloom", "llama", "gemma2", "mixtral", "opt-350m")


def column(trace: Trace, name: str) -> np.ndarray:
    return trace.blocks[name].to_numpy(zero_copy_only=False).reshape(-1, trace.meta["layers"])


def jacobians(model: LoadedModel, ids: list[int]) -> list[torch.Tensor]:
    """Return d block_output / d block_input at the last token of one prompt, block by block, by reverse mode alone."""
    calls: list[Any] = []
    handles = [
        block.register_forward_pre_hook(lambda m, a, k: calls.append((m, a, k)), with_kwargs=True)
        for block in model.blocks()
    ]
    with torch.no_grad():
        model.network(torch.tensor([ids]), use_cache=False)
    for handle in handles:
        handle.remove()
    found = []
    for block, args, kwargs in calls:
        hidden = (args[0] if args else kwargs["hidden_states"]).detach()

        def of_last(
            z: torch.Tensor, block: Any = block, args: Any = args, kwargs: Any = kwargs, h: Any = hidden
        ) -> Any:
            stream = torch.cat([h[:, :-1], z[None, None]], dim=1)
            output = block.forward(stream, *args[1:], **kwargs)
            return (output[0] if isinstance(output, tuple) else output)[0, -1]

        found.append(torch.autograd.functional.jacobian(of_last, hidden[0, -1]))
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_singular_value_and_radius_are_those_of_the_jacobian_written_out(model_of: ModelOf, name: str) -> None:
    model = model_of(name)
    blocks: Any = "all" if name == "llama" else "last"
    trace = run_jacobian(model, prompt_set(LENGTHS), "key", ABOUT, Pass("jacobian", blocks=blocks))
    off = torch.eye(32) - 1 / 32
    for prompt, ids in enumerate(model.tokenizer.encode(prompt_set(LENGTHS))):
        for layer, j in enumerate(jacobians(model, ids)):
            if blocks == "last" and layer < 2:
                continue
            assert column(trace, JACOBIAN_NORM)[prompt, layer] == pytest.approx(
                float(torch.linalg.svdvals(j)[0]), rel=1e-5
            )
            radius = float(torch.linalg.eigvals(j).abs().max())
            assert column(trace, JACOBIAN_RADIUS)[prompt, layer] == pytest.approx(radius, rel=1e-4)
            if model.family.norm == "LayerNorm":
                centred = float(torch.linalg.svdvals(off @ j @ off)[0])
                assert column(trace, paired(JACOBIAN_NORM)[1])[prompt, layer] == pytest.approx(centred, rel=1e-5)
    evaluate("jacobian_norm", trace, layer="last")  # has converged, or says so


def test_eager_attention_and_sdpa_have_the_same_jacobian(model_of: ModelOf) -> None:
    sdpa = model_of("llama")
    eager = replace(sdpa, network=eager_twin(VARIANTS["llama"]), attention_implementation="eager")
    traces = [
        run_jacobian(model, prompt_set(LENGTHS), "key", ABOUT, Pass("jacobian", blocks="last"))
        for model in (sdpa, eager)
    ]
    for name in (JACOBIAN_NORM, JACOBIAN_RADIUS):
        one, two = (column(traces[i], name) for i in range(2))
        np.testing.assert_allclose(one[:, -1], two[:, -1], rtol=1e-4)


@pytest.mark.parametrize("name", ["gptj", "gpt_neox-parallel"])
def test_a_parallel_block_whose_gain_is_080_has_a_radius_of_one_or_more(name: str) -> None:
    """J x = x in a parallel pre-norm block: its modules read a norm's output, which the length of x leaves alone."""
    tokens, one = 2, np.ones((2, constructed.LAYERS))
    targets = constructed.Targets(
        radius=np.array([7.0, 8.0]),
        gain=0.8 * one,
        update=0.5 * one,
        ratio=one,
        cosine=0.2 * one,
        scales=np.ones((constructed.LAYERS, 2)),
        mean=0.0,
        attention_mean=0 * one,
        mlp_mean=0 * one,
    )
    vectors = constructed.vectors(constructed.KINDS[name], targets, 0)
    model = constructed.build(name, targets, vectors, tuple((token,) * 4 for token in range(tokens)))
    trace = run_jacobian(model, prompt_set((4, 4)), "key", ABOUT, Pass("jacobian", blocks="last"))
    plain = run_pass(model, prompt_set((4, 4)), "key", ABOUT)
    np.testing.assert_allclose(evaluate("layer_gain", plain).values, 0.8, rtol=1e-5)
    assert (column(trace, JACOBIAN_RADIUS)[:, -1] > 1 - 1e-3).all()


def test_the_last_blocks_jacobian_alone_is_taken_where_that_is_asked(model_of: ModelOf) -> None:
    model = model_of("llama")
    whole, last = (
        run_jacobian(model, prompt_set(LENGTHS), "key", ABOUT, Pass("jacobian", blocks=blocks))
        for blocks in ("all", "last")
    )
    np.testing.assert_allclose(
        evaluate("jacobian_norm", last, layer="last").values, evaluate("jacobian_norm", whole, layer="last").values
    )
    with pytest.raises(NoSuchTap, match="the last block's Jacobian alone"):
        evaluate("jacobian_norm", last, layer="first")
    with pytest.raises(NoSuchTap, match="do not take the mean off"):
        evaluate("jacobian_norm", whole, norm="centred")


def test_what_has_not_converged_is_not_measured(model_of: ModelOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refutable.measurement.passes.jacobian.KRYLOV", {**KRYLOV, "steps": 2})
    trace = run_jacobian(model_of("llama"), prompt_set(LENGTHS), "key", ABOUT, Pass("jacobian"))
    with pytest.raises(NotMeasured, match="has not converged"):
        evaluate("spectral_radius", trace)


@given(seed=st.integers(0, 10_000), width=st.integers(2, 40), scale=st.floats(1e-3, 1e3))
@settings(max_examples=30, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
def test_krylov_finds_the_norm_and_the_radius_of_any_matrix(seed: int, width: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    matrices = scale * torch.randn(3, width, width, generator=generator)
    maps = Maps(lambda v: (matrices @ v[..., None])[..., 0], lambda u: (matrices.mT @ u[..., None])[..., 0])
    start = torch.randn(3, width, generator=generator)
    norm, _ = largest_singular_value(maps, start)
    np.testing.assert_allclose(norm, torch.linalg.svdvals(matrices)[:, 0], rtol=1e-3)
    radius, _ = largest_eigenvalue(maps.forward, start)
    np.testing.assert_allclose(radius, torch.linalg.eigvals(matrices).abs().amax(dim=-1), rtol=2e-2)


@pytest.mark.parametrize("width", [2, 8, 32, 33, 200])
@pytest.mark.parametrize("factor", [1.0, -0.25, 3e4])
def test_a_map_that_only_stretches_has_its_factor(width: int, factor: float) -> None:
    start = torch.randn(2, width, generator=torch.Generator().manual_seed(1))
    for found in (
        largest_eigenvalue(lambda v: factor * v, start),
        largest_singular_value(Maps(lambda v: factor * v, lambda u: factor * u), start),
    ):
        np.testing.assert_allclose(found.value, abs(factor), rtol=1e-5)
        assert (found.residual < 1e-3).all()


@pytest.mark.parametrize("rank", [1, 2, 5])
def test_a_map_of_few_directions_is_the_identity_elsewhere(rank: int) -> None:
    generator = torch.Generator().manual_seed(2)
    few = torch.randn(64, rank, generator=generator) @ torch.randn(rank, 64, generator=generator)
    matrix = torch.eye(64) + few
    maps = Maps(lambda v: v @ matrix.T, lambda u: u @ matrix)
    start = torch.randn(3, 64, generator=generator)
    expected = float(torch.linalg.svdvals(matrix)[0])
    np.testing.assert_allclose(largest_singular_value(maps, start).value, expected, rtol=1e-4)


def test_weights_that_are_nothing_but_nan_are_nan_and_not_a_crash() -> None:
    model = tiny_model(VARIANTS["llama"])
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.fill_(torch.nan)
    trace = run_jacobian(model, prompt_set(LENGTHS), "key", ABOUT, Pass("jacobian"))
    assert np.isnan(column(trace, JACOBIAN_NORM)).all()


def test_experts_and_activations_are_put_back(model_of: ModelOf) -> None:
    for name in ("mixtral", "bloom"):
        model = model_of(name)
        before = getattr(model.config, "_experts_implementation", None)
        with differentiable(model):
            pass
        assert getattr(model.config, "_experts_implementation", None) == before
        assert not any("forward" in vars(module) for module in model.network.modules())
