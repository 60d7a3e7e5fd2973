"""Reads ``.bin`` files where they lie: mapped into memory, unpickled only with ``weights_only=True``."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Sequence
from pathlib import Path

import torch

from refutable._util.text import whole_reason
from refutable.errors import BadInput
from refutable.measurement.loading.read_fast import DTYPES
from refutable.models.safetensors_header import StoredTensor

_WORDS = {dtype: word for word, dtype in DTYPES.items()} | {
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
}


def is_mapped(file: Path) -> bool:
    """Whether a file can be mapped: those older than torch 1.6 are no zip archives, and are read into memory."""
    return zipfile.is_zipfile(file)


def map_tensors(files: Sequence[Path]) -> dict[str, torch.Tensor]:
    """Return every tensor of some files by name, on the CPU, in its own dtype; mapped pages cost no memory.

    Raises:
        BadInput: a file cannot be read, holds something else than tensors by name, or a name that another has too.
    """
    tensors: dict[str, torch.Tensor] = {}
    for file in files:
        try:
            loaded = torch.load(file, map_location="cpu", weights_only=True, mmap=is_mapped(file))
        except Exception as error:
            if isinstance(error, MemoryError):
                raise
            raise BadInput(f"{file}: cannot be read ({_reason(error)}); fetch it again, or give safetensors") from None
        if not isinstance(loaded, dict) or not all(_is_plain(name, tensor) for name, tensor in loaded.items()):
            raise BadInput(f"{file}: holds no tensors by name; give the weights that `save_pretrained` writes")
        twice = sorted(tensors.keys() & loaded.keys())
        if twice:
            raise BadInput(f"{file}: holds {twice[0]!r}, which another shard holds too; fetch them again")
        tensors |= {name: tensor.contiguous() for name, tensor in loaded.items()}
    return tensors


def stored_of(tensors: dict[str, torch.Tensor]) -> dict[str, StoredTensor]:
    """Return what the header of a safetensors file would say of tensors; where they begin is nobody's business."""
    return {
        name: StoredTensor(_WORDS.get(one.dtype, str(one.dtype)), tuple(one.shape), 0, one.nbytes)
        for name, one in tensors.items()
    }


def _reason(error: Exception) -> str:
    """Return what torch says is wrong, without its advice to unpickle what nobody has looked at."""
    if not isinstance(error, pickle.UnpicklingError):
        return whole_reason(error)
    return "it is no file of tensors alone, and nothing else is unpickled"


def _is_plain(name: object, tensor: object) -> bool:
    """Whether an entry of a .bin file is a tensor by its name, with values, and neither sparse nor quantised."""
    if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
        return False
    return tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_meta
