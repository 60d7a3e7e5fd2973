"""An adapter is merged as peft runs it, every tensor of it; what does not fit is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import VARIANTS, prompt_set, row_of, tiny_model

from refutable.errors import BadInput, InstrumentError
from refutable.measurement.loading.load import load_model
from refutable.measurement.passes.forward import run_pass
from refutable.models.subject import Subject
from refutable.models.weights import Finder
from refutable.traces.trace import PRIMITIVE_COLUMNS

pytestmark = pytest.mark.filterwarnings("ignore")  # peft's own advice about training
Tensors = dict[str, torch.Tensor]

TARGETS = {
    "llama": ["q_proj", "v_proj", "down_proj"],
    "gpt2": ["c_attn", "c_proj"],
    "gpt_neox-parallel": ["query_key_value", "dense_4h_to_h"],
    "llama-tied": ["o_proj", "up_proj"],
    "bloom": ["query_key_value"],
}
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "rslora": {"use_rslora": True},
    "dora": {"use_dora": True},
    "ranks": {"rank_pattern": {"v_proj": 5}, "alpha_pattern": {"q_proj": 3}},
    "some layers": {"layers_to_transform": [1]},
    "biases": {"bias": "lora_only"},
    "head": {"modules_to_save": ["lm_head"]},
    "embedding": {"target_modules": ["embed_tokens", "q_proj"]},
    "pattern": {"target_modules": r".*\.(q|k)_proj"},
}


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "base", tmp_path / "adapter"


def trained(name: str, base: Path, folder: Path, **settings: Any) -> Any:
    """Save a tiny model and an adapter of random numbers, and return the two as peft runs them, unmerged."""
    network = tiny_model(VARIANTS[name]).network
    network.save_pretrained(base)
    config = peft.LoraConfig(**{"r": 3, "lora_alpha": 7, "target_modules": TARGETS.get(name), **settings})
    adapted = peft.get_peft_model(network, config)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter += 0.3 * torch.randn_like(parameter)
    adapted.save_pretrained(folder, save_embedding_layers=False)
    return adapted.eval()


def load(name: str, base: Path, folder: Path | None, finder: Finder, dtype: str = "float32") -> Any:
    row = row_of(VARIANTS[name])
    subject = Subject("tiny", str(base), dtype=dtype, adapter=None if folder is None else str(folder))
    return load_model(row, subject, finder.find(row, subject), base.parent / "cache")


def logits(network: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = network(input_ids=torch.arange(12)[None]).logits
    return found


@pytest.mark.parametrize("name", TARGETS)
def test_merged_weights_are_w_plus_alpha_over_r_b_a(name: str, folders: tuple[Path, Path], finder: Finder) -> None:
    base, folder = folders
    trained(name, base, folder)
    before, after = (load(name, base, one, finder).network.state_dict() for one in (None, folder))
    file = load_file(folder / "adapter_model.safetensors")
    stems = {key.removesuffix(".lora_A.weight") for key in file if key.endswith(".lora_A.weight")}
    assert len(stems) == len(TARGETS[name]) * VARIANTS[name].layers + (name == "gpt2") * VARIANTS[name].layers
    expected = dict(before)
    for stem in stems:
        delta = 7 / 3 * file[f"{stem}.lora_B.weight"].double() @ file[f"{stem}.lora_A.weight"].double()
        key = f"{stem.removeprefix('base_model.model.')}.weight"
        expected[key] = before[key].double() + (delta.T if name == "gpt2" else delta)  # Conv1D holds its transpose
    assert before.keys() == after.keys()
    for key, tensor in expected.items():
        torch.testing.assert_close(after[key].double(), tensor.double(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_merged_model_computes_what_peft_computes_unmerged(
    kind: str, folders: tuple[Path, Path], finder: Finder
) -> None:
    base, folder = folders
    name = "gpt_neox-parallel" if kind == "biases" else "llama"
    unmerged = logits(trained(name, base, folder, **KINDS[kind]))
    with_it, without = (logits(load(name, base, one, finder).network) for one in (folder, None))
    torch.testing.assert_close(with_it, unmerged, rtol=1e-5, atol=2e-5 * float(unmerged.abs().max()))
    assert (with_it - without).abs().max() > 1e-2, "this adapter changes nothing, so the test shows nothing"


@pytest.mark.parametrize("name", TARGETS)
def test_every_family_computes_what_peft_computes(name: str, folders: tuple[Path, Path], finder: Finder) -> None:
    unmerged = logits(trained(name, *folders))
    merged = logits(load(name, *folders, finder).network)
    torch.testing.assert_close(merged, unmerged, rtol=1e-5, atol=2e-5 * float(unmerged.abs().max()))


def test_in_sixteen_bits_each_weight_is_rounded_once_and_positions_are_not(
    folders: tuple[Path, Path], finder: Finder
) -> None:
    trained("llama", *folders)
    whole, half = (load("llama", *folders, finder, dtype).network for dtype in ("float32", "bfloat16"))
    for (key, exact), rounded in zip(whole.named_parameters(), half.parameters(), strict=True):
        assert torch.equal(exact.to(torch.bfloat16), rounded), key
    assert torch.equal(whole.model.rotary_emb.inv_freq, half.model.rotary_emb.inv_freq)


def test_an_adapter_of_zeros_changes_no_number(folders: tuple[Path, Path], finder: Finder) -> None:
    base, folder = folders
    trained("llama", base, folder)
    file = folder / "adapter_model.safetensors"
    tensors = {key: torch.zeros_like(t) if "lora_B" in key else t for key, t in load_file(file).items()}
    save_file(tensors, file)
    for dtype in ("float32", "bfloat16"):
        one, two = (
            run_pass(load("llama", base, each, finder, dtype), prompt_set(), "key", {}) for each in (folder, None)
        )
        assert one.blocks.select(PRIMITIVE_COLUMNS).equals(two.blocks.select(PRIMITIVE_COLUMNS))


def test_the_merged_model_is_one_of_transformers_alone(folders: tuple[Path, Path], finder: Finder) -> None:
    trained("llama", *folders, modules_to_save=["lm_head"])
    model = load("llama", *folders, finder)
    assert not [type(module) for module in model.network.modules() if type(module).__module__.startswith("peft")]
    assert not model.network.training
    assert run_pass(model, prompt_set(), "key", {}).meta["closure_worst"] <= 1


def _drop(tensors: Tensors) -> None:
    del tensors[sorted(tensors)[0]]


def _add(tensors: Tensors) -> None:
    tensors["base_model.model.model.layers.9.self_attn.q_proj.lora_A.weight"] = torch.ones(3, 32)


def _replace_a_base_weight(tensors: Tensors) -> None:
    tensors["base_model.model.model.embed_tokens.weight"] = torch.ones(64, 32)


def _grow(tensors: Tensors) -> None:
    first = sorted(tensors)[0]
    tensors[first] = torch.cat([tensors[first]] * 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_drop, r"1 tensors are missing \(.*layers\.0\.mlp\.down_proj\.lora_A\.weight\)"),
        (_add, r"1 would be left out \(.*layers\.9\.self_attn\.q_proj\.lora_A\.weight\)"),
        (_replace_a_base_weight, r"1 would be left out \(.*embed_tokens\.weight\)"),
        (_grow, r"1 are of another shape \(.*down_proj\.lora_A\.weight\)"),
        (dict.clear, "18 tensors are missing"),
    ],
)
def test_every_tensor_of_an_adapter_is_used_or_it_is_refused_by_name(
    change: Callable[[Tensors], None], message: str, folders: tuple[Path, Path], finder: Finder
) -> None:
    trained("llama", *folders)
    file = folders[1] / "adapter_model.safetensors"
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file)
    with pytest.raises(InstrumentError, match=message):
        load("llama", *folders, finder)


def test_an_adapter_of_another_model_is_refused(folders: tuple[Path, Path], finder: Finder, tmp_path: Path) -> None:
    trained("gpt2", tmp_path / "gpt2", folders[1])
    tiny_model(VARIANTS["llama"]).network.save_pretrained(folders[0])
    with pytest.raises(BadInput, match="cannot be merged into this model: Target modules"):
        load("llama", *folders, finder)


def test_an_adapter_of_one_of_two_tied_matrices_is_refused(folders: tuple[Path, Path], finder: Finder) -> None:
    trained("llama-tied", *folders, target_modules=["embed_tokens", "q_proj"])
    with pytest.raises(BadInput, match="adapts one of two matrices that are tied"):
        load("llama-tied", *folders, finder)


def test_numbers_that_are_not_finite_are_refused(folders: tuple[Path, Path], finder: Finder) -> None:
    trained("llama", *folders)
    file = folders[1] / "adapter_model.safetensors"
    save_file({key: tensor * torch.inf for key, tensor in load_file(file).items()}, file)
    with pytest.raises(BadInput, match="cannot be merged"):
        load("llama", *folders, finder)


def test_no_module_that_an_adapter_names_is_imported(
    folders: tuple[Path, Path], finder: Finder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained("llama", *folders)
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()")
    monkeypatch.syspath_prepend(tmp_path)
    path = folders[1] / "adapter_config.json"
    named = {"auto_mapping": {"parent_library": "evil", "base_model_class": "X"}, "megatron_core": "evil"}
    path.write_text(json.dumps({**json.loads(path.read_text()), **named}))
    load("llama", *folders, finder)
    path.write_text(json.dumps({**json.loads(path.read_text()), "megatron_config": {"x": 1}}))
    with pytest.raises(BadInput, match="megatron_config would be left out"):
        load("llama", *folders, finder)
    assert not (tmp_path / "ran").exists()
