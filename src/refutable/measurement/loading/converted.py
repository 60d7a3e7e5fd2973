"""GGUF files, which are converted to safetensors once and kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch

from refutable._util.atomic import new_folder
from refutable._util.hashing import key_of
from refutable._util.progress import task
from refutable._util.reading import read_json
from refutable._util.text import whole_reason
from refutable.errors import BadInput, RefutableError
from refutable.measurement.loading.accounted import check_accounted
from refutable.measurement.loading.bars import dequantising_told
from refutable.measurement.loading.room import check_room, room_to_convert
from refutable.models.file_hashes import FileHashes
from refutable.models.gguf_header import GgufHeader, check_places, read_gguf

CONVERTER_VERSION = 2
_SEAL = "sealed.json"


def converted_gguf(path: Path, digest: str, cache: Path) -> Path:
    """Convert a GGUF file to safetensors, config and tokenizer: reading it takes some 20 s each time.

    Args:
        path: the file.
        digest: its hash.
        cache: folder for what is converted.

    Raises:
        BadInput: it cannot be read.
        InstrumentError: it lacks weights, or holds some that would be left out.
        WeightsUnavailable: there is no room for the copy.
    """
    place = _place(cache, digest)
    if _is_whole(place, cache):
        return place
    from transformers import AutoModelForCausalLM, AutoTokenizer

    options = {"gguf_file": path.name, "local_files_only": True, "trust_remote_code": False}
    header = read_gguf(path)
    check_places(header)
    check_room(path.name, room_to_convert(header), cache)
    try:
        with task(f"{path.name}: converting to safetensors, once"), dequantising_told(path.stat().st_size):
            model, report = AutoModelForCausalLM.from_pretrained(
                path.parent, dtype=torch.float32, output_loading_info=True, ignore_mismatched_sizes=True, **options
            )
        with task(f"{path.name}: converting its tokenizer, once"):
            tokenizer = AutoTokenizer.from_pretrained(path.parent, **options)
    except Exception as error:  # its reader raises whatever it meets
        if isinstance(error, MemoryError | RefutableError):
            raise
        raise BadInput(
            f"{path}: transformers cannot read this GGUF file ({whole_reason(error)}); give safetensors instead"
        ) from None
    check_accounted(model, report, header.tensors, path.name, _known_names(model, header))
    with torch.device("meta"):  # save_pretrained refuses a dequantised model: its quantizer is not serialisable
        plain = type(model)(model.config)
    plain.load_state_dict(model.state_dict(), assign=True)
    plain.tie_weights()
    if hasattr(plain.config, "quantization_config"):
        del plain.config.quantization_config
    with task(f"{path.name}: writing converted weights, once"), new_folder(place) as aside:
        plain.save_pretrained(aside)
        tokenizer.save_pretrained(aside)
        _seal(aside, cache)
        _make_way(place, cache)
    return place


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
