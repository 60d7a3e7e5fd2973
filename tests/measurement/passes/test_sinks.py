"""The sinks and the induction pass against eager attention's own matrices, and on patterns whose answer is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from by_hand import FIVE, seen_by_hand
from tiny import prompt_set

from refutable.errors import NoSuchTap, NotMeasured
from refutable.measurement.instrument.each_head import EachHead, watching
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.induction import run_induction, to_what_followed, twice
from refutable.measurement.passes.sinks import run_sinks, to_first
from refutable.metrics import evaluate
from refutable.traces.passes import Pass

ModelOf = Callable[[str], LoadedModel]
ABOUT = {"model": "tiny", "dtype": "float32"}
PROMPTS = prompt_set((5, 3, 12))


@pytest.mark.parametrize("name", [*FIVE, "mistral", "bloom", "gemma2"])  # windows, biases by distance, caps
def test_attention_to_the_first_token_is_that_of_eager_matrices(model_of: ModelOf, name: str) -> None:
    model = model_of(name)
    trace = run_sinks(model, PROMPTS, "key", {**ABOUT, "pass": "sinks"}, Pass("sinks"))
    for prompt, ids in enumerate(model.tokenizer.encode(PROMPTS)):
        patterns = seen_by_hand(model, ids).patterns  # (layers, heads, T, T)
        for first, start in (("without", 1), ("with", 0)):
            heads = patterns[:, :, start:, 0].mean(axis=-1)
            found = evaluate("attention_to_first", trace, first_token=first).values[prompt]
            np.testing.assert_allclose(found, heads.mean(axis=-1), atol=1e-5)
            found = evaluate("sink_rate", trace, first_token=first).values[prompt]
            np.testing.assert_allclose(found, (heads > 0.3).mean(axis=-1))


@pytest.mark.parametrize("name", FIVE)
def test_the_induction_score_is_that_of_eager_matrices(model_of: ModelOf, name: str) -> None:
    model = model_of(name)
    trace = run_induction(model, PROMPTS, "key", {**ABOUT, "pass": "induction"}, Pass("induction"))
    found = evaluate("induction_score", trace).values
    for prompt, ids in enumerate(model.tokenizer.encode(PROMPTS)):
        read, m = twice(ids, 64, prompt), len(ids) - 1
        assert read[0] == ids[0]
        assert read[1 : m + 1] == read[m + 1 :]
        patterns = seen_by_hand(model, read).patterns
        scores = np.mean([patterns[:, :, m + j, j + 1] for j in range(1, m + 1)], axis=0)  # (layers, heads)
        np.testing.assert_allclose(found[prompt], scores.max(axis=-1), atol=1e-5)


def test_patterns_that_are_known() -> None:
    n = 6
    uniform = torch.ones(n, n).tril() / torch.arange(1, n + 1)[:, None]
    later = sum(1 / k for k in range(2, n + 1)) / (n - 1)  # (H_n - 1) / (n - 1)
    np.testing.assert_allclose(to_first(uniform), [later, (1 + (n - 1) * later) / n], rtol=1e-6)
    m, perfect = 3, torch.zeros(7, 7)
    for j in range(1, m + 1):
        perfect[m + j, j + 1] = 1
    assert to_what_followed(perfect).item() == 1
    assert to_what_followed(torch.eye(7)).item() == 0


def test_no_more_than_one_heads_pattern_is_made(model_of: ModelOf, monkeypatch: pytest.MonkeyPatch) -> None:
    model, largest = model_of("llama"), 0
    softmax = torch.softmax

    def watched(x: torch.Tensor, dim: int) -> torch.Tensor:
        nonlocal largest
        largest = max(largest, x.numel())
        return softmax(x, dim=dim)

    monkeypatch.setattr(torch, "softmax", watched)
    run_sinks(model, PROMPTS, "key", {**ABOUT, "pass": "sinks"}, Pass("sinks"))
    assert largest == 12 * 12


def test_what_cannot_be_read_is_said(model_of: ModelOf) -> None:
    with pytest.raises(NotMeasured, match="a prompt has one token"):
        run_sinks(model_of("llama"), prompt_set((5, 1)), "key", ABOUT, Pass("sinks"))
    with pytest.raises(NotMeasured, match="fewer than 3 tokens to repeat"):
        run_induction(model_of("llama"), prompt_set((5, 2)), "key", ABOUT, Pass("induction"))
    with pytest.raises(NotMeasured, match="reads at most 64 tokens"):
        run_induction(model_of("llama"), prompt_set((40,)), "key", ABOUT, Pass("induction"))
    with pytest.raises(NoSuchTap, match="shows no probabilities"), watching(model_of("llama"), EachHead([1], to_first)):
        pass
