"""A folder or a repository that is no model is told what it lacks, and what helps."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from faults import fault
from safetensors.torch import load_file, save_file
from tiny import VARIANTS, tiny_model

import refutable
from refutable.models.describer import Describer
from refutable.models.file_hashes import FileHashes
from refutable.models.lacking import repository_lack
from refutable.models.safetensors_header import read_header
from refutable.models.weight_files import weight_files


def saved(folder: Path) -> Path:
    tiny_model(VARIANTS["llama"]).network.save_pretrained(folder)
    return folder


def drop_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def drop_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def leave_an_adapter(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "gpt2"}')
    (folder / "adapter_model.safetensors").write_bytes(b"")


def leave_an_adapter_and_a_config(folder: Path) -> None:
    config = (folder / "config.json").read_bytes()
    leave_an_adapter(folder)
    (folder / "config.json").write_bytes(config)


def leave_gguf(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    (folder / "Q4.GGUF").write_bytes(b"GGUF")


def leave_other_weights(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "tf_model.h5")


def link_to_nowhere(folder: Path) -> None:
    drop_weights(folder)
    (folder / "model.safetensors").symlink_to("model.safetensors")


def make_a_folder_of_the_config(folder: Path) -> None:
    drop_config(folder)
    (folder / "config.json").mkdir()


def empty_index(folder: Path) -> None:
    drop_weights(folder)
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {}}')


def pointer_of_lfs(folder: Path) -> None:
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n")


def pointer_of_lfs_in_a_bin_file(folder: Path) -> None:
    drop_weights(folder)
    (folder / "pytorch_model.bin").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n")


def pointer_of_lfs_for_a_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.model").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n")


def unpicklable(folder: Path) -> None:
    drop_weights(folder)
    (folder / "pytorch_model.bin").write_bytes(b"no tensors at all")


def one_tensor_less(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("model.norm.weight")
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def of_another_vocabulary(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": 77}))


BROKEN: Mapping[Callable[[Path], None], str] = {
    drop_config: "holds no config.json; give a folder",
    drop_weights: "holds neither model.safetensors nor pytorch_model.bin, nor an index of their shards; give a folder",
    leave_an_adapter: r"an adapter, and no model .*--adapter \S+, with --model of .*\(it names 'gpt2'\)",
    leave_an_adapter_and_a_config: r"an adapter, and no model .*--adapter \S+, with --model",
    leave_gguf: r"holds only GGUF files \(Q4.GGUF\); give the file: \S+/mine/Q4.GGUF",
    leave_other_weights: "holds neither .*; what it holds is not read: tf_model.h5",
    link_to_nowhere: "model.safetensors is a link that leads to no file",
    make_a_folder_of_the_config: "holds no config.json; config.json is a folder",
    empty_index: "model.safetensors.index.json: names no files of weights",
    pointer_of_lfs: "model.safetensors: a pointer of Git LFS, not the file; run `git lfs pull`",
    pointer_of_lfs_in_a_bin_file: "pytorch_model.bin: a pointer of Git LFS, not the file",
    pointer_of_lfs_for_a_tokenizer: "tokenizer.model: a pointer of Git LFS, not the file",
    unpicklable: "pytorch_model.bin: cannot be read .it is no file of tensors alone",
    one_tensor_less: r"1 weight missing from the files \(model.norm.weight\)",
    of_another_vocabulary: r"embed_tokens.weight is \[64, 32\] in the files and \[77, 32\] by the configuration",
}


@pytest.mark.parametrize("spoil", BROKEN, ids=lambda one: one.__name__)
def test_what_is_wrong_with_a_folder_is_told_with_its_place(spoil: Callable[[Path], None], tmp_path: Path) -> None:
    folder = saved(tmp_path / "mine")
    spoil(folder)
    said = fault(lambda: refutable.measure(folder, prompts=["ab"], offline=True))
    assert str(folder) in said
    assert re.search(BROKEN[spoil], said), said
    assert "weights_only" not in said, "nobody is advised to unpickle what was not looked at"


def test_weights_by_themselves_need_no_configuration(tmp_path: Path) -> None:
    folder = saved(tmp_path / "mine")
    drop_config(folder)
    assert weight_files(folder)[1] == "safetensors"
    drop_weights(folder)
    assert "config.json" not in fault(lambda: weight_files(folder))


@pytest.mark.parametrize(
    ("names", "told", "fix"),
    [
        (["config.json"], "holds neither model.safetensors nor", ""),
        (["model.safetensors"], "holds no config.json", ""),
        (["README.md", "a.Q4_K_M.gguf"], "holds only GGUF files (a.Q4_K_M.gguf)", "--model a.Q4_K_M.gguf"),
        (["config.json", "sub/b.gguf"], "holds only GGUF files (sub/b.gguf)", "--model b.gguf"),
        (["adapter_config.json", "adapter_model.safetensors"], "holds an adapter", "by --adapter"),
        (["config.json", "flax_model.msgpack"], "is not read: flax_model.msgpack", ""),
    ],
)
def test_what_a_repository_lacks_is_told(names: list[str], told: str, fix: str) -> None:
    lack = repository_lack(names, weights="model.safetensors" in names)
    assert lack is not None
    assert told in lack.what
    assert fix in lack.fix
    assert repository_lack(["config.json", "model.safetensors"], weights=True) is None


@pytest.mark.parametrize("read", [read_header, lambda file: FileHashes(file.parent / "memo").of_files([file])])
def test_a_file_that_may_not_be_read_is_told(
    read: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file := tmp_path / "model.safetensors").write_bytes(b"whole")
    monkeypatch.setattr(Path, "open", refused)
    assert fault(lambda: read(file)).startswith(f"{file}: cannot be read (Permission denied); check the path")


def test_a_folder_that_may_not_be_listed_is_told(
    tmp_path: Path, describer: Describer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "iterdir", refused)
    assert fault(lambda: describer.row(str(tmp_path))).startswith(f"{tmp_path}: cannot be listed (Permission denied)")


def refused(path: Path, *args: Any, **options: Any) -> Any:
    """Do what the system does of another's file; to root, who may run these tests, it refuses nothing."""
    raise PermissionError(13, "Permission denied", str(path))
