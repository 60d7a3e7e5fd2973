"""A prompt's numbers do not depend on the prompts that it is measured beside: every family, every kind of rotation."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from tiny import VARIANTS, VOCABULARY, Variant, prompt_set, tiny_model

from refutable.measurement.instrument.batching import switch_lengths
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.loading.tokens import GivenTokens
from refutable.measurement.passes import batches
from refutable.measurement.passes.forward import run_pass
from refutable.measurement.passes.loss import run_loss
from refutable.traces.passes import Pass
from refutable.traces.trace import PRIMITIVE_COLUMNS

LENGTHS = (5, 6, 7, 2, 20, 13)
SWITCH = 6


def _turned(base: str, kind: str, **settings: Any) -> Variant:
    variant = VARIANTS[base]
    rope = {"rope_type": kind, "rope_theta": 10_000.0, "original_max_position_embeddings": SWITCH, **settings}
    own = {"original_max_position_embeddings": SWITCH} if base == "phi3" else {}
    return dataclasses.replace(variant, config={**variant.config, **own, "rope_parameters": rope})


LONG = {"short_factor": [1.0, 1.1, 1.2, 1.3], "long_factor": [4.0, 8.0, 16.0, 32.0], "factor": 4.0}
ROTATIONS = {
    "phi3-longrope": _turned("phi3", "longrope", **LONG),
    "llama-longrope": _turned("llama", "longrope", **LONG),
    "llama-linear": _turned("llama", "linear", factor=4.0),
    "llama-dynamic": _turned("llama", "dynamic", factor=4.0),
    "llama-yarn": _turned("llama", "yarn", factor=4.0),
    "llama-llama3": _turned("llama", "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0),
}
EVERY = {**VARIANTS, **ROTATIONS}


def with_tokens(model: LoadedModel, ids: tuple[tuple[int, ...], ...]) -> LoadedModel:
    return dataclasses.replace(model, tokenizer=GivenTokens(ids))


@pytest.mark.parametrize("name", EVERY)
def test_a_prompt_in_a_batch_is_what_it_is_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(batches.OVERHEAD, "cpu", 10_000)  # as few batches as may be
    model = tiny_model(EVERY[name])
    generator = np.random.default_rng(0)
    ids = tuple(tuple(generator.integers(3, VOCABULARY, size=n).tolist()) for n in LENGTHS)
    together = run_pass(with_tokens(model, ids), prompt_set(LENGTHS), "key", {})
    lost = run_loss(with_tokens(model, ids), prompt_set(LENGTHS), "key", {}, Pass("loss"))
    prompt = together.blocks["prompt"].to_numpy()
    for i, tokens in enumerate(ids):
        alone = run_pass(with_tokens(model, (tokens,)), prompt_set([len(tokens)]), "key", {})
        for column in PRIMITIVE_COLUMNS:
            ours = together.blocks[column].to_numpy(zero_copy_only=False)[prompt == i]
            own = alone.blocks[column].to_numpy(zero_copy_only=False)
            np.testing.assert_allclose(ours, own, rtol=1e-4, atol=1e-4, err_msg=f"{column} of {len(tokens)} tokens")
        loss = run_loss(with_tokens(model, (tokens,)), prompt_set([len(tokens)]), "key", {}, Pass("loss"))
        for column in set(loss.prompts.column_names) - {"text", "category", "complexity"}:
            assert lost.prompts[column][i].as_py() == pytest.approx(loss.prompts[column][0].as_py(), rel=1e-4), column


@pytest.mark.parametrize("name", ["phi3-longrope", "llama-longrope"])
def test_the_switch_matters_and_batches_are_cut_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the cut the shorter prompts come out otherwise: the test above can fail."""
    model = tiny_model(EVERY[name])
    assert switch_lengths(model.network) == (SWITCH,)
    assert switch_lengths(tiny_model(VARIANTS["phi3"]).network) == ()
    monkeypatch.setitem(batches.OVERHEAD, "cpu", 10_000)
    ids = tuple(tuple(range(3, 3 + n)) for n in (5, 20))
    cut = run_pass(with_tokens(model, ids), prompt_set([5, 20]), "key", {})
    assert cut.meta["batches"] == 2
    monkeypatch.setattr(batches, "switch_lengths", lambda network: ())
    mixed = run_pass(with_tokens(model, ids), prompt_set([5, 20]), "key", {})
    assert mixed.meta["batches"] == 1
    a, b = (trace.blocks["norm.block_output"].to_numpy()[: 5 * 3] for trace in (cut, mixed))
    assert np.abs(a / b - 1).max() > 1e-3
