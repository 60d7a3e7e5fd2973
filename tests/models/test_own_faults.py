"""What is wrong with a model of one's own is told in one line: where, what, what is allowed, and the fix."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from gguf_files import write_gguf
from safetensors.torch import load_file, save_file
from tiny import VARIANTS, tiny_model

import refutable
from refutable.errors import RefutableError
from refutable.measurement.loading.described import describe, gguf_config
from refutable.models.config_facts import check_config
from refutable.models.families import FAMILIES, family_of, unknown_family
from refutable.models.file_hashes import FileHashes
from refutable.models.lacking import repository_lack
from refutable.models.naming import misnamed
from refutable.models.own import Describer, is_own, with_own
from refutable.models.registry import load_registry
from refutable.models.safetensors_header import read_header
from refutable.models.weight_files import weight_files


@pytest.fixture
def describer(tmp_path: Path) -> Describer:
    return Describer(describe, gguf_config, FileHashes(tmp_path / "memo"), offline=True)


def fault(make: Callable[[], Any]) -> str:
    """Return what a call says of a fault, after checking that it is one line."""
    with pytest.raises(RefutableError) as caught:
        make()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def with_config(folder: Path, variant: str = "llama", **changes: Any) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**VARIANTS[variant].config, **changes}))
    return folder


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"rms_norm_eps": "small"}, r"field 'rms_norm_eps': .*expected float, got str \(value: 'small'\)"),
        ({"tie_word_embeddings": "maybe"}, r"field 'tie_word_embeddings': .*expected bool, got str"),
        ({"num_attention_heads": 5}, r"hidden size \(32\) is not a multiple of the number of attention heads \(5\)"),
        ({"layer_types": ["odd", "even"]}, r"must be in \('full_attention'.*but got .*'odd'"),
        ({"hidden_act": "swoosh"}, "knows no 'swoosh', which `hidden_act` asks for"),
        ({"rope_parameters": {"rope_type": "wild", "rope_theta": 1e4}}, "knows no 'wild', which `rope_parameters`"),
        ({"num_hidden_layers": "three"}, r"num_hidden_layers must be a whole number from 1 to 10,000 \(got 'three'\)"),
        ({"num_hidden_layers": 10**7}, r"num_hidden_layers must be .* \(got 10000000\)"),
        ({"hidden_size": 10**9}, r"hidden_size must be a whole number from 1 to 1,000,000 \(got 1000000000\)"),
        ({"intermediate_size": 10**18}, "intermediate_size must be a whole number from 1 to 1,000,000,000"),
        ({"intermediate_size": -5}, r"intermediate_size must be .* \(got -5\)"),
        ({"num_key_value_heads": 0}, r"num_key_value_heads must be .* \(got 0\)"),
        ({"vocab_size": 10**12}, "vocab_size must be a whole number"),
        ({"model_type": "bert"}, "unknown architecture 'bert'; known: apertus, .*extensions.families.add"),
    ],
)
def test_what_a_configuration_lacks_is_told_whole_and_with_its_file(
    changes: Mapping[str, Any], told: str, tmp_path: Path, describer: Describer
) -> None:
    folder = with_config(tmp_path / "mine", **changes)
    said = fault(lambda: describer.row(str(folder)))
    assert said.startswith(f"{folder / 'config.json'}: ")
    assert re.search(told, said), said


@pytest.mark.parametrize("value", [[[["global"], 10**9]], [[["global", "local"], "many"]], {"global": 3}, 3, [[7, 2]]])
def test_blocks_that_a_list_of_kinds_asks_for_are_counted_before_it_is_written_out(
    value: Any, tmp_path: Path, describer: Describer
) -> None:
    folder = with_config(tmp_path / "mine", "gpt_neo", attention_types=value)
    assert "attention_types must be a list of" in fault(lambda: describer.row(str(folder)))


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_no_configuration_of_a_real_shape_is_refused(variant: str) -> None:
    check_config(family_of(VARIANTS[variant].family), VARIANTS[variant].config)


@pytest.mark.parametrize(
    "known", ["bert", "mamba", "olmoe", "cohere2", "granitemoe", "qwen3_moe", "mistral3", "phimoe"]
)
def test_another_architecture_is_no_misspelling(known: str) -> None:
    assert "Did you mean" not in unknown_family(known)


@pytest.mark.parametrize(("written", "meant"), [("lama", "llama"), ("gptneox", "gpt_neox"), ("falconn", "falcon")])
def test_a_misspelling_of_an_architecture_is_corrected(written: str, meant: str) -> None:
    assert f"Did you mean '{meant}'?" in unknown_family(written)
    assert meant in FAMILIES


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


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("", "the model's name is empty; give a folder"),
        ("  ", "the model's name is empty; give a folder"),
        ("https://huggingface.co/owner/name", "write the repository alone: --model owner/name"),
        ("huggingface.co/owner/name/", "write the repository alone: --model owner/name"),
        ("https://hf.co/owner/name/tree/dev", "--model owner/name --revision dev"),
        ("https://huggingface.co/owner/name/resolve/main/a.Q4.gguf", "download the file, and give its path"),
        ("https://example.org/model", "an address, from which nothing is read; give a folder"),
        ("~/models/mine", "`~` was not written out by the shell"),
        ("owner/name@dev", "--model owner/name --revision dev"),
        ("owner/name:Q4_K_M", "download it, and give its path"),
        ("owner/name/more", "no such folder or file; give a folder"),
        ("no/such/folder", "no such folder or file; give a folder"),
        ("x" * 300 + "/y/z", "no such folder or file; give a folder"),
    ],
)
def test_a_word_that_names_no_model_is_told_how_to_write_what_it_means(
    given: str, told: str, describer: Describer
) -> None:
    assert is_own(given, load_registry())
    said = fault(lambda: describer.row(given))
    assert told in said
    assert said == misnamed(given)
    assert not said.startswith("--model"), "only pytest has that option"
    assert told in fault(lambda: describer.row_to_keep(given))


def test_a_slash_at_the_end_changes_no_model(tmp_path: Path, describer: Describer) -> None:
    folder, registry = saved(tmp_path / "mine"), load_registry()
    assert describer.row(f"{folder}/") == describer.row(str(folder))
    known = registry.named("EleutherAI/gpt-j-6b")
    assert known is not None
    assert registry.named("EleutherAI/gpt-j-6b/") is known
    assert registry.matching("EleutherAI/gpt-j-6b/") == (known,)
    assert registry.named("gpt2/") is None, "a folder, and not the model of that name"
    assert fault(lambda: describer.row("owner/name/")) == fault(lambda: describer.row("owner/name"))


def test_a_link_or_a_pipe_in_a_models_place_is_told(tmp_path: Path, describer: Describer) -> None:
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe.gguf")
    assert "a link that leads nowhere" in fault(lambda: describer.row(str(tmp_path / "loop")))
    assert "a pipe or a device" in fault(lambda: describer.row(str(tmp_path / "pipe.gguf")))


@pytest.mark.parametrize("name", ["Mine.GGUF", "Mine.Gguf"])
def test_the_case_of_a_gguf_files_ending_is_all_one(name: str, tmp_path: Path, describer: Describer) -> None:
    path = write_gguf(tmp_path / "mine.gguf", tiny_model(VARIANTS["llama"]).network).rename(tmp_path / name)
    assert is_own(name, load_registry())
    found, names = with_own(load_registry(), [str(path)], lambda: describer)
    assert found[names[0]].weights == str(path)
    assert refutable.measure(path, prompts=["$%&"]).meta["weights_kind"] == "dequantised"


def test_a_gguf_file_of_the_hubs_cache_is_called_by_its_name_and_not_by_its_hash(tmp_path: Path) -> None:
    blob = write_gguf(tmp_path / "mine.gguf", tiny_model(VARIANTS["llama"]).network).rename(tmp_path / ("a1" * 32))
    link = tmp_path / "snapshot" / "Mine.Q4.gguf"
    link.parent.mkdir()
    link.symlink_to(blob)
    assert refutable.measure(link, prompts=["$%&"]).meta["model"] == "mine.q4"


def test_a_gguf_file_of_an_unknown_architecture_or_cut_short_is_told_with_its_path(
    tmp_path: Path, describer: Describer
) -> None:
    path = write_gguf(tmp_path / "mine.gguf", tiny_model(VARIANTS["llama"]).network)
    whole = path.read_bytes()
    path.write_bytes(whole[:-500])
    assert re.search(
        r"mine.gguf: its tensors end at byte \d+, and the file has", fault(lambda: describer.row(str(path)))
    )
    path.write_bytes(whole.replace(b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0mamba"))
    assert fault(lambda: describer.row(str(path))).startswith(f"{path}: unknown architecture 'mamba'")


def test_a_file_that_may_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = saved(tmp_path / "mine")

    def refused(path: Path, *args: Any, **options: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refused)
    file = folder / "model.safetensors"
    assert fault(lambda: read_header(file)).startswith(f"{file}: cannot be read (Permission denied)")


def test_a_prompt_without_a_token_is_named(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "mine.gguf", tiny_model(VARIANTS["llama"]).network)
    said = fault(lambda: refutable.measure(path, prompts=["$%&", "  \t ok", "no letter of these"]))
    assert "mine: its tokenizer makes no token of prompt " in said
    assert "of texts ('" in said
