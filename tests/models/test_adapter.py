"""An adapter is told with the weights that carry it, or refused: by its settings, before torch is there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quantised_files import store_one
from safetensors.numpy import save_file
from tiny import VARIANTS, row_of, tiny_model

from refutable._util import extras
from refutable.errors import BadInput, NotMeasured, WeightsUnavailable
from refutable.models.adapter import read_adapter
from refutable.models.device import Device
from refutable.models.registry import ModelRegistry
from refutable.models.row import ModelRow
from refutable.models.selection import select
from refutable.models.subject import Subject, WeightsKind, WeightsSource
from refutable.models.weights import Finder

LLAMA = VARIANTS["llama"]
SETTINGS = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"], "init_lora_weights": True}


def adapter(place: Path, fill: float = 1.0, **settings: Any) -> Path:
    place.mkdir(exist_ok=True)
    save_file({"a": np.full(3, fill, dtype=np.float32)}, place / "adapter_model.safetensors")
    (place / "adapter_config.json").write_text(json.dumps({**SETTINGS, **settings}))
    return place


@pytest.fixture
def base(tmp_path: Path) -> Path:
    tiny_model(LLAMA).network.save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def find(finder: Finder, base: Path, adapter: Path, **changes: Any) -> WeightsSource:
    return finder.find(row_of(LLAMA, **changes), Subject("tiny", str(base), adapter=str(adapter)))


def test_weights_with_an_adapter_say_what_they_are_made_of(finder: Finder, base: Path, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "my-lora", base_model_name_or_path="somebody/another-llama")
    source = find(finder, base, folder, hub="meta/tiny-llama")
    plain = finder.find(row_of(LLAMA), Subject("tiny", str(base)))
    digest = finder.hashes.of_files([folder / "adapter_config.json", folder / "adapter_model.safetensors"])
    assert (source.kind, source.label, source.adapter) == (WeightsKind.ADAPTED, "with adapter", folder)
    assert source.detail.startswith(f"adapter my-lora (SHA-256 {digest[:12]}), made for somebody/another-llama, merged")
    assert source.detail.endswith(f"into local weights: {plain.detail}")


@pytest.mark.parametrize(
    ("base_name", "told"),
    [
        ("meta/tiny-llama", ""),
        (None, ""),
        ("/home/somebody/llama", ", made for a local folder"),
        ("../llama", ", made for a local folder"),
        ("C:\\models", ", made for a local folder"),
        (["x"], ", made for a local folder"),
        ("gpt2", ", made for gpt2"),
    ],
)
def test_what_an_adapter_was_made_for_is_said_where_it_is_not_the_row_and_never_as_a_path(
    base_name: Any, told: str, finder: Finder, base: Path, tmp_path: Path
) -> None:
    folder = adapter(tmp_path / "a", base_model_name_or_path=base_name)
    assert f"){told}, merged by peft" in find(finder, base, folder, hub="meta/tiny-llama").detail


def test_the_digest_is_of_the_weights_and_of_both_of_the_adapters_files(
    finder: Finder, base: Path, tmp_path: Path
) -> None:
    folders = [adapter(tmp_path / "a"), adapter(tmp_path / "b", fill=2), adapter(tmp_path / "c", lora_alpha=8)]
    digests = {find(finder, base, folder).digest for folder in folders}
    digests.add(finder.find(row_of(LLAMA), Subject("tiny", str(base))).digest)
    assert len(digests) == 4
    (tmp_path / "a" / "README.md").write_text("whatever")
    assert find(finder, base, tmp_path / "a").digest in digests


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"peft_type": "IA3"}, "peft_type is 'IA3'"),
        ({"peft_type": None}, "peft_type is None"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights is 'pissa'"),
        ({"init_lora_weights": "olora"}, "init_lora_weights is 'olora'"),
        ({"init_lora_weights": ["x"]}, "init_lora_weights is"),
        ({"megatron_config": {"x": 1}, "megatron_core": "evil"}, "megatron_config would be left out"),
        ({"loftq_config": {"loftq_bits": 4}}, "loftq_config would be left out"),
        ({"layer_replication": [[0, 2]]}, "layer_replication would be left out"),
        ({"alora_invocation_tokens": [1]}, "alora_invocation_tokens would be left out"),
        ({"trainable_token_indices": [1]}, "trainable_token_indices would be left out"),
        ({"target_parameters": ["x"]}, "target_parameters would be left out"),
        ({"of_a_later_peft": True}, "of_a_later_peft would be left out"),
    ],
)
def test_an_adapter_that_is_no_plain_lora_is_refused(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=message):
        read_adapter(adapter(tmp_path / "a", **settings))


def test_settings_of_training_and_unset_ones_change_nothing(tmp_path: Path) -> None:
    unset = {"megatron_config": None, "megatron_core": "megatron.core", "loftq_config": {}, "of_a_later_peft": None}
    trained = {"lora_dropout": 0.1, "inference_mode": True, "auto_mapping": {"parent_library": "evil"}}
    assert read_adapter(adapter(tmp_path / "a", **unset, **trained))["r"] == 2


def test_a_folder_without_its_two_files_is_refused_and_a_pickle_is_not_read(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "a")
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(BadInput, match=r"holds no adapter_model\.safetensors \(adapter_model\.bin is not read\)"):
        read_adapter(folder)
    (folder / "adapter_model.bin").rename(folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").unlink()
    with pytest.raises(BadInput, match=r"holds no adapter_config\.json"):
        read_adapter(folder)
    with pytest.raises(BadInput, match="holds no"):
        read_adapter(tmp_path / "not there")


def test_a_truncated_adapter_is_refused(tmp_path: Path) -> None:
    file = adapter(tmp_path / "a") / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-2])
    with pytest.raises(BadInput, match="truncated"):
        read_adapter(file.parent)


def test_without_peft_it_is_not_measured_and_the_extra_is_named(
    finder: Finder, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "_installed", lambda name: name != "peft")
    with pytest.raises(NotMeasured, match="not without peft") as caught:
        find(finder, base, adapter(tmp_path / "a"))
    assert caught.value.fix == "pip install 'refutable[peft]'"


def test_packed_weights_carry_no_adapter(
    finder: Finder, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "_installed", lambda name: True)
    config = json.loads((base / "config.json").read_text())
    packed = {"quantization_config": {"quant_method": "gptq", "bits": 4}}
    store_one(base, "int8")
    (base / "config.json").write_text(json.dumps({**config, **packed}))
    gpu = replace(finder, device=Device("cuda", "a GPU", 1 << 50))
    subject = Subject("tiny", str(base), dtype="float16", device="cuda", adapter=str(adapter(tmp_path / "a")))
    with pytest.raises(BadInput, match=r"quantised \(gptq, 4 bit\) weights cannot carry it"):
        gpu.find(row_of(LLAMA), subject)


def test_the_memory_is_that_of_merging_in_float32(finder: Finder, base: Path, tmp_path: Path) -> None:
    row = row_of(LLAMA, parameters=10**9)
    small = replace(finder, device=Device("cpu", "a small machine", int(3e9)), cpu_asked=True)
    half = Subject("tiny", str(base), dtype="bfloat16")
    assert small.find(row, half).kind is WeightsKind.LOCAL
    with pytest.raises(WeightsUnavailable, match=r"needs 4\.7 GB in float32") as caught:
        small.find(row, replace(half, adapter=str(adapter(tmp_path / "a"))))
    assert "--adapter" in caught.value.fix
    assert "bfloat16" not in caught.value.fix


# Which models carry it.


def rows() -> list[ModelRow]:
    return [row_of(LLAMA, "one"), row_of(LLAMA, "two"), row_of(LLAMA, "drawn", stand_in=True)]


def test_the_named_model_carries_it_and_its_drawn_controls_do_not(tmp_path: Path) -> None:
    folder = str(adapter(tmp_path / "a"))
    selection = select(ModelRegistry(rows()), Device("cpu", "a CPU", 1), models=("one",), adapter=folder)
    assert selection.subject("one").adapter == selection.subject("one", dtype="bfloat16").adapter == folder
    assert selection.subject("one", seed=0).adapter is None
    assert selection.subject("drawn").adapter is None


@pytest.mark.parametrize(
    ("models", "weights", "message"),
    [
        ((), "pretrained", r"belongs to one model; .*\(0 are named\)"),
        (("one", "two"), "pretrained", r"belongs to one model; .*\(2 are named\)"),
        (("one",), "init", "freshly drawn weights carry no adapter"),
        (("drawn",), "pretrained", "freshly drawn weights carry no adapter"),
    ],
)
def test_an_adapter_is_for_one_named_model_with_trained_weights(
    models: tuple[str, ...], weights: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=message):
        select(
            ModelRegistry(rows()),
            Device("cpu", "a CPU", 1),
            models=models,
            weights=weights,
            adapter=str(adapter(tmp_path / "a")),
        )
