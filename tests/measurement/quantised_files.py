"""Folders of weights of which one matrix is stored in another dtype."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def store_one(folder: Path, dtype: str) -> None:
    """Store the first matrix of a block of the folder's model in a dtype; the values do not matter."""
    file = folder / "model.safetensors"
    tensors = load_file(file)
    name = next(name for name in sorted(tensors) if name.endswith("_proj.weight"))
    tensors[name] = tensors[name].to(getattr(torch, dtype))
    save_file(tensors, file, metadata={"format": "pt"})
