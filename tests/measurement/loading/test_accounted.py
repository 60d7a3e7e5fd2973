"""Every tensor of a weight file is read, or refused by name; weights are those of the model that was named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from gguf_files import write_gguf
from safetensors.torch import load_file, save_file
from tiny import VARIANTS, row_of, tiny_model

from refutable.errors import BadInput, InstrumentError, RefutableError
from refutable.measurement.loading.load import load_model
from refutable.models.registry import load_registry
from refutable.models.row import ModelRow
from refutable.models.subject import Subject
from refutable.models.weights import Finder

FAMILIES = ("gpt2", "gpt_neox-parallel", "gptj", "opt", "bloom", "falcon-7b", "mpt", "llama", "llama-tied", "mixtral")
Tensors = dict[str, torch.Tensor]
Saved = Callable[..., Path]


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    """Save a tiny model as safetensors or .bin, with its tensors changed by `change` and its config by `config`."""

    def save(variant: str, change: Callable[[Tensors], Any] = len, *, form: str = "safetensors", **config: Any) -> Path:
        folder = tmp_path / "model"
        tiny_model(VARIANTS[variant]).network.save_pretrained(folder)
        file = folder / "model.safetensors"
        tensors = load_file(file)
        change(tensors)
        if form == "bin":
            file.unlink()
            torch.save(tensors, folder / "pytorch_model.bin")
        else:
            save_file(tensors, file, metadata={"format": "pt"})
        settings = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**settings, **config}))
        return folder

    return save


def load(row: ModelRow, folder: Path, finder: Finder, **changes: Any) -> Any:
    subject = Subject(row.name, str(folder), **changes)
    return load_model(row, subject, finder.find(row, subject), folder.parent / "cache").network


def first_matrix(tensors: Tensors) -> str:
    return next(name for name, tensor in sorted(tensors.items()) if tensor.ndim == 2 and "embed" not in name)


@pytest.mark.parametrize("form", ["safetensors", "bin"])
@pytest.mark.parametrize("variant", FAMILIES)
def test_a_tensor_that_is_missing_is_refused_by_name(variant: str, form: str, saved: Saved, finder: Finder) -> None:
    gone: list[str] = []

    def drop(tensors: Tensors) -> None:
        gone.append(first_matrix(tensors))
        del tensors[gone[0]]

    with pytest.raises(InstrumentError, match="missing from the files") as caught:
        load(row_of(VARIANTS[variant]), saved(variant, drop, form=form), finder)
    if variant != "mixtral":  # whose experts transformers names as it holds them: all in one
        assert gone[0].removeprefix("transformer.").removeprefix("model.") in str(caught.value)


@pytest.mark.parametrize("form", ["safetensors", "bin"])
@pytest.mark.parametrize("variant", FAMILIES)
def test_a_tensor_that_would_be_left_out_is_refused_by_name(
    variant: str, form: str, saved: Saved, finder: Finder
) -> None:
    def add(tensors: Tensors) -> None:
        tensors[f"{first_matrix(tensors)}_more"] = torch.ones(3)

    with pytest.raises(InstrumentError, match="_more"):
        load(row_of(VARIANTS[variant]), saved(variant, add, form=form), finder)


def test_biases_that_the_configuration_denies_are_refused(saved: Saved, finder: Finder) -> None:
    def add(tensors: Tensors) -> None:
        for part in "qkv":
            name = f"model.layers.0.self_attn.{part}_proj.weight"
            tensors[name.replace("weight", "bias")] = torch.ones(len(tensors[name]))

    with pytest.raises(InstrumentError, match=r"3 tensors .*self_attn\.k_proj\.bias"):
        load(row_of(VARIANTS["llama"]), saved("llama", add), finder)


@pytest.mark.parametrize(
    ("variant", "buffers"),
    [
        ("gpt2", {"transformer.h.0.attn.bias": (1, 1, 64, 64), "transformer.h.1.attn.masked_bias": ()}),
        ("gpt_neox-parallel", {"gpt_neox.layers.0.attention.bias": (1, 1, 64, 64)}),
        ("gpt_neox-parallel", {"gpt_neox.layers.0.attention.rotary_emb.inv_freq": (1,)}),
        ("llama", {"model.layers.2.self_attn.rotary_emb.inv_freq": (4,)}),
    ],
)
def test_buffers_that_older_files_carry_are_no_weights(
    variant: str, buffers: dict[str, tuple[int, ...]], saved: Saved, finder: Finder
) -> None:
    add = {name: torch.ones(shape) for name, shape in buffers.items()}
    assert load(row_of(VARIANTS[variant]), saved(variant, lambda tensors: tensors.update(add)), finder) is not None


def test_a_trained_bias_that_is_called_like_a_mask_is_no_buffer(saved: Saved, finder: Finder) -> None:
    """Transformers leaves out whatever matches ``attention.bias`` in GPT-NeoX, and says nothing."""
    add = {"gpt_neox.layers.0.attention.bias": torch.ones(32)}
    with pytest.raises(InstrumentError, match=r"layers\.0\.attention\.bias"):
        load(
            row_of(VARIANTS["gpt_neox-parallel"]),
            saved("gpt_neox-parallel", lambda tensors: tensors.update(add)),
            finder,
        )


def test_a_tensor_in_two_shards_is_refused(saved: Saved, finder: Finder) -> None:
    folder = saved("llama")
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    twice = "model.norm.weight"
    save_file({twice: tensors[twice]}, folder / "b.safetensors", metadata={"format": "pt"})
    save_file(tensors, folder / "a.safetensors", metadata={"format": "pt"})
    index = {"weight_map": {**dict.fromkeys(tensors, "a.safetensors"), twice: "b.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(BadInput, match=f"holds '{twice}', which another shard holds too"):
        load(row_of(VARIANTS["llama"]), folder, finder)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"])
def test_an_adapter_beside_the_weights_is_refused(name: str, saved: Saved, finder: Finder) -> None:
    folder = saved("llama")
    (folder / name).write_text("{}")
    with pytest.raises(BadInput, match=f"an adapter \\({name}\\) lies beside the weights"):
        load(row_of(VARIANTS["llama"]), folder, finder)


@pytest.mark.parametrize("place", ["../elsewhere.safetensors", "/etc/hostname", "sub/model.safetensors"])
def test_an_index_names_files_of_its_own_folder(place: str, saved: Saved, finder: Finder) -> None:
    folder = saved("llama")
    (folder / "model.safetensors").rename(folder.parent / "elsewhere.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": place}}))
    with pytest.raises(BadInput, match="names a file outside its folder"):
        load(row_of(VARIANTS["llama"]), folder, finder)


# GGUF.

GGUF_FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "missing": ({"drop": ["blk.1.ffn_down.weight"]}, r"layers\.1\.mlp\.down_proj\.weight"),
    "missing-embedding": ({"drop": ["token_embd.weight"]}, "embed_tokens"),
    "rope-factors": ({"add": {"rope_freqs.weight": np.ones(4, np.float32)}}, r"rope_freqs\.weight"),
    "bias": ({"add": {"blk.0.attn_q.bias": np.ones(32, np.float32)}}, r"perhaps blk\.0\.attn_q\.bias"),
    "layer-too-many": ({"add": {"blk.7.attn_norm.weight": np.ones(32, np.float32)}}, r"blk\.7\.attn_norm"),
    "other-shape": (
        {"drop": ["output_norm.weight"], "add": {"output_norm.weight": np.ones(16, np.float32)}},
        "of another shape|cannot read",
    ),
    "scaled-positions": (
        {"header": {"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}},
        r"scaled \(linear, by 4\)",
    ),
    "scaled-without-a-type": ({"header": {"rope.scaling.factor": 4.0}}, r"scaled \(linear, by 4\)"),
    "scaled-the-old-way": ({"header": {"rope.scale_linear": 4.0}}, r"scaled \(linear, by 4\)"),
    "attention-scale": ({"header": {"attention.scale": 0.5}}, r"attention\.scale would be left out"),
    "layers": ({"header": {"block_count": 2}}, "layers is 2, and tiny has 3"),
    "heads": ({"header": {"attention.head_count": 8}}, "heads is 8, and tiny has 4"),
    "width": ({"header": {"embedding_length": 64}}, "d_model is 64, and tiny has 32"),
    "vocabulary": ({"header": {"vocab_size": 32}}, "vocabulary is 32, and tiny has 64"),
}


@pytest.mark.parametrize("fault", GGUF_FAULTS)
@pytest.mark.parametrize("variant", ["llama", "llama-tied"])
def test_a_gguf_file_is_read_whole_or_refused(variant: str, fault: str, tmp_path: Path, finder: Finder) -> None:
    changes, message = GGUF_FAULTS[fault]
    path = write_gguf(tmp_path / "tiny.gguf", tiny_model(VARIANTS[variant]).network, **changes)
    with pytest.raises(RefutableError, match=message):
        load(row_of(VARIANTS[variant]), path, finder)
    assert not list(tmp_path.glob("cache/converted/*")), "nothing that was refused is kept"


@pytest.mark.parametrize("kind", ["F32", "Q8_0", "Q4_0"])
def test_a_whole_gguf_file_is_read_and_its_format_is_that_of_its_tensors(
    kind: str, tmp_path: Path, finder: Finder
) -> None:
    network = tiny_model(VARIANTS["llama"]).network
    path = write_gguf(tmp_path / "tiny.Q2_K.gguf", network, kind=gguf.GGMLQuantizationType[kind])
    assert f"from {kind} GGUF" in finder.find(row_of(VARIANTS["llama"]), Subject("tiny", str(path))).detail
    read = load(row_of(VARIANTS["llama"]), path, finder)
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(read.state_dict()[name], tensor, rtol=0, atol=0.25 if kind == "Q4_0" else 0.01)


def overlapping(path: Path) -> Path:
    """Let a tensor begin where another does."""
    data = bytearray(path.read_bytes())
    place = data.index(b"blk.1.ffn_up.weight") + len(b"blk.1.ffn_up.weight") + 4 + 2 * 8 + 4
    data[place : place + 8] = (0).to_bytes(8, "little")
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (overlapping, "begins at byte 0 and not after"),
        (lambda path: path.write_bytes(path.read_bytes()[:-40]), "its tensors end at byte"),
        (lambda path: path.write_bytes(path.read_bytes() + b"more" * 50), "its tensors end at byte"),
    ],
)
def test_tensors_of_a_gguf_file_lie_one_behind_the_other(
    spoil: Callable[[Path], Any], told: str, tmp_path: Path, finder: Finder
) -> None:
    path = write_gguf(tmp_path / "tiny.gguf", tiny_model(VARIANTS["llama"]).network)
    spoil(path)
    with pytest.raises(BadInput, match=told):
        load(row_of(VARIANTS["llama"]), path, finder)


@pytest.mark.parametrize("damage", ["scaled", "cut", "config gone"])
def test_a_converted_copy_that_was_changed_is_made_again(damage: str, tmp_path: Path, finder: Finder) -> None:
    row = row_of(VARIANTS["llama"])
    path = write_gguf(tmp_path / "tiny.gguf", tiny_model(VARIANTS["llama"]).network)
    whole = {name: tensor.clone() for name, tensor in load(row, path, finder).state_dict().items()}
    (copy,) = (tmp_path / "cache" / "converted").iterdir()
    file = copy / "model.safetensors"
    if damage == "scaled":
        save_file({k: (v * 1.1).contiguous() for k, v in load_file(file).items()}, file, metadata={"format": "pt"})
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:-7])
    else:
        (copy / "config.json").unlink()
    for _ in range(2):
        again = load(row, path, finder).state_dict()
        assert all(torch.equal(again[name], tensor) for name, tensor in whole.items())


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.int8, torch.uint8])
def test_weights_of_eight_bits_without_a_word_of_it_are_refused(
    dtype: torch.dtype, saved: Saved, finder: Finder
) -> None:
    def shrink(tensors: Tensors) -> None:
        name = "model.layers.0.mlp.up_proj.weight"
        tensors[name] = tensors[name].to(dtype)
        tensors[f"{name}_scale_inv"] = torch.ones(1, 1)

    with pytest.raises(RefutableError, match=r"config.json names no quantization_config|would be left out"):
        load(row_of(VARIANTS["llama"]), saved("llama", shrink), finder)


# The model that was named.


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"num_hidden_layers": 6}, "layers is 3, and tiny has 6"),
        ({"num_attention_heads": 8}, "heads is 4, and tiny has 8"),
        ({"rotary_pct": 0.5}, "rotary_fraction is 0.25, and tiny has 0.5"),
        ({"use_parallel_residual": False}, "wiring is 'parallel', and tiny has 'sequential'"),
        ({"vocab_size": 500}, "vocabulary is 64, and tiny has 500"),
        ({"rotary_emb_base": 500}, "rope_theta is 10000.0, and tiny has 500"),
        ({"layer_norm_eps": 0.1}, "layer_norm_eps is 1e-05, and tiny has 0.1"),
        ({"rope_scaling": {"rope_type": "linear", "factor": 2.0}}, "rope_type is 'default', and tiny has 'linear'"),
    ],
)
def test_a_folder_of_another_model_is_refused_with_both_values(
    change: dict[str, Any], told: str, saved: Saved, finder: Finder
) -> None:
    variant = VARIANTS["gpt_neox-parallel"]
    row = row_of(variant, config={**variant.config, **change})
    with pytest.raises(BadInput, match=told):
        load(row, saved("gpt_neox-parallel"), finder)


@pytest.mark.parametrize(
    "change", [{"is_causal": False}, {"rms_norm_eps": 0.1}, {"attention_bias": True}, {"hidden_act": "gelu"}]
)
def test_a_key_that_the_row_leaves_to_its_default_is_compared_too(
    change: dict[str, Any], saved: Saved, finder: Finder
) -> None:
    row = row_of(VARIANTS["llama"])
    assert not change.keys() & row.config.keys()
    with pytest.raises(RefutableError, match=f"{next(iter(change))}|causal|missing"):
        load(row, saved("llama", **change), finder)


def test_another_number_of_parameters_is_refused_with_both(saved: Saved, finder: Finder) -> None:
    row = row_of(VARIANTS["llama"])
    more = row.model_copy(update={"parameters": row.parameters + 1})
    with pytest.raises(InstrumentError, match=f"{row.parameters:,} parameters, and tiny has {more.parameters:,}"):
        load(more, saved("llama"), finder)


def test_no_model_of_the_registry_passes_as_another_of_its_family(finder: Finder, tmp_path: Path) -> None:
    rows = list(load_registry())
    for row in rows:
        (tmp_path / "config.json").write_text(json.dumps(dict(row.config)))
        save_file({"w": torch.zeros(1)}, tmp_path / "model.safetensors")
        for other in rows:
            if other.name == row.name or {other.name, row.name} == {"pythia-6.9b", "pythia-6.9b-v0"}:
                continue  # the two runs of 6.9B have one shape, and only their hashes tell them apart
            with pytest.raises(RefutableError):
                finder.find(
                    other.model_copy(update={"stand_in": False, "parameters": 1}), Subject(other.name, str(tmp_path))
                )
