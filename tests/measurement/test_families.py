"""Every family, on tiny drawn models: what a pass reads is what an independent reading of the model finds.

The reference below shares nothing with the engine: one prompt at a time, no padding, its own table of norms,
float64; updates as differences of the stream (sequential) or from a second pass without attention (parallel).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from tiny import LENGTHS, VARIANTS, eager_twin, prompt_set, row_of, tiny_model

from refutable.errors import NoSuchTap
from refutable.measurement.instrument.attention_probe import LastQuery
from refutable.measurement.instrument.taps import BlockReader, reading
from refutable.measurement.loading.load import draw
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.forward import run_pass
from refutable.measurement.passes.wiring_probe import probe_wiring
from refutable.metrics import evaluate
from refutable.models.families import FAMILIES
from refutable.models.reduced_config import reduced
from refutable.models.registry import load_registry
from refutable.models.subject import Subject
from refutable.traces.trace import (
    CENTRED_HEAD_INPUT_COLUMN,
    CLOSURE_COLUMN,
    ENTROPY_COLUMN,
    HEAD_INPUT_COLUMN,
    INPUT_TAPS,
    KEYS_COLUMN,
    PRIMITIVE_COLUMNS,
    PRODUCTS,
    STREAM_TAPS,
    UPDATE_TAPS,
    Trace,
    centred_norm_column,
    centred_product_column,
    mean_column,
    norm_column,
    product_column,
)

TAPS = (*STREAM_TAPS, *INPUT_TAPS)
ADDITIVE = [name for name, variant in VARIANTS.items() if variant.additive]
NOT_ADDITIVE = [name for name, variant in VARIANTS.items() if not variant.additive]
ATTENTION_NAMES = ("attn", "attention", "self_attn", "self_attention")
SMALLEST = 1e-9  # a token that is the padding token has the zero vector for an embedding (OLMo)
REGISTERED = {row.name: row for row in load_registry()}

Vectors = dict[str, np.ndarray]
ModelOf = Callable[[str], LoadedModel]


def test_every_family_has_a_tiny_variant() -> None:
    assert {variant.family for variant in VARIANTS.values()} == set(FAMILIES)


@pytest.mark.parametrize("name", VARIANTS)
def test_taps_agree_with_an_independent_reading(model_of: ModelOf, name: str) -> None:
    model, variant = model_of(name), VARIANTS[name]
    trace = run_pass(model, prompt_set(), "key", about(model))
    want = np.concatenate([vectors_of(model, name, ids) for ids in model.tokenizer.encode(prompt_set())])
    width, seen = 32, dict(zip(TAPS, want.transpose(2, 0, 1, 3), strict=True))  # tap: (positions, layers, D)
    norms = {tap: np.linalg.norm(seen[tap], axis=-1) for tap in TAPS}
    rounding = norms["block_input"] + norms["block_output"]  # an update found as a difference carries the stream's
    taps = [tap for tap in TAPS if variant.additive or tap not in UPDATE_TAPS]
    for tap in taps:
        size = rounding if tap in UPDATE_TAPS else norms[tap]
        mean = seen[tap].mean(axis=-1)
        centred = np.linalg.norm(seen[tap] - mean[..., None], axis=-1)
        assert_close(trace, norm_column(tap), norms[tap], size)
        assert_close(trace, centred_norm_column(tap), centred, size)
        if tap in STREAM_TAPS:
            assert_close(trace, mean_column(tap), mean, size / np.sqrt(width))
    for a, b in PRODUCTS:
        if a in taps and b in taps:
            size = (rounding if a in UPDATE_TAPS else norms[a]) * (rounding if b in UPDATE_TAPS else norms[b])
            assert_close(trace, product_column(a, b), (seen[a] * seen[b]).sum(axis=-1), size)
            off = [seen[tap] - seen[tap].mean(axis=-1, keepdims=True) for tap in (a, b)]
            assert_close(trace, centred_product_column(a, b), (off[0] * off[1]).sum(axis=-1), size)


@pytest.mark.parametrize("name", VARIANTS)
def test_block_inputs_are_the_hidden_states(model_of: ModelOf, name: str) -> None:
    model = model_of(name)
    trace = run_pass(model, prompt_set(), "key", about(model))
    norms = []
    for ids in model.tokenizer.encode(prompt_set()):
        with torch.inference_mode():
            states = model.network(torch.tensor([ids]), output_hidden_states=True).hidden_states
        norms.append(torch.stack([x[0].double().norm(dim=-1) for x in states[:-1]], dim=-1))  # (T, layers)
    expected = torch.cat(norms).numpy()
    assert_close(trace, norm_column("block_input"), expected, expected)
    # hidden_states[i] for i >= 1 is block i's output; the last block's raw output is in none of them.
    outputs = column(trace, norm_column("block_output"))
    np.testing.assert_allclose(outputs[:, :-1], expected[:, 1:], rtol=1e-5)


@pytest.mark.parametrize("name", ADDITIVE)
def test_every_block_closes(model_of: ModelOf, name: str) -> None:
    model = model_of(name)
    trace = run_pass(model, prompt_set(), "key", about(model))
    x, out = (column(trace, norm_column(tap)) for tap in ("block_input", "block_output"))
    squared = x**2 + out**2 - 2 * column(trace, product_column("block_input", "block_output"))
    relative = column(trace, CLOSURE_COLUMN) / np.sqrt(squared)
    assert relative.max() <= 1e-5
    assert trace.meta["closure_worst"] < 1
    assert trace.meta["absent"] == {}


@pytest.mark.parametrize("name", NOT_ADDITIVE)
def test_post_norm_families_say_that_they_add_nothing(model_of: ModelOf, name: str) -> None:
    model = model_of(name)
    trace = run_pass(model, prompt_set(), "key", about(model))
    updates = [c for c in PRIMITIVE_COLUMNS if "update" in c or c == CLOSURE_COLUMN]
    assert trace.meta["closure_worst"] is None
    assert set(trace.meta["absent"]) == set(updates)
    for c in PRIMITIVE_COLUMNS:
        assert trace.blocks[c].null_count == trace.blocks.num_rows or c not in updates
    with pytest.raises(NoSuchTap, match="post-norm"):
        evaluate("attention_growth", trace)
    assert evaluate("last_gain", trace).values.shape == (len(LENGTHS),)
    assert evaluate("attention_entropy", trace).values.shape == (len(LENGTHS), VARIANTS[name].layers)


@pytest.mark.parametrize("name", VARIANTS)
def test_attention_entropy_is_that_of_the_eager_probabilities(model_of: ModelOf, name: str) -> None:
    model, network = model_of(name), eager_twin(VARIANTS[name])
    trace = run_pass(model, prompt_set(), "key", about(model))
    ends = np.cumsum(LENGTHS) - 1
    entropy, keys = column(trace, ENTROPY_COLUMN), column(trace, KEYS_COLUMN)
    for end, ids in zip(ends, model.tokenizer.encode(prompt_set()), strict=True):
        with torch.inference_mode():
            attentions = network(torch.tensor([ids]), output_attentions=True).attentions
        for layer, weights in enumerate(attentions):
            p = weights[0, :, -1].double()  # (heads, T)
            assert entropy[end, layer] == pytest.approx(float(-torch.xlogy(p, p).sum(-1).mean()), abs=2e-6)
            assert keys[end, layer] == int((p > 0).any(dim=0).sum())
    others = np.setdiff1d(np.arange(sum(LENGTHS)), ends)
    assert np.isnan(entropy[others]).all(), "only the last position's entropy is read"


@pytest.mark.parametrize("name", VARIANTS)
@torch.inference_mode()
def test_reading_does_not_change_the_logits_by_one_bit(model_of: ModelOf, name: str) -> None:
    model, variant = model_of(name), VARIANTS[name]
    tokens = torch.tensor(model.tokenizer.encode(prompt_set([9, 9])))
    hooks = hooks_on(model)  # transformers leaves hooks of its own where hidden states were asked for
    untouched = model.network(tokens).logits
    scale = 0.22 if variant.family == "granite" else 1.0
    readers = [BlockReader(b, model.family, additive=variant.additive, scale=scale) for b in model.blocks()]
    with reading(readers, LastQuery(torch.tensor([8, 8]))):
        read = model.network(tokens).logits
    assert torch.equal(read, untouched)
    assert all(reader.reduced is not None for reader in readers)
    assert torch.equal(model.network(tokens).logits, untouched)
    assert hooks_on(model) == hooks


@pytest.mark.parametrize("name", VARIANTS)
def test_the_same_pass_twice_is_the_same(model_of: ModelOf, name: str) -> None:
    model = model_of(name)
    first, second = (run_pass(model, prompt_set(), "key", about(model)) for _ in range(2))
    assert first.blocks.equals(second.blocks)
    assert first.prompts.equals(second.prompts)


@pytest.mark.parametrize("name", VARIANTS)
def test_batching_and_padding_change_nothing(model_of: ModelOf, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, everyone = model_of(name), list(range(len(LENGTHS)))
    buckets = [[i for i in everyone if LENGTHS[i] == n] for n in sorted(set(LENGTHS))]
    traces = {}
    for kind, cuts in {"alone": [[i] for i in everyone], "padded": [everyone], "buckets": buckets}.items():
        monkeypatch.setattr("refutable.measurement.passes.batches.cut_batches", lambda *a, cuts=cuts, **k: cuts)
        traces[kind] = run_pass(model, prompt_set(), "key", about(model))
        assert traces[kind].meta["batches"] == len(cuts)
    for kind in ("padded", "buckets"):
        assert_same(traces[kind], traces["alone"], 1e-5)


@pytest.mark.parametrize("name", VARIANTS)
def test_the_wiring_probe_sees_what_the_family_row_says(model_of: ModelOf, name: str) -> None:
    model, variant = model_of(name), VARIANTS[name]
    trace = probe_wiring(model.network, model.family, "key", about(model))
    change = trace.blocks["mlp_input_change"].to_numpy()
    assert len(change) == variant.layers
    assert (change == 0).all() if variant.wiring == "parallel" else (change > 1e-3).all()
    assert (trace.blocks["attention_input_change"].to_numpy() == 0).all()  # in no family does the MLP come first
    assert (trace.blocks["block_output_change"].to_numpy() > 0).all()
    assert model.family.wiring_of(variant.config) == variant.wiring
    assert model.family.wiring_of(model.config.to_dict()) == variant.wiring


def test_the_wiring_probe_sees_a_block_whose_mlp_comes_first() -> None:
    network = draw(reduced(REGISTERED["pythia-70m"].config), Subject("pythia-70m", "init")).eval()
    for block in network.gpt_neox.layers:
        block.forward = partial(_mlp_first, block)
    changes = probe_wiring(network, REGISTERED["pythia-70m"].architecture, "key", {}).blocks
    assert (changes["mlp_input_change"].to_numpy() == 0).all()
    assert (changes["attention_input_change"].to_numpy() > 1e-3).all()


def _mlp_first(block: Any, hidden_states: torch.Tensor, attention_mask: Any = None, **keys: Any) -> torch.Tensor:
    x = hidden_states + block.mlp(block.post_attention_layernorm(hidden_states))
    keys = {name: keys[name] for name in ("position_ids", "position_embeddings") if name in keys}
    return x + block.attention(block.input_layernorm(x), attention_mask=attention_mask, **keys)[0]


@pytest.mark.parametrize("name", REGISTERED)
def test_every_registered_model_shrinks_to_one_that_is_wired_as_declared(name: str) -> None:
    row = REGISTERED[name]
    network = draw(reduced(row.config), Subject(name, "init")).eval()
    trace = probe_wiring(network, row.architecture, "key", {})
    change = trace.blocks["mlp_input_change"].to_numpy()
    assert ("parallel" if (change == 0).all() else "sequential") == row.fact("wiring")
    assert len(change) == 2
    assert sum(p.numel() for p in network.parameters()) < 200_000
    assert row.architecture.is_additive(network.config.to_dict()) == row.fact("additive")


def test_an_update_scale_is_applied_to_both_updates(model_of: ModelOf) -> None:
    granite, scale = model_of("granite"), 0.22
    trace = run_pass(granite, prompt_set([9]), "key", about(granite))
    seen: list[float] = []
    handle = granite.blocks()[1].self_attn.register_forward_hook(
        lambda module, args, output: seen.append(float(output[0][0, -1].norm()))
    )
    with torch.inference_mode():
        granite.network(torch.tensor(granite.tokenizer.encode(prompt_set([9]))))
    handle.remove()
    assert column(trace, norm_column("attention_update"))[-1, 1] == pytest.approx(scale * seen[0], rel=1e-5)


@pytest.mark.parametrize("name", ["gpt_neox-parallel", "gemma2", "mpt", "falcon-7b"])
@torch.inference_mode()
def test_outputs_are_those_of_the_bare_model(model_of: ModelOf, name: str) -> None:
    model = model_of(name)
    trace = run_pass(model, prompt_set(), "key", about(model))
    for index, ids in enumerate(model.tokenizer.encode(prompt_set())):
        p = torch.softmax(model.network(torch.tensor([ids])).logits[0, -1].double(), dim=-1)
        prompt = {c: trace.prompts[c][index].as_py() for c in trace.prompts.column_names}
        assert prompt["output_entropy"] == pytest.approx(float(-torch.xlogy(p, p).sum()), rel=1e-5)
        assert prompt["top_probability"] == pytest.approx(float(p.max()), rel=1e-5)
        assert prompt["top_token_id"] == int(p.argmax())
        assert prompt["top_token"] == f"<{int(p.argmax())}>"
        assert prompt["tokens"] == LENGTHS[index]


@pytest.mark.parametrize("name", VARIANTS)
@torch.inference_mode()
def test_what_the_unembedding_reads_is_what_hidden_states_end_with(model_of: ModelOf, name: str) -> None:
    model = model_of(name)
    trace = run_pass(model, prompt_set(), "key", about(model))
    gains = evaluate("gain_after_final_norm", trace).values
    for index, ids in enumerate(model.tokenizer.encode(prompt_set())):
        states = model.network(torch.tensor([ids]), output_hidden_states=True).hidden_states
        behind, read = (states[at][0, -1].double() for at in (-1, -2))  # the last is behind the final norm
        assert trace.prompts[HEAD_INPUT_COLUMN][index].as_py() == pytest.approx(float(behind.norm()), rel=1e-5)
        centred = float((behind - behind.mean()).norm())
        assert trace.prompts[CENTRED_HEAD_INPUT_COLUMN][index].as_py() == pytest.approx(centred, rel=1e-5)
        assert gains[index] == pytest.approx(float(behind.norm() / read.norm()), rel=1e-5)


# The engine's side of the comparisons.


def about(model: LoadedModel) -> dict[str, Any]:
    return {"model": model.row.name, "dtype": model.subject.dtype}


def hooks_on(model: LoadedModel) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.network.modules())


def column(trace: Trace, name: str) -> np.ndarray:
    """Return a column as (positions, layers), null as NaN, in float64."""
    values = trace.blocks[name].to_numpy(zero_copy_only=False).astype(np.float64)
    return values.reshape(-1, int(trace.meta["layers"]))


def assert_close(trace: Trace, name: str, expected: np.ndarray, size: np.ndarray) -> None:
    error = np.abs(column(trace, name) - expected) / np.maximum(size, SMALLEST)
    assert error.max() <= 5e-6, f"{name}: off by {error.max():.2g} at layer {error.max(axis=0).argmax() + 1}"


def assert_same(trace: Trace, other: Trace, tolerance: float) -> None:
    """Assert that two traces agree relative to the vectors' norms."""
    norms = {tap: column(other, norm_column(tap)) for tap in TAPS}
    stream = norms["block_input"] + norms["block_output"]
    sizes: Vectors = {ENTROPY_COLUMN: np.ones_like(stream), KEYS_COLUMN: np.full_like(stream, SMALLEST)}
    for tap in TAPS:
        sizes |= {
            norm_column(tap): norms[tap],
            centred_norm_column(tap): norms[tap],
            mean_column(tap): norms[tap],
        }
    sizes |= {product_column(a, b): norms[a] * norms[b] for a, b in PRODUCTS}
    sizes |= {centred_product_column(a, b): norms[a] * norms[b] for a, b in PRODUCTS}
    for name in PRIMITIVE_COLUMNS:
        a, b = column(trace, name), column(other, name)
        assert (np.isnan(a) == np.isnan(b)).all(), name
        if name != CLOSURE_COLUMN:  # which is rounding and nothing else
            error = np.nan_to_num(np.abs(a - b) / np.maximum(sizes[name], SMALLEST))
            assert error.max() <= tolerance, f"{name}: {error.max():.2g}"
    numbers = ["output_entropy", "top_probability", HEAD_INPUT_COLUMN, CENTRED_HEAD_INPUT_COLUMN]
    assert trace.prompts.drop(numbers).equals(other.prompts.drop(numbers))
    for name in numbers:
        np.testing.assert_allclose(trace.prompts[name], other.prompts[name], rtol=tolerance)


# The independent reading.


@torch.inference_mode()
def vectors_of(model: LoadedModel, name: str, ids: list[int]) -> np.ndarray:
    """Return the vector of every tap, shape (positions, layers, taps, D), found without the family's row."""
    variant, network, tokens = VARIANTS[name], model.network, torch.tensor([ids])
    blocks = next(m for m in network.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == variant.layers)
    layers = []
    for block in blocks:
        with watching(block, variant.norms, variant.middle) as seen:
            network(tokens)
        x, out = seen["in"], seen["out"]
        if variant.middle is not None:
            middle = seen["middle"]
        else:  # x_out of the same block on the same input with attention silenced is x_in + the MLP's update
            with silenced(block), watching(block, (None, None), None) as alone:
                network(tokens)
            assert torch.equal(alone["in"], x)
            middle = out - (alone["out"] - x)
        vectors = [x, out, middle - x, out - middle, seen.get("first", x), seen.get("second", middle)]
        layers.append(torch.stack([v.reshape(len(ids), -1) for v in vectors], dim=1))  # (T, taps, D)
    return torch.stack(layers, dim=1).numpy()


@contextmanager
def watching(
    block: torch.nn.Module, norms: tuple[str | None, str | None], middle: str | None
) -> Iterator[dict[str, torch.Tensor]]:
    """Keep float64 copies of a block's input and output, its two norms' outputs and the stream between."""
    seen: dict[str, torch.Tensor] = {}

    def keep_input(key: str) -> Callable[..., None]:
        def hook(module: Any, args: Any, kwargs: Any) -> None:
            seen[key] = (args[0] if args else kwargs["hidden_states"]).detach().clone().double()

        return hook

    def keep_output(key: str) -> Callable[..., None]:
        def hook(module: Any, args: Any, output: Any) -> None:
            seen[key] = (output if torch.is_tensor(output) else output[0]).detach().clone().double()

        return hook

    handles = [
        block.register_forward_pre_hook(keep_input("in"), with_kwargs=True),
        block.register_forward_hook(keep_output("out")),
    ]
    for key, path in zip(("first", "second"), norms, strict=True):
        if path is not None:
            handles.append(block.get_submodule(path).register_forward_hook(keep_output(key)))
    if middle is not None:
        hook = keep_input("middle")
        handles.append(block.get_submodule(middle).register_forward_pre_hook(hook, with_kwargs=True))
    yield seen
    for handle in handles:
        handle.remove()


@contextmanager
def silenced(block: torch.nn.Module) -> Iterator[None]:
    """Make a block's attention add nothing."""
    attention = next(getattr(block, name) for name in ATTENTION_NAMES if hasattr(block, name))
    handle = attention.register_forward_hook(lambda module, args, output: (torch.zeros_like(output[0]), *output[1:]))
    yield
    handle.remove()


def test_a_drawn_tiny_model_is_the_same_twice(model_of: ModelOf) -> None:
    one, two = model_of("llama"), tiny_model(VARIANTS["llama"], row=row_of(VARIANTS["llama"]))
    weights = two.network.state_dict()
    assert all(torch.equal(tensor, weights[key]) for key, tensor in one.network.state_dict().items())
