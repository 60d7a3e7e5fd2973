"""The lens pass against each family's own final norm and head, applied by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from by_hand import FIVE, seen_by_hand
from tiny import VARIANTS, prompt_set, tiny_model

from refutable.errors import InstrumentError
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.lens import divergence_and_entropy, run_lens
from refutable.metrics import evaluate
from refutable.traces.passes import Pass

ModelOf = Callable[[str], LoadedModel]
ABOUT = {"model": "tiny", "dtype": "float32", "pass": "lens"}
PROMPTS = prompt_set((5, 1, 12))
FINAL_NORM = {
    "gpt2": "transformer.ln_f",
    "gptj": "transformer.ln_f",
    "gpt_neox-parallel": "gpt_neox.final_layer_norm",
    "llama": "model.norm",
    "opt": "model.decoder.final_layer_norm",
}


@pytest.mark.parametrize("name", FIVE)
@torch.inference_mode()
def test_each_lens_is_the_final_norm_and_the_head_on_what_the_block_gave(model_of: ModelOf, name: str) -> None:
    model = model_of(name)
    trace = run_lens(model, PROMPTS, "key", ABOUT, Pass("lens"))
    norm, head = model.network.get_submodule(FINAL_NORM[name]), model.network.get_output_embeddings()
    for prompt, ids in enumerate(model.tokenizer.encode(PROMPTS)):
        seen = seen_by_hand(model, ids)
        read = torch.log_softmax(head(norm(torch.tensor(seen.states[1:, -1]).float())).double(), dim=-1).numpy()
        own = seen.log_p[-1]
        expected = [(np.exp(own) * (own - one)).sum() for one in read]
        np.testing.assert_allclose(evaluate("lens_divergence", trace).values[prompt], expected, rtol=1e-5, atol=1e-5)
        expected = [-(np.exp(one) * one).sum() for one in read]
        np.testing.assert_allclose(evaluate("lens_entropy", trace).values[prompt], expected, rtol=1e-5)
    np.testing.assert_allclose(evaluate("lens_divergence", trace, layer="last").values, 0, atol=1e-6)


def test_of_distributions_that_are_known() -> None:
    own, read = torch.tensor([[0.5, 0.5, 0.0]]).log(), torch.tensor([[0.25, 0.75, 0.0]]).log()
    divergence = 0.5 * np.log(0.5 / 0.25) + 0.5 * np.log(0.5 / 0.75)  # by hand
    entropy = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    np.testing.assert_allclose(divergence_and_entropy(own, read), [[divergence, entropy]], rtol=1e-6)
    never = torch.tensor([[1.0, 0.0, 0.0]]).log()
    assert divergence_and_entropy(own, never)[0, 0] == torch.inf, "what the lens rules out may come"


def test_a_head_that_reads_more_than_the_last_block_is_not_believed() -> None:
    model = tiny_model(VARIANTS["llama"])
    model.network.model.norm.register_forward_hook(lambda m, a, out: out * (1 + out.shape[1]))
    with pytest.raises(InstrumentError, match="depends on more than their output"):
        run_lens(model, PROMPTS, "key", ABOUT, Pass("lens"))


@pytest.mark.parametrize("name", ["opt-350m", "granite", "cohere", "gemma2", "mpt"])  # projected, scaled, capped
def test_what_else_a_family_does_after_its_blocks_is_done(model_of: ModelOf, name: str) -> None:
    found: Any = evaluate("lens_divergence", run_lens(model_of(name), PROMPTS, "key", ABOUT, Pass("lens"))).values
    np.testing.assert_allclose(found[:, -1], 0, atol=1e-6)
    assert (found[:, 0] > 1e-3).all()
