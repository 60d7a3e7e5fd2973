"""Reading safetensors in pieces gives what safetensors itself gives; fused activations give the same function."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers.activations import FastGELUActivation, GELUTanh, NewGELUActivation

from refutable.measurement.loading import read_fast
from refutable.measurement.loading.load import fuse_activations
from refutable.measurement.loading.read_fast import Layout, read_tensors
from refutable.models.safetensors_header import read_header

CPU = torch.device("cpu")
KINDS = (torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool)
SHAPES = st.lists(st.tuples(st.sampled_from(KINDS), st.lists(st.integers(0, 7), max_size=3)), min_size=1, max_size=8)


@settings(deadline=None, max_examples=40)
@given(shapes=SHAPES, piece=st.sampled_from([64, 256, 4096]))
def test_every_tensor_comes_back_as_it_was(
    shapes: list[tuple[torch.dtype, list[int]]], piece: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    generator = torch.Generator().manual_seed(0)
    tensors = {
        f"t{i}": torch.randint(0, 100, shape, generator=generator).to(dtype) for i, (dtype, shape) in enumerate(shapes)
    }
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read_fast, "PIECE", piece)
        patch.setattr(read_fast, "THREADS", 3)
        read = read_tensors([Layout(read_header(path))], CPU)
    expected = load_file(path)
    assert read.keys() == expected.keys()
    for name, tensor in expected.items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name], tensor)


def test_several_files_are_one_set_of_tensors(tmp_path: Path) -> None:
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    save_file({"x": torch.arange(5.0)}, first)
    save_file({"y": torch.ones(3, dtype=torch.bfloat16)}, second)
    read = read_tensors([Layout(read_header(first)), Layout(read_header(second))], CPU)
    assert torch.equal(read["x"], torch.arange(5.0))
    assert torch.equal(read["y"], torch.ones(3, dtype=torch.bfloat16))


def test_a_file_that_ends_early_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"x": torch.arange(1000.0)}, path)
    layout = Layout(read_header(path))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 10)
    with pytest.raises(OSError, match="ended"):
        read_tensors([layout], CPU)


def test_memory_in_another_dtype_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"x": torch.zeros(6, 4), "i": torch.zeros(5, dtype=torch.int64)}, path)
    assert Layout(read_header(path)).bytes_as(torch.bfloat16) == 6 * 4 * 2 + 5 * 8
    assert Layout(read_header(path)).bytes_as(torch.float32) == Layout(read_header(path)).size


@pytest.mark.parametrize("written_out", [NewGELUActivation, FastGELUActivation])
def test_a_fused_activation_is_the_same_function(written_out: type[torch.nn.Module]) -> None:
    network = torch.nn.ModuleDict({"mlp": torch.nn.ModuleDict({"act": written_out(), "other": torch.nn.SiLU()})})
    x = torch.cat([torch.linspace(-12, 12, 4001), torch.tensor([0.0, 1e-20, -1e-20, 1e4, -1e4])])
    before = network["mlp"]["act"](x)
    fuse_activations(network)
    assert isinstance(network["mlp"]["act"], GELUTanh)
    assert isinstance(network["mlp"]["other"], torch.nn.SiLU)
    torch.testing.assert_close(network["mlp"]["act"](x), before, rtol=1e-5, atol=2e-7)
