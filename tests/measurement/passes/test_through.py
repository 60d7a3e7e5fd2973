"""The pass through all blocks against the Jacobian of the whole, written out, and against what is known of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tiny import VARIANTS, prompt_set, tiny_model

from refutable.errors import NoSuchTap
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.forward import run_pass
from refutable.measurement.passes.jacobian import run_jacobian
from refutable.measurement.passes.perturbation import run_perturbation
from refutable.measurement.passes.through import run_through
from refutable.metrics import evaluate
from refutable.traces.passes import JACOBIAN_NORM, THROUGH_NORM, Pass, paired
from refutable.traces.trace import Trace

ModelOf = Callable[[str], LoadedModel]
ABOUT = {"model": "tiny", "dtype": "float32", "pass": "through"}
LENGTHS = (5, 4)
FAMILIES = ("gpt2", "gptj", "gpt_neox-parallel", "bloom", "llama", "gemma2", "opt-350m")


def column(trace: Trace, name: str) -> np.ndarray:
    return trace.blocks[name].to_numpy(zero_copy_only=False).reshape(-1, trace.meta["layers"])


def whole_jacobian(model: LoadedModel, ids: list[int]) -> torch.Tensor:
    """Return d last block's output / d first block's input at the last token: the network run anew for each change."""
    blocks = list(model.blocks())
    seen: dict[str, Any] = {}

    def keep(module: Any, args: Any, kwargs: Any) -> None:
        seen["input"] = (args[0] if args else kwargs["hidden_states"]).detach()

    handle = blocks[0].register_forward_pre_hook(keep, with_kwargs=True)
    with torch.no_grad():
        model.network(torch.tensor([ids]), use_cache=False)
    handle.remove()

    def of_last(z: torch.Tensor) -> torch.Tensor:
        def put(module: Any, args: Any, kwargs: Any) -> Any:
            x = torch.cat([seen["input"][:, :-1], z[None, None]], dim=1)
            return ((x, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": x})

        def see(module: Any, args: Any, output: Any) -> None:
            seen["output"] = (output[0] if isinstance(output, tuple) else output)[0, -1]

        handles = [
            blocks[0].register_forward_pre_hook(put, with_kwargs=True),
            blocks[-1].register_forward_hook(see),
        ]
        model.network(torch.tensor([ids]), use_cache=False)
        for one in handles:
            one.remove()
        found: torch.Tensor = seen["output"]
        return found

    return torch.autograd.functional.jacobian(of_last, seen["input"][0, -1])


@pytest.mark.parametrize("name", FAMILIES)
def test_it_is_the_largest_singular_value_of_the_jacobian_written_out(model_of: ModelOf, name: str) -> None:
    model = model_of(name)
    trace = run_through(model, prompt_set(LENGTHS), "key", ABOUT, Pass("through"))
    off = torch.eye(32) - 1 / 32
    for prompt, ids in enumerate(model.tokenizer.encode(prompt_set(LENGTHS))):
        j = whole_jacobian(model, ids)
        assert column(trace, THROUGH_NORM)[prompt] == pytest.approx(float(torch.linalg.svdvals(j)[0]), rel=1e-4)
        if model.family.norm == "LayerNorm":
            centred = float(torch.linalg.svdvals(off @ j @ off)[0])
            assert column(trace, paired(THROUGH_NORM)[1])[prompt] == pytest.approx(centred, rel=1e-4)


@pytest.mark.parametrize("name", ["gptj", "llama"])
def test_the_fastest_change_is_no_slower_than_random_ones_and_no_faster_than_every_blocks_own(
    model_of: ModelOf, name: str
) -> None:
    model = model_of(name)
    through, random, each = (
        run(model, prompt_set(LENGTHS), "key", {**ABOUT, "pass": "made"}, Pass(name))
        for name, run in (("through", run_through), ("perturbation", run_perturbation), ("jacobian", run_jacobian))
    )
    fastest = column(through, THROUGH_NORM)[:, -1]
    assert (fastest >= evaluate("perturbation_amplification", random).values).all()
    assert (fastest <= column(each, JACOBIAN_NORM).prod(axis=1) * (1 + 1e-5)).all()


def test_the_rate_is_of_the_streams_own_norms(model_of: ModelOf) -> None:
    model = model_of("llama")
    trace = run_through(model, prompt_set(LENGTHS), "key", ABOUT, Pass("through"))
    plain = run_pass(model, prompt_set(LENGTHS), "key", {"model": "tiny", "dtype": "float32"})
    amplified = evaluate("amplification_from_embedding", plain).values
    expected = np.log(column(trace, THROUGH_NORM)[:, -1] / amplified) / trace.meta["layers"]
    np.testing.assert_allclose(evaluate("largest_relative_growth", trace).values, expected, rtol=1e-5)


def test_padded_or_alone_it_is_the_same(model_of: ModelOf) -> None:
    model = model_of("gptj")
    together = column(run_through(model, prompt_set((6, 3)), "key", ABOUT, Pass("through")), THROUGH_NORM)
    for prompt, ids in enumerate(model.tokenizer.encode(prompt_set((6, 3)))):
        alone = replace(model, tokenizer=SimpleNamespace(encode=lambda prompts, one=ids: [one]))
        found = column(run_through(alone, prompt_set((len(ids),)), "key", ABOUT, Pass("through")), THROUGH_NORM)
        np.testing.assert_allclose(found[0], together[prompt], rtol=1e-4)


def test_blocks_that_add_nothing_change_nothing() -> None:
    model = tiny_model(VARIANTS["llama"])
    with torch.no_grad():
        for block in model.blocks():
            for path in ("self_attn.o_proj", "mlp.down_proj"):
                block.get_submodule(path).weight.zero_()
    trace = run_through(model, prompt_set(LENGTHS), "key", ABOUT, Pass("through"))
    np.testing.assert_allclose(column(trace, THROUGH_NORM), 1.0, rtol=1e-5)
    np.testing.assert_allclose(evaluate("largest_relative_growth", trace).values, 0.0, atol=1e-5)


def test_a_model_whose_norms_keep_the_mean_has_no_centred_form(model_of: ModelOf) -> None:
    trace = run_through(model_of("llama"), prompt_set(LENGTHS), "key", ABOUT, Pass("through"))
    with pytest.raises(NoSuchTap, match="do not take the mean off"):
        evaluate("largest_relative_growth", trace, norm="centred")
