"""On a GPU: the fused kernel agrees with the reference, and a pass with the same pass on the CPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import VARIANTS, prompt_set, row_of, save, source_of, tiny_model

from refutable.measurement.instrument.reduce import TAPS, reduce_blocks, reduce_reference
from refutable.measurement.loading.load import draw, load_model
from refutable.measurement.passes.forward import run_pass
from refutable.models.device import EVERY_GPU
from refutable.models.subject import Subject
from refutable.traces.trace import PRIMITIVE_COLUMNS, UPDATE_TAPS

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("width", [5, 64, 1024, 4096, 5120])
@pytest.mark.parametrize("updates", [True, False])
def test_the_fused_kernel_agrees_with_the_reference(dtype: torch.dtype, width: int, updates: bool) -> None:
    generator = torch.Generator("cuda").manual_seed(0)
    taps = [tap for tap in TAPS if updates or tap not in UPDATE_TAPS]
    seen = {
        tap: (torch.randn(3, 7, width, device="cuda", generator=generator) * (i + 1) + i).to(dtype)
        for i, tap in enumerate(taps)
    }
    fused, reference = (
        reduce_blocks([seen, seen], 0.22)[1],
        reduce_reference({k: v.double().float() for k, v in seen.items()}, 0.22),
    )
    size = reference[..., :2].prod(-1, keepdim=True).clamp(min=1)  # products cancel: their error is that of the norms
    torch.testing.assert_close(fused / size, reference / size, rtol=2e-6, atol=2e-6, equal_nan=True)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_pass_on_the_gpu_agrees_with_the_cpu(name: str) -> None:
    model = tiny_model(VARIANTS[name])
    on_cpu = run_pass(model, prompt_set(), "key", {})
    model.network.to("cuda")
    on_gpu = run_pass(model, prompt_set(), "key", {})
    model.network.to("cpu")
    for column in PRIMITIVE_COLUMNS:
        cpu, gpu = (t.blocks[column].to_numpy(zero_copy_only=False).astype(float) for t in (on_cpu, on_gpu))
        if column != "closure_residual":
            np.testing.assert_allclose(
                gpu, cpu, rtol=2e-4, atol=2e-4 * float(np.nanmax(np.abs(cpu), initial=1.0)), err_msg=column
            )


def test_drawn_weights_on_the_gpu_are_the_same_twice() -> None:
    first, second = (draw(VARIANTS["llama"].config, Subject("tiny", device="cuda", seed=3)) for _ in range(2))
    for (name, a), (_, b) in zip(first.named_parameters(), second.named_parameters(), strict=True):
        assert torch.equal(a, b), name


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one CUDA device")
@pytest.mark.parametrize("name", ["gpt2", "gpt_neox-parallel", "gptj", "llama", "falcon-7b", "gemma2"])
@pytest.mark.parametrize("form", ["saved", "drawn"])
def test_a_model_spread_over_two_gpus_measures_the_same(name: str, form: str, tmp_path: Path) -> None:
    row, source = row_of(VARIANTS[name]), source_of(VARIANTS[name])
    if form == "saved":
        folder = save(tiny_model(VARIANTS[name]).network, tmp_path)
        source = replace(source, form="safetensors", location=folder)
    one, several = (
        load_model(row, Subject(row.name, "init", device=device, seed=1), source, tmp_path)
        for device in ("cuda", EVERY_GPU)
    )
    assert len({p.device for p in several.network.parameters()}) == 2
    expected, spread = (run_pass(model, prompt_set(), "key", {}) for model in (one, several))
    for column in PRIMITIVE_COLUMNS:
        a, b = (t.blocks[column].to_numpy(zero_copy_only=False).astype(float) for t in (spread, expected))
        if column != "closure_residual":
            scale = float(np.nanmax(np.abs(b), initial=1.0))
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * scale, err_msg=column)
