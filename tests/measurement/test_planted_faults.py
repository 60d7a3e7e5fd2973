"""Planted faults: a family row that reads the wrong tensor, and missing weights, never give a number."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import VARIANTS, prompt_set, row_of, tiny_model

from refutable.errors import ClosureError, InstrumentError
from refutable.measurement.loading.load import load_model
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.passes.forward import run_pass
from refutable.models.families import FAMILIES
from refutable.models.subject import Subject
from refutable.models.weights import Finder

FAULTS = {
    "gemma2-raw-attention": ("gemma2", {"attention_update": "self_attn"}),
    "gemma2-raw-mlp": ("gemma2", {"mlp_update": "mlp"}),
    "gemma3-raw-attention": ("gemma3", {"attention_update": "self_attn"}),
    "gemma3-raw-mlp": ("gemma3", {"mlp_update": "mlp"}),
    "olmo2-raw-attention": ("olmo2", {"attention_update": "self_attn"}),
    "olmo2-raw-mlp": ("olmo2", {"mlp_update": "mlp"}),
    "glm4-raw-attention": ("glm4", {"attention_update": "self_attn"}),
    "glm4-raw-mlp": ("glm4", {"mlp_update": "mlp"}),
    "glm4-norm-of-another-name": ("glm4", {"attention_update": "post_attention_layernorm"}),
    "bloom-attention-with-residual": ("bloom", {"attention_update": "self_attention"}),
    "bloom-mlp-with-residual": ("bloom", {"mlp_update": "mlp"}),
    "mpt-ffn-with-residual": ("mpt", {"mlp_update": "ffn"}),
    "granite-without-scale": ("granite", {"scale": None}),
    "opt-post-norm-taken-for-additive": ("opt-350m", {"not_additive": None}),
    "bloom-post-norm-taken-for-additive": ("bloom-post", {"not_additive": None}),
    "updates-swapped-for-one": ("llama", {"attention_update": "mlp"}),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_row_that_reads_the_wrong_tensor_does_not_close(
    fault: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, changes = FAULTS[fault]
    model = planted(name, changes, monkeypatch, dtype)
    with pytest.raises(ClosureError, match=rf"^planted in {dtype}: layer [123] does not close.*family 'wrong'"):
        run_pass(model, prompt_set(), "key", {})


@pytest.mark.parametrize("name", ["falcon-7b", "falcon-40b"])
def test_a_kept_reference_to_what_falcon_adds_to_in_place_does_not_close(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ClosureError, match=r"planted in float32: layer [123] does not close.*family 'wrong'"):
        run_pass(planted(name, {"in_place": False}, monkeypatch), prompt_set(), "key", {})


@pytest.mark.parametrize("fault", ["another-width", "never-runs"])
def test_a_row_that_reads_no_vector_of_the_stream_is_refused(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = planted("opt", {"mlp_update": "fc1" if fault == "another-width" else "unused"}, monkeypatch)
    for block in model.blocks():
        block.unused = torch.nn.Linear(32, 32)
    with pytest.raises(InstrumentError, match=r"^planted: layer 1: mlp_update .*family 'wrong'"):
        run_pass(model, prompt_set(), "key", {})


def test_the_rows_that_stand_do_close(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {name for name, _ in FAULTS.values()} - {"opt-350m", "bloom-post"}:
        assert run_pass(planted(name, {}, monkeypatch), prompt_set(), "key", {}).meta["closure_worst"] < 1


DAMAGE: dict[str, Callable[[dict[str, torch.Tensor]], object]] = {
    "missing": lambda tensors: tensors.pop("model.layers.1.mlp.up_proj.weight"),
    "renamed": lambda tensors: tensors.update(
        {"model.layers.1.mlp.up.weight": tensors.pop("model.layers.1.mlp.up_proj.weight")}
    ),
    "missing-norm": lambda tensors: tensors.pop("model.norm.weight"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_missing_weights_are_an_error_and_not_drawn_at_random(damage: str, tmp_path: Path, finder: Finder) -> None:
    row = row_of(VARIANTS["llama"])
    tiny_model(VARIANTS["llama"]).network.save_pretrained(tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    tensors = load_file(file)
    DAMAGE[damage](tensors)
    save_file(tensors, file, metadata={"format": "pt"})
    subject = Subject(row.name, str(file.parent))
    source = finder.find(row, subject)
    with pytest.raises(InstrumentError, match=r"^tiny \(.*\): 1 weight .*drawn them at random"):
        load_model(row, subject, source, tmp_path / "cache")


def planted(name: str, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch, dtype: str = "float32") -> LoadedModel:
    """Return a variant whose family row has these changes, under the name 'wrong'."""
    variant = VARIANTS[name]
    wrong = dataclasses.replace(FAMILIES[variant.family], model_type="wrong", **changes)
    monkeypatch.setitem(FAMILIES._things, "wrong", wrong)
    row = row_of(variant, "planted").model_copy(update={"family": "wrong"})
    return tiny_model(variant, row=row, dtype=dtype)
