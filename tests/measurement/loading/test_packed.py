"""Packed weights: each tensor of a file is part of a weight, and a file holds as many numbers as the model has."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tiny import VARIANTS, VOCABULARY, Variant, prompt_set, row_of

from refutable.errors import BadInput, InstrumentError, NoSuchTap, RefutableError
from refutable.measurement.loading.load import load_model
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.loading.packed import unpacked
from refutable.measurement.loading.tokens import GivenTokens
from refutable.measurement.passes.forward import run_pass
from refutable.measurement.session import make_pass
from refutable.models import quantised
from refutable.models.quantised import Packing
from refutable.models.row import ModelRow
from refutable.models.safetensors_header import StoredTensor
from refutable.models.subject import Subject
from refutable.models.weights import Finder
from refutable.traces.passes import Pass
from refutable.traces.trace import PRIMITIVE_COLUMNS

Stored = dict[str, StoredTensor]
Change = Callable[[dict[str, torch.Tensor]], Any]


def tensor(dtype: str, *shape: int) -> StoredTensor:
    return StoredTensor(dtype, shape, 0, 0)


def packed(packing: Packing, rows: int, columns: int) -> Stored:
    """Return what stands for one matrix of rows x columns, by the formats' descriptions."""
    n = rows * columns
    match packing.method, packing.bits:
        case "gptq", bits:
            parts = {"qweight": tensor("I32", columns * bits // 32, rows), "g_idx": tensor("I32", columns)}
            parts |= {"qzeros": tensor("I32", 1, rows * bits // 32), "scales": tensor("F16", 1, rows)}
        case "awq", _:
            parts = {"qweight": tensor("I32", columns, rows // 8)}
            parts |= {"qzeros": tensor("I32", 1, rows // 8), "scales": tensor("F16", 1, rows)}
        case _, 8:
            parts = {"weight": tensor("I8", rows, columns), "SCB": tensor("F32", rows), "weight_format": tensor("U8")}
        case _:
            parts = {"weight": tensor("U8", n // 2, 1), "weight.absmax": tensor("F32", n // 64)}
            parts |= {"weight.quant_map": tensor("F32", 16)}
            parts |= {f"weight.quant_state.bitsandbytes__{packing.code}": tensor("U8", 77)}
    return {f"h.0.proj.{name}": one for name, one in parts.items()}


PACKINGS = [
    *(Packing("gptq", bits) for bits in (2, 3, 4, 8)),
    Packing("awq", 4),
    Packing("bitsandbytes", 4, "nf4"),
    Packing("bitsandbytes", 4, "fp4"),
    Packing("bitsandbytes", 8),
]
BESIDE = {"h.0.proj.bias": tensor("F16", 64), "norm.weight": tensor("F16", 64), "x.attn.bias": tensor("U8", 1, 1, 4, 4)}


@given(st.sampled_from(PACKINGS), st.integers(1, 40), st.integers(1, 40))
def test_a_packed_matrix_counts_as_many_numbers_as_it_has(packing: Packing, rows: int, columns: int) -> None:
    found = unpacked({**packed(packing, 32 * rows, 64 * columns), **BESIDE}, packing, "there")
    assert found.keys() == {"h.0.proj.weight", *BESIDE}
    assert found["h.0.proj.weight"].elements == 32 * rows * 64 * columns
    assert all(found[name] == one for name, one in BESIDE.items())


def needed(stored: Stored) -> list[str]:
    may = ("g_idx", "weight_format", "bias")
    return [name for name in stored if not name.endswith(may) and name.startswith("h.0.proj")]


@pytest.mark.parametrize("packing", PACKINGS, ids=str)
def test_a_packed_matrix_without_one_of_its_tensors_is_refused_by_name(packing: Packing) -> None:
    whole = {**packed(packing, 64, 64), **{k.replace("0", "1", 1): v for k, v in packed(packing, 64, 64).items()}}
    for name in needed(whole):
        with pytest.raises(BadInput, match=f"{name} (is missing beside|is stored as)"):
            unpacked({key: one for key, one in whole.items() if key != name}, packing, "there")


@pytest.mark.parametrize("packing", PACKINGS, ids=str)
def test_integers_that_belong_to_no_packed_matrix_are_refused(packing: Packing) -> None:
    for dtype in ("I8", "U8", "I32", "I64"):
        with pytest.raises(BadInput, match=f"odd.weight is stored as {dtype} and is no part of a weight"):
            unpacked({**packed(packing, 64, 64), "odd.weight": tensor(dtype, 4)}, packing, "there")


def test_another_code_than_the_settings_say_is_refused() -> None:
    nf4, fp4 = Packing("bitsandbytes", 4, "nf4"), Packing("bitsandbytes", 4, "fp4")
    with pytest.raises(BadInput, match="bitsandbytes__nf4 is missing"):
        unpacked(packed(fp4, 64, 64), nf4, "there")


@pytest.mark.parametrize("packing", PACKINGS, ids=str)
def test_plain_weights_that_are_said_to_be_packed_are_refused(packing: Packing) -> None:
    with pytest.raises(BadInput, match="and no weight is"):
        unpacked({"h.0.proj.weight": tensor("F16", 64, 64)}, packing, "there")


# With bitsandbytes itself, whose kernels for CPUs want matrices of at least 64 columns.

needs_bitsandbytes = pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None, reason="the package bitsandbytes is not installed"
)
FAMILIES = ("gpt2", "gpt_neox-parallel", "gptj", "opt", "bloom", "mpt", "llama", "llama-tied", "mixtral")
BNB: dict[str, dict[str, Any]] = {
    "4 bit nf4": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
    "4 bit fp4": {"load_in_4bit": True, "bnb_4bit_use_double_quant": True},
    "8 bit": {"load_in_8bit": True},
}


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantised, "RUNS_ON", ("cpu",))


def wide(name: str) -> Variant:
    variant = VARIANTS[name]
    wanted = {"hidden_size": 64, "n_embd": 64, "d_model": 64, "word_embed_proj_dim": 64, "intermediate_size": 128}
    sizes = {key: size for key, size in wanted.items() if key in variant.config}
    return replace(variant, config={**variant.config, **sizes})


def saved(name: str, how: str, folder: Path, change: Change = len) -> tuple[ModelRow, Any]:
    """Quantise a tiny model, save it, and return its row and the network as it was saved."""
    from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig

    variant = wide(name)
    torch.manual_seed(0)
    plain = AutoModelForCausalLM.from_config(AutoConfig.for_model(**variant.config))
    plain.save_pretrained(folder / "plain")
    network = AutoModelForCausalLM.from_pretrained(
        folder / "plain", quantization_config=BitsAndBytesConfig(**BNB[how]), device_map={"": "cpu"}
    )
    network.save_pretrained(folder / "packed")
    tensors = load_file(folder / "packed" / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "packed" / "model.safetensors", metadata={"format": "pt"})
    return row_of(variant), network.eval()


def load(row: ModelRow, folder: Path, finder: Finder, dtype: str = "float32") -> LoadedModel:
    subject = Subject("tiny", str(folder / "packed"), dtype=dtype)
    return load_model(row, subject, finder.find(row, subject), folder / "cache")


@needs_bitsandbytes
@pytest.mark.usefixtures("on_cpu")
@pytest.mark.parametrize("how", BNB)
@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.filterwarnings("ignore:MatMul8bitLt")
def test_packed_weights_come_back_as_they_went_and_close(name: str, how: str, finder: Finder, tmp_path: Path) -> None:
    row, network = saved(name, how, tmp_path)
    model = load(row, tmp_path, finder)
    assert model.source.label == f"quantised (bitsandbytes, {how})"
    ids = torch.arange(9)[None]
    with torch.no_grad():
        a, b = (one(ids).logits for one in (network, model.network))
    torch.testing.assert_close(a, b, rtol=0, atol=1e-5 if how != "8 bit" else 1e-2)
    assert run_pass(model, prompt_set(), "key", {}).meta["closure_worst"] <= 1


@needs_bitsandbytes
@pytest.mark.usefixtures("on_cpu")
@pytest.mark.parametrize("how", BNB)
@pytest.mark.filterwarnings("ignore:MatMul8bitLt")
def test_a_prompts_numbers_do_not_depend_on_its_company(how: str, finder: Finder, tmp_path: Path) -> None:
    def stretch(tensors: dict[str, torch.Tensor]) -> None:
        """Make some inputs outliers, which 8 bit products treat apart for all tokens together."""
        tensors["model.layers.0.input_layernorm.weight"] *= 4

    row, _ = saved("llama", how, tmp_path, stretch)
    model = load(row, tmp_path, finder)
    ids = [[(7 * i + j * j) % VOCABULARY for j in range(n)] for i, n in enumerate((9, 5, 7))]
    whole = run_pass(replace(model, tokenizer=GivenTokens(ids)), prompt_set((9, 5, 7)), "key", {}).blocks.to_pandas()
    alone = run_pass(replace(model, tokenizer=GivenTokens(ids[:1])), prompt_set((9,)), "key", {}).blocks.to_pandas()
    mine = whole[whole.prompt == 0]
    for column in PRIMITIVE_COLUMNS[:-1]:
        np.testing.assert_allclose(mine[column], alone[column], rtol=1e-4, atol=1e-5, err_msg=column)


@needs_bitsandbytes
@pytest.mark.usefixtures("on_cpu")
@pytest.mark.parametrize("how", ["4 bit nf4", "4 bit fp4"])
def test_the_subjects_dtype_is_that_of_the_products(how: str, finder: Finder, tmp_path: Path) -> None:
    row, _ = saved("llama", how, tmp_path)
    config = tmp_path / "packed" / "config.json"
    config.write_text(config.read_text().replace('compute_dtype": "float32"', 'compute_dtype": "float16"'))
    for dtype in ("float32", "bfloat16"):
        network = load(row, tmp_path, finder, dtype).network
        assert network.model.layers[0].mlp.up_proj.compute_dtype is getattr(torch, dtype)
        assert network.model.norm.weight.dtype is network.lm_head.weight.dtype is getattr(torch, dtype)
        assert network.model.rotary_emb.inv_freq.dtype is torch.float32


def _drop(ending: str) -> Change:
    def drop(tensors: dict[str, torch.Tensor]) -> None:
        del tensors[next(name for name in sorted(tensors) if name.endswith(ending))]

    return drop


def _add(tensors: dict[str, torch.Tensor]) -> None:
    tensors["model.layers.0.mlp.up_proj.bias"] = torch.ones(128)


def _cut(tensors: dict[str, torch.Tensor]) -> None:
    tensors["model.embed_tokens.weight"] = tensors["model.embed_tokens.weight"][:-1].clone()


def _whole(tensors: dict[str, torch.Tensor]) -> None:
    """Leave one whole packed matrix out, with all that lies beside it."""
    for name in [name for name in tensors if name.startswith("model.layers.1.mlp.up_proj.")]:
        del tensors[name]


@needs_bitsandbytes
@pytest.mark.usefixtures("on_cpu")
@pytest.mark.parametrize(
    ("how", "change", "named"),
    [
        ("4 bit nf4", _drop(".absmax"), "absmax is missing"),
        ("4 bit fp4", _drop(".quant_state.bitsandbytes__fp4"), "bitsandbytes__fp4 is missing"),
        ("8 bit", _drop(".SCB"), "SCB is missing beside"),
        ("4 bit nf4", _add, r"up_proj\.bias"),
        ("8 bit", _add, r"up_proj\.bias"),
        ("4 bit nf4", _cut, r"embed_tokens\.weight"),
        ("4 bit nf4", _whole, r"layers\.1\.mlp\.up_proj\.weight"),
        ("8 bit", _whole, r"layers\.1\.mlp\.up_proj\.weight"),
        ("4 bit nf4", _drop("input_layernorm.weight"), r"input_layernorm\.weight"),
    ],
)
def test_what_is_missing_or_left_over_in_packed_files_is_refused_by_name(
    how: str, change: Change, named: str, finder: Finder, tmp_path: Path
) -> None:
    row, _ = saved("llama", how, tmp_path, change)
    with pytest.raises(RefutableError, match=named):
        load(row, tmp_path, finder)


@needs_bitsandbytes
@pytest.mark.usefixtures("on_cpu")
def test_packed_weights_of_another_size_than_the_named_model_are_refused(finder: Finder, tmp_path: Path) -> None:
    row, _ = saved("llama", "4 bit nf4", tmp_path)
    with pytest.raises(InstrumentError, match=r"not tiny: .* parameters"):
        load(row.model_copy(update={"parameters": row.parameters - 64}), tmp_path, finder)


@needs_bitsandbytes
@pytest.mark.usefixtures("on_cpu")
@pytest.mark.parametrize("how", BNB)
@pytest.mark.filterwarnings("ignore:MatMul8bitLt")
def test_what_multiplies_or_differentiates_weights_itself_is_not_measured(
    how: str, finder: Finder, tmp_path: Path
) -> None:
    row, _ = saved("llama", how, tmp_path)
    model = load(row, tmp_path, finder)
    for name in ("heads", "jacobian", "through", "perturbation", "reach"):
        with pytest.raises(NoSuchTap, match="packed in a few bits"):
            make_pass(model, Pass(name), prompt_set((5, 4)), "key", {})
    for spec in (Pass("rank"), Pass("forward", intervention="rewire-parallel")):
        make_pass(model, spec, prompt_set((5, 4)), "key", {})
