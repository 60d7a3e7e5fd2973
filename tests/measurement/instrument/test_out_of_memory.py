"""When memory runs out the batch is halved, the trace says so, and its numbers are the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tiny import LENGTHS, VARIANTS, prompt_set, tiny_model

from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.forward import run_pass
from refutable.traces.trace import PRIMITIVE_COLUMNS


def limited(model: LoadedModel, room: int) -> list[tuple[int, int]]:
    """Let the model run out of memory above `room` tokens a batch; return the shapes that were tried."""
    tried: list[tuple[int, int]] = []

    def refuse(module: Any, args: Any, kwargs: Any) -> None:
        shape = kwargs["input_ids"].shape
        tried.append(tuple(shape))
        if shape.numel() > room:
            raise torch.OutOfMemoryError("CUDA out of memory (planted)")

    model.network.register_forward_pre_hook(refuse, with_kwargs=True)
    return tried


def test_a_batch_that_does_not_fit_is_halved() -> None:
    model = tiny_model(VARIANTS["llama"])
    whole = run_pass(model, prompt_set(), "key", {})
    assert whole.meta["batch_halvings"] == 0
    tried = limited(model, 16)
    trace = run_pass(model, prompt_set(), "key", {})
    fitting = [b * t for b, t in tried if b * t <= 16]
    assert 1 <= trace.meta["batch_halvings"] <= 2, "the first halving already makes the batch smaller"
    assert trace.meta["batches"] > whole.meta["batches"]
    assert sum(fitting) >= sum(LENGTHS)
    for name in PRIMITIVE_COLUMNS:
        a, b = (t.blocks[name].to_numpy(zero_copy_only=False) for t in (trace, whole))
        scale = 1 + np.nanmax(np.abs(b))
        np.testing.assert_allclose(a / scale, b / scale, atol=1e-5, err_msg=name)


def test_a_single_prompt_that_does_not_fit_is_an_error() -> None:
    model = tiny_model(VARIANTS["llama"])
    tried = limited(model, 11)  # the longest prompt has 12 tokens
    with pytest.raises(torch.OutOfMemoryError):
        run_pass(model, prompt_set(), "key", {})
    assert min(b for b, _ in tried) == 1
    assert len(tried) < 20


def test_no_hook_stays_on_a_model_that_ran_out_of_memory() -> None:
    model = tiny_model(VARIANTS["llama"])
    limited(model, 0)
    with pytest.raises(torch.OutOfMemoryError):
        run_pass(model, prompt_set(), "key", {})
    assert not any(module._forward_hooks for module in model.network.modules())
