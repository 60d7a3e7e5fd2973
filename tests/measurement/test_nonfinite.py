"""NaN and infinity: the trace is made and stored, what reads them is an error, what does not stands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import VARIANTS, prompt_set, row_of, tiny_model

from refutable.errors import NonFiniteError
from refutable.measurement.passes.forward import run_pass
from refutable.metrics import METRICS, evaluate
from refutable.traces.store import Store
from refutable.traces.trace import Trace, norm_column

BAD = [float("nan"), float("inf")]


def broken(name: str, layer: int, value: float, path: str = "mlp.down_proj") -> Trace:
    """Return the trace of a model with one weight of one layer, counted from 1, set to `value`."""
    model = tiny_model(VARIANTS[name], row=row_of(VARIANTS[name], "broken"))
    with torch.no_grad():
        model.blocks()[layer - 1].get_submodule(path).weight[0, 0] = value
    return run_pass(model, prompt_set(), "key", {"model": "broken", "dtype": "float32"})


@pytest.mark.parametrize("value", BAD)
def test_what_reads_a_bad_layer_is_an_error_that_names_it(value: float) -> None:
    trace = broken("llama", 3, value)
    for metric in ("last_gain", "layer_gain", "total_amplification", "mlp_growth", "cos_attention_mlp"):
        with pytest.raises(NonFiniteError, match=r"^broken in float32: .* at layer 3 of prompt 0 .*--dtype float32"):
            evaluate(metric, trace)
    with pytest.raises(NonFiniteError, match="output_entropy is nan"):
        evaluate("output_entropy", trace)
    with pytest.raises(NonFiniteError, match="top_probability is nan"):
        evaluate("top_probability", trace)


@pytest.mark.parametrize("value", BAD)
def test_what_reads_finite_primitives_of_the_same_trace_stands(value: float) -> None:
    trace, whole = broken("llama", 3, value), run_pass(tiny_model(VARIANTS["llama"]), prompt_set(), "key", {})
    for metric in ("attention_growth", "attention_gain", "attention_entropy", "cos_attention_residual"):
        np.testing.assert_array_equal(evaluate(metric, trace).values, evaluate(metric, whole).values)
    assert trace.meta["closure_worst"] < 1


@pytest.mark.parametrize("metric", ["layer_gain", "residual_norm", "mlp_growth"])
def test_earlier_layers_stand(metric: str) -> None:
    trace, whole = (
        broken("llama", 3, BAD[0]),
        run_pass(tiny_model(VARIANTS["llama"]), prompt_set(), "key", {}),
    )
    np.testing.assert_array_equal(evaluate(metric, trace, layer=1).values, evaluate(metric, whole, layer=1).values)


@pytest.mark.parametrize("name", ["llama", "gpt2", "gpt_neox-parallel", "opt-350m"])
def test_a_model_that_is_nothing_but_nan_is_an_error_and_not_a_missing_tap(name: str, tmp_path: Path) -> None:
    model = tiny_model(VARIANTS[name], row=row_of(VARIANTS[name], "broken"))
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.fill_(torch.nan)
    trace = run_pass(model, prompt_set(), "key", {"model": "broken", "dtype": "float32"})
    reads_updates = {
        *(m for m in METRICS if "growth" in m or "cos" in m),
        *("cancellation_ratio", "attention_gain", "mlp_gain", "attention_over_mlp"),
        *("gain_by_attention", "gain_without_opposition"),
    }
    of_prompts = {"prompt_length", "prompt_complexity"}
    forward = {m for m in METRICS if METRICS[m].reads == "forward"}
    for metric in forward - of_prompts - (set() if VARIANTS[name].additive else reads_updates):
        with pytest.raises(NonFiniteError, match="broken in float32"):
            evaluate(metric, trace)
    store = Store(tmp_path)  # its JSON holds no NaN
    store.put(trace)
    again = store.get("key")
    assert again is not None
    assert np.isnan(again.blocks[norm_column("block_output")].to_numpy()).all()


@pytest.mark.parametrize("value", [*BAD, -float("inf")])
def test_an_output_that_is_not_finite_has_no_entropy(value: float) -> None:
    model = tiny_model(VARIANTS["llama"])
    model.network.lm_head.register_forward_hook(
        lambda module, args, output: output.index_fill(-1, torch.tensor([3]), value)
    )
    trace = run_pass(model, prompt_set(), "key", {"model": "broken", "dtype": "float32"})
    if value == -float("inf"):  # a token that cannot come next is no fault
        assert (evaluate("output_entropy", trace).values > 0).all()
        return
    for metric in ("output_entropy", "top_probability"):
        with pytest.raises(NonFiniteError, match=f"{metric} is nan"):
            evaluate(metric, trace)
