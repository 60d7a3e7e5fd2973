"""Low precision: the pass runs in bfloat16 or float16, its primitives are float32 all the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import VARIANTS, prompt_set, row_of, tiny_model

from refutable.measurement.passes.forward import run_pass
from refutable.traces.trace import CLOSURE_COLUMN, STREAM_TAPS, norm_column

SOME = ("gpt2", "gpt_neox-parallel", "llama", "gemma2", "granite", "bloom", "falcon-7b", "mixtral", "olmo2")


@pytest.mark.parametrize("name", SOME)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_closure_holds_within_four_eps(name: str, dtype: str) -> None:
    model = tiny_model(VARIANTS[name], row=row_of(VARIANTS[name], name), dtype=dtype)
    trace = run_pass(model, prompt_set(), "key", {})
    column = {c: trace.blocks[c].to_numpy() for c in (CLOSURE_COLUMN, *map(norm_column, STREAM_TAPS))}
    sizes = [column[norm_column(tap)] for tap in ("block_input", "attention_update", "mlp_update")]
    eps = {"bfloat16": 2**-7, "float16": 2**-10}[dtype]  # spacing of numbers at 1
    worst = (column[CLOSURE_COLUMN] / (4 * eps * sum(sizes))).max()
    assert worst < 1
    assert trace.meta["closure_worst"] == pytest.approx(worst, rel=1e-5)
    assert column[CLOSURE_COLUMN].max() > 0, "rounding shows; otherwise nothing was checked"


@torch.inference_mode()
def test_norms_are_float32_of_the_bfloat16_tensor() -> None:
    model = tiny_model(VARIANTS["llama"], dtype="bfloat16")
    prompts = prompt_set([9])
    trace = run_pass(model, prompts, "key", {})
    seen: list[torch.Tensor] = []
    handles = [
        block.register_forward_hook(lambda module, args, output: seen.append(output)) for block in model.blocks()
    ]
    model.network(torch.tensor(model.tokenizer.encode(prompts)))
    for handle in handles:
        handle.remove()
    assert all(tensor.dtype == torch.bfloat16 for tensor in seen)
    assert trace.blocks[norm_column("block_output")].type == "float"  # Arrow's name of float32
    got = trace.blocks[norm_column("block_output")].to_numpy().reshape(9, 3)
    exact = torch.stack([tensor[0].double().norm(dim=-1) for tensor in seen], dim=-1).numpy()  # (T, layers)
    in_bfloat16 = torch.stack([tensor[0].norm(dim=-1).float() for tensor in seen], dim=-1).numpy()
    np.testing.assert_allclose(got, exact, rtol=1e-6)
    assert np.abs(in_bfloat16 / exact - 1).max() > 1e-4, "hazard H1: the norm itself would have been rounded"
