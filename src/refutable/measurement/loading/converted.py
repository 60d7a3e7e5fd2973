"""Weights that are converted to safetensors once and kept: GGUF files, and .bin shards."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch

from refutable._util.atomic import new_folder
from refutable._util.hashing import key_of
from refutable._util.reading import read_json
from refutable._util.text import first_line
from refutable.errors import BadInput, RefutableError
from refutable.measurement.loading.accounted import check_accounted
from refutable.models.file_hashes import FileHashes
from refutable.models.gguf_header import GgufHeader, check_places, read_gguf
from refutable.models.subject import WeightsSource
from refutable.models.weight_files import weight_files

CONVERTER_VERSION = 2
_SEAL = "sealed.json"


def as_safetensors(source: WeightsSource, cache: Path) -> Path:
    """Return the folder of a source's safetensors; what is stored otherwise is converted, once.

    Raises:
        BadInput: a file cannot be read.
        InstrumentError: a GGUF file lacks weights, or holds some that would be left out.
    """
    assert source.location is not None
    match source.form:
        case "gguf":
            return converted_gguf(source.location, source.digest, cache)
        case "bin":
            return _converted_bin(source.location, source, cache)
    return source.location


def _converted_bin(folder: Path, source: WeightsSource, cache: Path) -> Path:
    """Convert ``.bin`` shards to one safetensors file; unpickled only with ``weights_only=True``."""
    from safetensors.torch import save_file

    place = _place(cache, key_of({"weights": source.digest, "config": source.config}))
    if _is_whole(place, cache):
        return place
    tensors: dict[str, torch.Tensor] = {}
    for shard in weight_files(folder)[0]:
        try:  # files older than torch 1.6 are no zip archives and cannot be mapped into memory
            loaded = torch.load(shard, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(shard))
        except Exception as error:
            if isinstance(error, MemoryError):
                raise
            raise BadInput(
                f"{shard}: cannot be read with weights_only=True ({first_line(error)}); fetch it again"
            ) from None
        if not isinstance(loaded, dict) or not all(_is_plain(name, tensor) for name, tensor in loaded.items()):
            raise BadInput(f"{shard}: holds no tensors by name; give the weights that `save_pretrained` writes")
        twice = sorted(tensors.keys() & loaded.keys())
        if twice:
            raise BadInput(f"{shard}: holds {twice[0]!r}, which another shard holds too; fetch them again")
        tensors |= loaded
    with new_folder(place) as aside:
        owned = {name: tensor.clone().contiguous() for name, tensor in tensors.items()}
        save_file(owned, aside / "model.safetensors", metadata={"format": "pt"})
        (aside / "config.json").write_text(json.dumps(source.config), encoding="utf-8")
        _seal(aside, cache)
        _make_way(place, cache)
    return place


def converted_gguf(path: Path, digest: str, cache: Path) -> Path:
    """Convert a GGUF file to safetensors, config and tokenizer: reading it takes some 20 s each time."""
    place = _place(cache, digest)
    if _is_whole(place, cache):
        return place
    from transformers import AutoModelForCausalLM, AutoTokenizer

    options = {"gguf_file": path.name, "local_files_only": True, "trust_remote_code": False}
    header = read_gguf(path)
    check_places(header)
    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            path.parent, dtype=torch.float32, output_loading_info=True, ignore_mismatched_sizes=True, **options
        )
        tokenizer = AutoTokenizer.from_pretrained(path.parent, **options)
    except Exception as error:  # its reader raises whatever it meets
        if isinstance(error, MemoryError | RefutableError):
            raise
        raise BadInput(
            f"{path}: transformers cannot read this GGUF file ({first_line(error)}); give safetensors instead"
        ) from None
    check_accounted(model, report, header.tensors, path.name, _known_names(model, header))
    plain = type(model)(model.config)  # save_pretrained refuses a dequantised model: its quantizer is not serialisable
    plain.load_state_dict(model.state_dict())
    if hasattr(plain.config, "quantization_config"):
        del plain.config.quantization_config
    with new_folder(place) as aside:
        plain.save_pretrained(aside)
        tokenizer.save_pretrained(aside)
        _seal(aside, cache)
        _make_way(place, cache)
    return place


def _is_plain(name: object, tensor: object) -> bool:
    """Whether an entry of a .bin file is a tensor by its name, with values, and neither sparse nor quantised."""
    if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
        return False
    return tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_meta


def _known_names(model: Any, header: GgufHeader) -> Collection[str]:
    """Return the names that transformers reads of a GGUF file, to name what it leaves out; private, so perhaps none."""
    try:
        from transformers.modeling_gguf_pytorch_utils import (
            TENSOR_PROCESSORS,
            TensorProcessor,
            get_gguf_hf_weights_map,
        )

        processor = TENSOR_PROCESSORS.get(header.architecture, TensorProcessor)(config=model.config.to_dict())
        return set(get_gguf_hf_weights_map(model, processor))
    except Exception:
        return header.tensors


def _seal(folder: Path, cache: Path) -> None:
    """Write down the hash of every file, before the folder is moved into its place."""
    hashes = FileHashes(cache)
    found = {file.name: hashes.of_files([file]) for file in sorted(folder.iterdir())}
    (folder / _SEAL).write_text(json.dumps(found, indent=1), encoding="utf-8")


def _is_whole(place: Path, cache: Path) -> bool:
    """Whether a folder was written, and nothing in it has changed since; what did change is converted again."""
    if not place.is_dir():
        return False
    hashes = FileHashes(cache)
    try:
        sealed = read_json(place / _SEAL)
        return all(hashes.of_files([place / name]) == digest for name, digest in sealed.items()) and bool(sealed)
    except (RefutableError, OSError, AttributeError):
        return False


def _make_way(place: Path, cache: Path) -> None:
    """Remove a folder that is not as it was written, so that the new one can be moved into its place."""
    if place.is_dir() and not _is_whole(place, cache):
        shutil.rmtree(place)


def _place(cache: Path, digest: str) -> Path:
    import transformers

    return cache / "converted" / key_of({"of": digest, "by": [CONVERTER_VERSION, transformers.__version__]})[:32]
