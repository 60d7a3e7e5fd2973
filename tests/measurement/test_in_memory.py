"""A model object in memory: the numbers are those of the same weights in a folder, and it is left as it was."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import VARIANTS, stirred
from transformers import ByT5Tokenizer, GPT2Model

import refutable
from refutable.errors import BadInput, NotMeasured
from refutable.measurement.loading.load import draw
from refutable.measurement.loading.tokens import StandInTokens
from refutable.models.subject import Subject
from refutable.prompts.in_memory import prompts_from
from refutable.traces.trace import CLOSURE_COLUMN, Trace

TEXTS = ["The cat sat.", "Four words stand here", "A third, rather longer prompt"]
IDS = StandInTokens(64).encode(prompts_from(TEXTS).prompts)  # what a folder without a tokenizer is given for them
FAMILIES = (
    *("gpt2", "gptj", "gpt_neo", "gpt_neox-parallel", "gpt_neox-sequential", "opt", "bloom", "falcon-7b", "mpt"),
    *("llama", "mistral", "gemma2", "olmo2", "phi", "cohere", "granite", "opt-350m"),
)
PASSES = (
    "loss",
    "heads",
    "rank",
    "reach",
    "perturbation",
    "jacobian",
    "through",
    "coordinates",
    "sinks",
    "induction",
    "lens",
)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFUTABLE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def network_of(name: str, attention: str = "sdpa", dtype: str = "float32") -> Any:
    """Draw a tiny network as a user of transformers would hold it: in training mode, with attention of their choice."""
    config = VARIANTS[name].config
    return stirred(draw(config, Subject("tiny", "init", dtype=dtype), attention)).train()


def attention_that(name: str) -> str:
    return "eager" if name in ("gptj", "gpt_neo", "bloom", "mpt", "gemma2") else "sdpa"


def numbers(trace: Trace) -> dict[str, np.ndarray]:
    tables = {"blocks": trace.blocks, "prompts": trace.prompts}
    return {
        f"{which}.{name}": table[name].to_numpy(zero_copy_only=False).astype(np.float64)
        for which, table in tables.items()
        for name in table.column_names
        if name not in ("text", "category", "complexity", "top_token", CLOSURE_COLUMN)
    }


def assert_same(found: Trace, expected: Trace) -> None:
    """Hold every number of two traces to each other; closure is rounding, and held to its bound by the pass itself."""
    one, other = numbers(found), numbers(expected)
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_allclose(values, other[name], rtol=2e-4, atol=2e-5, equal_nan=True, err_msg=name)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_trace_is_that_of_the_same_weights_in_a_folder(name: str, tmp_path: Path) -> None:
    network = network_of(name, attention_that(name))
    network.save_pretrained(tmp_path / "tiny")
    found = refutable.measure(network, None, IDS)
    expected = refutable.measure(tmp_path / "tiny", prompts=TEXTS, device="cpu")
    assert_same(found, expected)
    assert found.meta["absent"] == expected.meta["absent"]


@pytest.mark.parametrize("run", PASSES)
@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_so_it_is_from_every_other_pass(name: str, run: str, tmp_path: Path) -> None:
    network = network_of(name)
    network.save_pretrained(tmp_path / "tiny")
    with torch.no_grad():  # as notebooks are
        found = refutable.measure(network, None, IDS, run=run)
    expected = refutable.measure(tmp_path / "tiny", prompts=TEXTS, run=run, device="cpu")
    assert_same(found, expected)


@pytest.mark.parametrize("under", ["ablate-mlp", "rewire-parallel", "soften-attention", "shuffle-tokens"])
def test_so_it_is_under_an_intervention(under: Any, tmp_path: Path) -> None:
    network = network_of("llama")
    network.save_pretrained(tmp_path / "tiny")
    found = refutable.measure(network, None, IDS, under=under, blocks="last")
    expected = refutable.measure(tmp_path / "tiny", prompts=TEXTS, under=under, blocks="last", device="cpu")
    assert_same(found, expected)


def state_of(network: Any) -> dict[str, Any]:
    """Return all that could be left otherwise: attributes and hooks of modules, configurations, gradients, weights."""
    return {
        "modules": {path: _attributes(module) for path, module in network.named_modules()},
        "config": (id(network.config), copy.deepcopy(vars(network.config))),
        "requires_grad": [parameter.requires_grad for parameter in network.parameters()],
        "grad": [None if p.grad is None else p.grad.tolist() for p in network.parameters()],
        "weights": {name: tensor.tolist() for name, tensor in network.state_dict().items()},
    }


def _attributes(module: torch.nn.Module) -> dict[str, Any]:
    """Return each attribute by its identity or, of a dictionary, by those of its content."""
    return {
        name: (id(value), [(key, id(one)) for key, one in value.items()]) if isinstance(value, dict) else id(value)
        for name, value in vars(module).items()
    }


def prepared(name: str) -> Any:
    """Return a network in a state that no engine would leave behind."""
    network = network_of(name, attention_that(name))
    network(input_ids=torch.tensor([[1, 2, 3]])).logits.sum().backward()
    parameters = list(network.parameters())
    parameters[0].requires_grad_(False)
    next(iter(network.modules())).training = True
    list(network.modules())[-1].eval()
    network.config.use_cache = True
    network.config.output_hidden_states = True
    network.config.return_dict = False
    return network


@pytest.mark.parametrize("run", ["forward", *PASSES])
@pytest.mark.parametrize("name", ["gpt2", "gptj", "bloom", "llama", "mixtral"])
def test_the_model_is_left_as_it_was(name: str, run: str) -> None:
    network = prepared(name)
    before = state_of(network)
    with contextlib.suppress(NotMeasured):  # a pass may mean nothing on a family; the model is left alone all the same
        refutable.measure(network, None, IDS, run=run)
    assert state_of(network) == before


@contextmanager
def failing(network: Any) -> Iterator[None]:
    def fail(*_: Any) -> None:
        raise RuntimeError("in the middle of the pass")

    handle = network.get_output_embeddings().register_forward_hook(fail)
    try:
        yield
    finally:
        handle.remove()


@pytest.mark.parametrize("under", ["none", "soften-attention", "ablate-mlp", "rewire-parallel"])
def test_and_so_it_is_when_the_pass_raises(under: Any) -> None:
    network = prepared("gpt2" if under != "soften-attention" else "llama")
    with failing(network):
        before = state_of(network)
        with pytest.raises(RuntimeError, match="in the middle"):
            refutable.measure(network, None, IDS, under=under)
        assert state_of(network) == before
    assert torch.is_grad_enabled()


def test_the_model_can_be_trained_on_afterwards() -> None:
    network = network_of("gptj", "eager")  # which keeps a buffer that a pass moves
    refutable.measure(network, None, IDS)
    network(input_ids=torch.tensor([[1, 2, 3]])).logits.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_what_the_callers_hooks_do_is_measured() -> None:
    network = network_of("gpt2")
    plain = refutable.measure(network, None, IDS)
    block = network.transformer.h[0]
    handle = block.mlp.register_forward_hook(lambda module, args, output: output * 2)
    patched = refutable.measure(network, None, IDS)
    assert handle.id in block.mlp._forward_hooks
    twice = patched.view("last", centred=False).norm("mlp_update")[:, 0]
    assert twice == pytest.approx(2 * plain.view("last", centred=False).norm("mlp_update")[:, 0], rel=1e-5)


def test_an_own_dtype_is_kept_and_told(tmp_path: Path) -> None:
    network = network_of("llama", dtype="bfloat16")
    network.save_pretrained(tmp_path / "tiny")
    found = refutable.measure(network, None, IDS)
    assert found.meta["dtype"] == "bfloat16"
    assert {parameter.dtype for parameter in network.parameters()} == {torch.bfloat16}
    expected = refutable.measure(tmp_path / "tiny", prompts=TEXTS, dtype="bfloat16", device="cpu")
    norm = "blocks.norm.block_output"
    np.testing.assert_allclose(numbers(found)[norm], numbers(expected)[norm], rtol=2e-2)


def test_what_the_weights_are_is_told_honestly() -> None:
    trace = refutable.measure(network_of("gpt2"), None, IDS, name="My GPT-2")
    assert trace.meta["weights_kind"] == "local"
    assert trace.meta["weights_detail"] == "a model object in memory"
    assert trace.meta["config_from"] == "the model's own"
    assert trace.meta["model"] == "my-gpt-2"
    assert trace.meta["layers"] == 3


def test_other_weights_are_another_trace_and_the_same_are_the_same() -> None:
    network = network_of("gpt2")
    first, again = (refutable.measure(network, None, IDS) for _ in range(2))
    assert first.key == again.key
    with torch.no_grad():
        network.transformer.h[1].mlp.c_proj.weight.mul_(1.5)
    assert refutable.measure(network, None, IDS).key != first.key


def test_a_tokenizer_of_the_callers_is_used() -> None:
    variant = {**VARIANTS["gpt2"].config, "vocab_size": 259}
    network = draw(variant, Subject("tiny", "init"), "sdpa")
    tokenizer = ByT5Tokenizer(extra_ids=0)
    tokenizer._add_eos_if_not_present = list  # it ends each text with a token that is no word of it
    trace = refutable.measure(network, tokenizer, TEXTS)
    assert trace.prompts["tokens"].to_pylist() == [len(text) for text in TEXTS]
    assert trace.prompts["text"].to_pylist() == TEXTS
    assert trace.meta["tokens"] == "own tokenizer"


REFUSED: dict[str, tuple[Callable[[], Any], dict[str, Any], str]] = {
    "a word for a tokenizer": (lambda: network_of("gpt2"), {"tokenizer": "gpt2", "prompts": TEXTS}, "got 'gpt2'"),
    "another model's tokenizer": (
        lambda: network_of("gpt2"),
        {"tokenizer": ByT5Tokenizer(extra_ids=0), "prompts": TEXTS},
        "vocabulary of 64; give this model's own tokenizer",
    ),
    "no head": (lambda: GPT2Model(network_of("gpt2").config), {}, "load it with AutoModelForCausalLM"),
    "in double": (lambda: network_of("gpt2").double(), {}, "its parameters are float64"),
    "no list": (lambda: network_of("gpt2"), {"prompts": [3]}, "must be a list of texts"),
    "an unknown set": (lambda: network_of("gpt2"), {"prompts": "grand-unifed-25"}, "Did you mean 'grand-unified-25'"),
    "no file": (lambda: network_of("gpt2"), {"prompts": "none.txt"}, "prompts: none.txt: no such file"),
    "an unknown pass": (lambda: network_of("gpt2"), {"run": "hedas"}, "Did you mean 'heads'"),
    "a probe": (lambda: network_of("gpt2"), {"run": "wiring"}, "a probe of a reduced instance"),
    "an unknown change": (lambda: network_of("gpt2"), {"under": "ablate"}, "unknown under= 'ablate'; known: ablate-"),
    "an unknown choice": (lambda: network_of("gpt2"), {"bos": "maybe"}, "unknown bos= 'maybe'"),
    "a pass as it is": (
        lambda: network_of("gpt2"),
        {"run": "heads", "under": "ablate-mlp"},
        "run one of agreement, forward, loss",
    ),
    "blocks of nothing": (lambda: network_of("gpt2"), {"blocks": "last"}, "says where `under` changes the model"),
    "no name": (lambda: network_of("gpt2"), {"name": "..."}, "a model is called by letters"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_used_is_refused_with_the_fix(what: str) -> None:
    make, options, message = REFUSED[what]
    with pytest.raises(BadInput, match=message):
        refutable.measure(make(), **{"prompts": IDS, **options})


def test_a_file_that_is_damaged_or_absent_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    with pytest.raises(BadInput, match="its GGUF header is damaged"):
        refutable.measure(str(tmp_path / "x.gguf"))
    with pytest.raises(BadInput, match="its GGUF header is damaged"):
        refutable.measure(tmp_path / "x.gguf", name="smollm2", device="cpu")
    with pytest.raises(BadInput, match="no such folder or file"):
        refutable.measure(tmp_path / "none")


def test_a_name_is_found_in_the_store_again() -> None:
    first, again = (refutable.measure("tiny-llama", device="cpu") for _ in range(2))
    assert again.meta["measured"] == first.meta["measured"]
