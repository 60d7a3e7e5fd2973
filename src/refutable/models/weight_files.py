"""Which files of a folder are a model's weights and its tokenizer, and whether they are all there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from refutable._util.reading import MEGABYTE, is_file, read_json
from refutable.errors import BadInput
from refutable.models.lacking import folder_lack

MAX_INDEX = 64 * MEGABYTE
TOKENIZER_FILES = (  # every name that a tokenizer of transformers reads
    "tokenizer*",
    "vocab*",
    "merges*",
    "*.model",
    "*.tiktoken",
    "*.bpe",
    "encoder.json",
    "tekken.json",
    "added_tokens.json",
    "special_tokens_map.json",
)
CHAT_TEMPLATE = "chat_template.jinja"  # beside them in newer folders; no part of how text is cut
_ADAPTERS = ("adapter_config.json", "adapter_model*")


def weight_files(folder: Path) -> tuple[list[Path], Literal["safetensors", "bin"]]:
    """Return the files of a directory that transformers would read, and their form.

    Raises:
        BadInput: there are none, a shard that their index names is missing or lies elsewhere, or an adapter lies beside
            them, which would be left out.
    """
    lack = folder_lack(folder, config=False)
    if lack:
        raise BadInput(lack)
    adapters = sorted(path.name for pattern in _ADAPTERS for path in folder.glob(pattern))
    if adapters:
        raise BadInput(
            f"{folder}: an adapter ({', '.join(adapters)}) lies beside the weights and would be left out; move it to a"
            " folder of its own, and give that by --adapter"
        )
    forms: tuple[tuple[str, Literal["safetensors", "bin"]], ...] = (
        ("model.safetensors", "safetensors"),
        ("pytorch_model.bin", "bin"),
    )
    for name, form in forms:
        if (folder / name).is_file():
            if (folder / f"{name}.index.json").is_file():
                raise BadInput(
                    f"{folder}: holds both {name} and an index of shards; remove what is left of an earlier save"
                )
            return [folder / name], form
        if (folder / f"{name}.index.json").is_file():
            return _shards(folder / f"{name}.index.json"), form
    raise AssertionError("unreachable")


def shard_names(index: Path) -> list[str]:
    """Return the files that an index of shards names.

    Raises:
        BadInput: it is none, or names a file outside its folder.
    """
    try:
        names = sorted(set(read_json(index, most=MAX_INDEX, fix="fetch it again")["weight_map"].values()))
        elsewhere = [name for name in names if Path(name).name != name]
    except (TypeError, KeyError, AttributeError):
        raise BadInput(f"{index}: not an index of shards; fetch it again") from None
    if elsewhere:
        raise BadInput(f"{index}: names a file outside its folder ({elsewhere[0]!r}); fetch it again")
    return names


def _shards(index: Path) -> list[Path]:
    files = [index.parent / name for name in shard_names(index)]
    missing = [file.name for file in files if not is_file(file)]
    if not files:
        raise BadInput(f"{index}: names no files of weights; fetch it again")
    if missing:
        raise BadInput(
            f"{index}: {len(missing)} of its {len(files)} files are missing ({', '.join(missing[:3])});"
            " fetch them again"
        )
    return files


def tokenizer_files(folder: Path) -> list[Path]:
    """Return the files of a folder that its tokenizer is made from; none where it has no tokenizer."""
    return sorted({path for path in _named(folder) if path.is_file()})


def _named(folder: Path) -> Iterator[Path]:
    for pattern in TOKENIZER_FILES:
        yield from folder.glob(pattern)
