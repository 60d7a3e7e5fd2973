"""What a folder or a repository lacks to be a model, and what can be done with what it holds."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from refutable._util.reading import is_file, names_in, read_json
from refutable._util.text import few, shortened
from refutable.errors import BadInput
from refutable.models.naming import is_gguf

ADAPTER = "adapter_config.json"
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_NO_WEIGHTS = f"neither {' nor '.join(_WEIGHTS)}, nor an index of their shards"
_IS_ADAPTER = "holds an adapter, and no model of its own"
_OF_OTHER_READERS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".onnx", ".npz")


class Lack(NamedTuple):
    """What is lacking, and the fix where what is there can be used in another way; empty where it cannot."""

    what: str
    fix: str = ""


def repository_lack(names: Collection[str], *, weights: bool) -> Lack | None:
    """Return what a repository lacks to be a model of transformers; None if nothing.

    Args:
        names: its files.
        weights: whether those that a run reads are among them.
    """
    if "config.json" in names and weights:
        return None
    if ADAPTER in names and not weights:
        return Lack(
            _IS_ADAPTER,
            "download it, and give its folder by --adapter, with --model of the model that it was trained on",
        )
    if (files := _gguf(names)) and not weights:
        told = f"holds only GGUF files ({few(files)})"
        return Lack(told, f"download one, and give the file: --model {Path(files[0]).name}")
    return Lack(_held(names, config="config.json" in names, weights=weights))


def folder_lack(folder: Path, *, config: bool = True) -> str:
    """Return what a folder lacks to be a model of transformers, and the fix; empty if it lacks nothing.

    Args:
        folder: as `save_pretrained` writes it.
        config: whether it needs a config.json.
    """
    names = [name for name in names_in(folder) if is_file(folder / name)]
    weights = any(name in names or f"{name}.index.json" in names for name in _WEIGHTS)
    described = not config or "config.json" in names
    if described and weights:
        return ""
    if ADAPTER in names and not weights:
        return (
            f"{folder}: {_IS_ADAPTER}; give it by --adapter {folder}, with --model of the model that it was trained"
            f" on{_base(folder)}"
        )
    if (files := _gguf(names)) and not weights:
        return f"{folder}: holds only GGUF files ({few(files)}); give the file: {folder / files[0]}"
    told = (_held(names, config=described, weights=weights), *_no_files(folder))
    return f"{folder}: {'; '.join(told)}; give a folder as `save_pretrained` writes it"


def _held(names: Collection[str], *, config: bool, weights: bool) -> str:
    """Return which needed files are not there, and which weights are that nothing here reads."""
    missing = " and ".join((*(() if config else ("no config.json",)), *(() if weights else (_NO_WEIGHTS,))))
    others = [] if weights else [name for name in sorted(names) if name.endswith(_OF_OTHER_READERS)]
    return f"holds {missing}" + (f"; what it holds is not read: {few(others)}" if others else "")


def _no_files(folder: Path) -> Iterator[str]:
    """Yield what lies where a file should, and is none."""
    for name in ("config.json", *_WEIGHTS):
        path = folder / name
        if path.is_symlink() and not is_file(path):
            yield f"{name} is a link that leads to no file"
        elif path.is_dir():
            yield f"{name} is a folder"


def _gguf(names: Collection[str]) -> list[str]:
    return sorted(filter(is_gguf, names))


def _base(folder: Path) -> str:
    """Return in words which model an adapter names as the one that it was trained on, if it names one."""
    with suppress(BadInput, KeyError, TypeError):
        return f" (it names {shortened(repr(str(read_json(folder / ADAPTER)['base_model_name_or_path'])))})"
    return ""
