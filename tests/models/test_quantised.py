"""Weights that stay packed: how they are told, and what is said where they cannot be run; all before torch is there."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from quantised_files import store_one
from safetensors.torch import load_file, save_file
from tiny import VARIANTS, row_of, tiny_model

from refutable._util import extras
from refutable.errors import BadInput, NotMeasured, WeightsUnavailable
from refutable.measurement.loading.load import load_model
from refutable.models.device import Device
from refutable.models.quantised import METHODS, packing_of
from refutable.models.subject import Subject, WeightsKind
from refutable.models.weights import Finder

LLAMA = VARIANTS["llama"]
NF4 = {"quant_method": "bitsandbytes", "load_in_4bit": True, "load_in_8bit": False, "bnb_4bit_quant_type": "nf4"}
SETTINGS: dict[str, dict[str, Any]] = {
    "gptq, 4 bit": {"quant_method": "gptq", "bits": 4, "group_size": 128},
    "gptq, 3 bit": {"quant_method": "gptq", "bits": 3},
    "awq, 4 bit": {"quant_method": "awq", "bits": 4, "version": "gemm"},
    "bitsandbytes, 4 bit nf4": NF4,
    "bitsandbytes, 4 bit fp4": {"quant_method": "bitsandbytes", "load_in_4bit": True},
    "bitsandbytes, 8 bit": {"quant_method": "bitsandbytes", "load_in_8bit": True, "load_in_4bit": False},
}


@pytest.fixture
def gpu(finder: Finder) -> Finder:
    return replace(finder, device=Device("cuda", "a GPU", 1 << 50))


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "_installed", lambda name: True)


def folder(place: Path, settings: dict[str, Any], form: str = "safetensors", stored: str = "int8") -> Path:
    """Save a tiny model with one matrix stored in a dtype, and settings that say how it is quantised."""
    tiny_model(LLAMA).network.save_pretrained(place)
    store_one(place, stored)
    config = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps({**config, "quantization_config": settings}))
    if form == "bin":
        (place / "model.safetensors").rename(place / "pytorch_model.bin")
    return place


def find(finder: Finder, place: Path, dtype: str = "float16") -> Any:
    return finder.find(row_of(LLAMA), Subject("tiny", str(place), dtype=dtype, device=finder.device.name))


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("told", SETTINGS)
def test_packed_weights_say_their_method_and_bits_wherever_their_kind_is_said(
    told: str, gpu: Finder, tmp_path: Path
) -> None:
    source = find(gpu, folder(tmp_path / "model", SETTINGS[told]))
    assert (source.kind, source.label) == (WeightsKind.QUANTISED, f"quantised ({told})")
    assert source.detail.startswith(f"run by {METHODS[told.split(',')[0]].packages[0]} ")
    assert "unverified" in source.detail
    assert source.config["quantization_config"] == SETTINGS[told]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("settings", [{"quant_method": "fp8"}, *SETTINGS.values()])
@pytest.mark.parametrize("stored", ["float32", "float16", "bfloat16"])
def test_plain_numbers_are_plain_whatever_settings_are_left_in_config_json(
    settings: dict[str, Any], stored: str, finder: Finder, tmp_path: Path
) -> None:
    place = folder(tmp_path / "model", settings, stored=stored)
    source = find(finder, place, "float32")
    assert (source.kind, source.label, source.packing) == (WeightsKind.LOCAL, "local", "")
    assert "fp8" not in source.detail
    assert load_model(row_of(LLAMA), Subject("tiny", str(place)), source, tmp_path / "cache").network is not None


@pytest.mark.parametrize("stored", ["float8_e4m3fn", "float8_e5m2"])
def test_numbers_of_eight_bits_are_dequantised(stored: str, finder: Finder, tmp_path: Path) -> None:
    source = find(finder, folder(tmp_path / "model", {"quant_method": "fp8"}, stored=stored))
    assert (source.kind, "from fp8" in source.detail) == (WeightsKind.DEQUANTISED, True)


@pytest.mark.usefixtures("installed")
def test_packed_numbers_in_a_storage_of_sixteen_bits_are_packed(gpu: Finder, tmp_path: Path) -> None:
    place = folder(tmp_path / "model", NF4, stored="bfloat16")
    tensors = load_file(place / "model.safetensors")
    save_file({**tensors, "model.layers.0.mlp.up_proj.weight.absmax": torch.ones(3)}, place / "model.safetensors")
    assert find(gpu, place).kind is WeightsKind.QUANTISED


@pytest.mark.parametrize("method", METHODS)
def test_without_its_package_it_is_not_measured_and_the_extra_is_named(
    method: str, gpu: Finder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "_installed", lambda name: name not in METHODS[method].packages)
    settings = next(one for one in SETTINGS.values() if one["quant_method"] == method)
    with pytest.raises(NotMeasured, match=METHODS[method].packages[0]) as caught:
        find(gpu, folder(tmp_path / "model", settings))
    assert caught.value.fix == f"pip install 'refutable[{method}]'"


@pytest.mark.usefixtures("installed")
def test_without_a_gpu_it_is_not_measured(finder: Finder, tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match="by awq are run on a CUDA device, and a CPU is none"):
        find(finder, folder(tmp_path / "model", SETTINGS["awq, 4 bit"]))


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("told", "dtype"), [("gptq, 4 bit", "float32"), ("awq, 4 bit", "bfloat16")])
def test_a_dtype_that_its_kernels_have_not_is_not_measured(told: str, dtype: str, gpu: Finder, tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match=f"not in {dtype}") as caught:
        find(gpu, folder(tmp_path / "model", SETTINGS[told]), dtype)
    assert "--dtype float16" in caught.value.fix


@pytest.mark.parametrize(
    "settings",
    [
        {"quant_method": "gptq"},
        {"quant_method": "gptq", "bits": "4"},
        {"quant_method": "awq", "bits": True},
        {"quant_method": "gptq", "bits": 0},
        {"quant_method": "bitsandbytes"},
        {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf5"},
    ],
)
def test_settings_that_do_not_say_how_many_bits_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=r"^there: quantised by .*how many bits"):
        packing_of(settings, "there")


@pytest.mark.usefixtures("installed")
def test_packed_weights_in_a_bin_file_are_refused(gpu: Finder, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="by bitsandbytes are read from safetensors"):
        find(gpu, folder(tmp_path / "model", NF4, form="bin"))


@pytest.mark.usefixtures("installed")
def test_the_memory_that_packed_weights_need_is_that_of_their_files(gpu: Finder, tmp_path: Path) -> None:
    place = folder(tmp_path / "model", NF4)
    size = (place / "model.safetensors").stat().st_size
    row = row_of(LLAMA, parameters=10**9)
    small = replace(gpu, device=Device("cuda", "a small GPU", int(size * 1.06 + 0.5e9)))
    subject = Subject("tiny", str(place), device="cuda")
    assert small.find(row, subject).kind is WeightsKind.QUANTISED
    with pytest.raises(WeightsUnavailable, match=r"needs 0\.5 GB"):
        replace(small, device=Device("cuda", "a tiny GPU", size)).find(row, subject)


def test_all_of_this_is_known_before_torch_is_imported(tmp_path: Path) -> None:
    place = folder(tmp_path / "model", SETTINGS["gptq, 4 bit"])
    row = row_of(LLAMA)
    script = f"""
import json, sys
from pathlib import Path
from refutable.errors import NotMeasured
from refutable.models.device import Device
from refutable.models.file_hashes import FileHashes
from refutable.models.row import ModelRow
from refutable.models.subject import Subject
from refutable.models.weights import Finder
row = ModelRow(**json.loads({row.model_dump_json()!r}))
finder = Finder(FileHashes(Path({str(tmp_path)!r})), Device("cpu", "a CPU", 1 << 50))
try:
    finder.find(row, Subject("tiny", {str(place)!r}))
except NotMeasured as error:
    print(error, "torch" in sys.modules, "transformers" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("False False"), done.stdout
    assert "gptq" in done.stdout
