"""Interventions: each against a model that is built the way it is said to be, and nothing changed besides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import torch
from tiny import VARIANTS, prompt_set, row_of, tiny_model

from refutable.errors import NotMeasured
from refutable.measurement.instrument.interventions import intervening
from refutable.measurement.instrument.taps import first_tensor
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.forward import run_pass
from refutable.traces.passes import COORDINATE_CHANGES, EACH_TOKEN, BlockChange, Pass
from refutable.traces.trace import Trace, norm_column

ModelOf = Callable[[str], LoadedModel]
ABOUT = {"model": "tiny", "dtype": "float32"}
ADDITIVE = [name for name, variant in VARIANTS.items() if variant.additive]
TOKENS = torch.randint(64, (2, 9), generator=torch.Generator().manual_seed(0))
REWIRES = ("rewire-parallel", "rewire-sequential")


@torch.inference_mode()
def logits(model: LoadedModel, change: Any = "none", blocks: Any = "all") -> torch.Tensor:
    with intervening(model, change, blocks):
        return model.network(TOKENS, use_cache=False).logits


def column(trace: Trace, tap: Any) -> np.ndarray:
    return trace.blocks[norm_column(tap)].to_numpy().reshape(-1, trace.meta["layers"])


def other_wiring(name: str) -> Any:
    return "rewire-sequential" if VARIANTS[name].wiring == "parallel" else "rewire-parallel"


@pytest.mark.parametrize("name", ADDITIVE)
def test_rewiring_to_what_a_block_already_is_leaves_the_logits_alone_bit_for_bit(model_of: ModelOf, name: str) -> None:
    model = model_of(name)
    same: Any = f"rewire-{VARIANTS[name].wiring}"
    assert torch.equal(logits(model, same), logits(model))
    assert not torch.equal(logits(model, other_wiring(name)), logits(model))
    assert torch.equal(logits(model), logits(model)), "hooks were left behind"


@pytest.mark.parametrize(
    ("built", "rewired", "change"),
    [
        ("gpt_neox-sequential", "gpt_neox-parallel", "rewire-sequential"),
        ("gpt_neox-parallel", "gpt_neox-sequential", "rewire-parallel"),
    ],
)
def test_a_rewired_model_is_the_model_that_its_switch_builds(built: str, rewired: str, change: Any) -> None:
    reference, model = (tiny_model(VARIANTS[name]) for name in (built, rewired))
    model.network.load_state_dict(reference.network.state_dict())
    torch.testing.assert_close(logits(model, change), logits(reference), rtol=1e-6, atol=1e-5)
    assert (logits(model) - logits(reference)).abs().max() > 0.1


def sequential_block(block: Any, x: torch.Tensor, norm: str, attend: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """Return x + a + m(norm(x + a)), by the book."""
    normed = getattr(block, norm)
    middle = x + attend(normed(x))
    return middle + block.mlp(normed(middle))


@pytest.mark.parametrize(
    ("name", "norm"), [("gptj", "ln_1"), ("phi", "input_layernorm"), ("cohere", "input_layernorm")]
)
@torch.inference_mode()
def test_a_parallel_block_with_one_norm_is_rewired_by_the_book(model_of: ModelOf, name: str, norm: str) -> None:
    model = model_of(name)
    block = model.blocks()[0]
    seen: dict[str, Any] = {}

    def see(module: Any, args: Any, kwargs: Any, output: Any) -> None:
        seen["call"], seen["x"] = (args[1:], kwargs), args[0]
        seen["output"] = output[0] if isinstance(output, tuple) else output

    def attend(read: torch.Tensor) -> torch.Tensor:
        rest = {key: value for key, value in calls["kwargs"].items() if key != "hidden_states"}
        return attention.forward(hidden_states=read, **rest)[0]

    attention = block.get_submodule(model.family.attention)
    calls: dict[str, Any] = {}
    handles = [
        block.register_forward_hook(see, with_kwargs=True),
        attention.register_forward_pre_hook(lambda m, a, k: calls.update(kwargs=k), with_kwargs=True),
    ]
    logits(model, "rewire-sequential")
    for handle in handles:
        handle.remove()
    torch.testing.assert_close(seen["output"], sequential_block(block, seen["x"], norm, attend), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["llama", "gemma2", "granite", "olmo2", "opt", "bloom", "mpt", "gpt2"])
@torch.inference_mode()
def test_a_sequential_blocks_mlp_reads_the_norm_of_its_input_when_parallel(model_of: ModelOf, name: str) -> None:
    model = model_of(name)
    norm_path = VARIANTS[name].norms[1]
    for block in model.blocks():
        seen: dict[str, torch.Tensor] = {}
        mlp = block.get_submodule(model.family.mlp)
        handles = [
            block.register_forward_pre_hook(lambda m, a, into=seen: into.update(x=a[0])),
            mlp.register_forward_hook(lambda m, a, o, into=seen: into.update(read=a[0])),
        ]
        with intervening(model, "rewire-parallel"):
            handles.append(mlp.register_forward_hook(lambda m, a, o, into=seen: into.update(read=a[0])))
            model.network(TOKENS, use_cache=False)
        for handle in handles:
            handle.remove()
        expected = block.get_submodule(norm_path)(seen["x"]) if norm_path else seen["x"]
        assert torch.equal(seen["read"].reshape(expected.shape), expected)


@pytest.mark.parametrize("name", ADDITIVE)
def test_what_is_ablated_is_exactly_zero_and_the_rest_is_added_as_ever(model_of: ModelOf, name: str) -> None:
    model = model_of(name)
    for change, gone, left in (
        ("ablate-attention", "attention_update", "mlp_update"),
        ("ablate-mlp", "mlp_update", "attention_update"),
    ):
        trace = run_pass(model, prompt_set(), "key", ABOUT, Pass("forward", "tiny", change))  # closure is checked
        assert (column(trace, gone) == 0).all()
        nothing = column(trace, "block_input") == 0  # a padding token's embedding, in families whose norms have no bias
        assert ((column(trace, left) > 0) | nothing).all()
        squared = column(trace, "block_input").astype(float) ** 2 + column(trace, left).astype(float) ** 2
        product = trace.blocks[f"dot.block_input.{left}"].to_numpy().reshape(squared.shape)
        out = np.sqrt(squared + 2 * product)
        np.testing.assert_allclose(column(trace, "block_output"), out, rtol=1e-4)


@pytest.mark.parametrize("change", get_args(BlockChange))
@pytest.mark.parametrize("name", ["gpt_neox-parallel", "llama"])
def test_the_last_block_alone_is_changed_where_that_is_asked(model_of: ModelOf, name: str, change: Any) -> None:
    model = model_of(name)
    plain = run_pass(model, prompt_set(), "key", ABOUT)
    if change == f"rewire-{VARIANTS[name].wiring}":
        return
    changed = run_pass(model, prompt_set(), "key", ABOUT, Pass("forward", "tiny", change, "last"))
    np.testing.assert_array_equal(column(plain, "block_output")[:, :-1], column(changed, "block_output")[:, :-1])
    assert (column(plain, "block_output")[:, -1] != column(changed, "block_output")[:, -1]).all()


@torch.inference_mode()
def last_output(model: LoadedModel, change: Any, spare: Any = "none") -> torch.Tensor:
    """Return what the last block gives, (B, T, D)."""
    seen: list[torch.Tensor] = []
    with intervening(model, change, "all", spare):
        handle = model.blocks()[-1].register_forward_hook(lambda m, a, out: seen.append(first_tensor(out)))
        model.network(TOKENS, use_cache=False)
        handle.remove()
    return seen[0]


SPARING = [c for c in EACH_TOKEN if c not in ("never-shorten", *COORDINATE_CHANGES)]  # the others ask for a number


@pytest.mark.parametrize("change", SPARING)
@pytest.mark.parametrize("name", ADDITIVE)
def test_a_first_token_that_is_spared_is_that_of_the_model_as_it_is(model_of: ModelOf, name: str, change: Any) -> None:
    model = model_of(name)
    if change == f"rewire-{VARIANTS[name].wiring}":
        return
    plain, changed, spared = last_output(model, "none"), last_output(model, change), last_output(model, change, "first")
    torch.testing.assert_close(spared[:, 0], plain[:, 0], rtol=1e-5, atol=1e-5)
    assert (spared[:, 1:] != plain[:, 1:]).any(), "the later tokens are changed"
    first_was_changed = not torch.equal(changed[:, 0], plain[:, 0])
    assert first_was_changed == (not torch.equal(spared, changed))


@pytest.mark.parametrize("name", ["opt-350m", "bloom-post"])
@pytest.mark.parametrize("change", get_args(BlockChange))
def test_post_norm_blocks_have_nothing_to_change(model_of: ModelOf, name: str, change: Any) -> None:
    with pytest.raises(NotMeasured, match="post-norm"):
        logits(model_of(name), change)


@pytest.mark.parametrize("change", [*get_args(BlockChange), "soften-attention", "shuffle-tokens"])
def test_padding_changes_nothing_under_an_intervention(model_of: ModelOf, change: Any) -> None:
    model = model_of("gptj")
    together = run_pass(model, prompt_set(), "key", ABOUT, Pass("forward", "tiny", change))
    model_ids = model.tokenizer.encode(prompt_set())

    class One:
        def __init__(self, ids: list[int]) -> None:
            self.ids = ids

        def encode(self, prompts: Any) -> list[list[int]]:
            return [self.ids]

        def decode(self, token: int) -> str:
            return ""

    start = 0
    for ids in model_ids:
        alone = run_pass(
            replace(model, tokenizer=One(ids)), prompt_set((len(ids),)), "key", ABOUT, Pass("forward", "t", change)
        )
        rows = slice(start, start + len(ids))
        np.testing.assert_allclose(column(together, "block_output")[rows], column(alone, "block_output"), rtol=1e-5)
        start += len(ids)


def test_in_bfloat16_an_intervention_closes_too() -> None:
    model = tiny_model(VARIANTS["granite"], row=row_of(VARIANTS["granite"], "granite"), dtype="bfloat16")
    about = {"model": "granite", "dtype": "bfloat16"}
    trace = run_pass(model, prompt_set(), "key", about, Pass("forward", "tiny", "rewire-parallel"))
    assert trace.meta["closure_worst"] < 1
