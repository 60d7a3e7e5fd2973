"""The hub, by its real client, from a stand-in on this machine: what is fetched, what is believed, what is said."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from heard import Heard
from huggingface_hub import constants
from safetensors.torch import load_file
from stand_in import MEMBER, OUTSIDER, Fault, Hub, serving
from tiny import VARIANTS, row_of, tiny_model
from tokenizers import Tokenizer, models, pre_tokenizers

from refutable._util.progress import BYTES, listening
from refutable.errors import BadInput, HubUnreachable, NotMeasured, WeightsUnavailable
from refutable.measurement.loading.completed import complete, gguf_config
from refutable.measurement.loading.load import load_model
from refutable.measurement.passes.forward import run_pass
from refutable.models.describer import Describer
from refutable.models.file_hashes import FileHashes
from refutable.models.hub_cache import snapshot_folder
from refutable.models.registry import is_own_commit
from refutable.models.row import ModelRow
from refutable.models.subject import Subject, WeightsKind, WeightsSource
from refutable.models.weights import Finder
from refutable.prompts.in_memory import prompts_from

NAMED = Subject("tiny", named=True)
PROMPTS = prompts_from(["ab", "abc a"]).prompts
FILES = {"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"}


def repository(root: Path, name: str, variant: str = "llama") -> Path:
    """Write a whole small model, as a repository holds it, with files that nobody wants."""
    folder = root / "owner" / name
    tiny_model(VARIANTS[variant]).network.save_pretrained(folder)
    tokenizer = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate("abcdefgh ")}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    for unwanted in ("README.md", "model.fp16.safetensors", "flax_model.msgpack", "generation_config.json"):
        (folder / unwanted).write_bytes(b"unwanted" * 1000)
    return folder


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Serve a hub with one repository, to a client with an empty cache and no token."""
    repository(tmp_path / "repos", "tiny")
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.005)))  # the client waits between its tries
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with serving(tmp_path / "repos") as served:
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, served.endpoint)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "ENDPOINT", served.endpoint)
        yield served


def row(name: str = "tiny", **changes: Any) -> ModelRow:
    return row_of(VARIANTS["llama"], name, hub=f"owner/{name}", **changes)


def measured(source: WeightsSource, cache: Path, of: ModelRow | None = None) -> list[float]:
    model = load_model(of or row(), NAMED, source, cache)
    return run_pass(model, PROMPTS, "key", {}).blocks["norm.block_output"].to_pylist()


def test_exactly_what_a_run_reads_is_fetched_and_a_rerun_asks_nothing(hub: Hub, finder: Finder, tmp_path: Path) -> None:
    first = finder.find(row(), NAMED)
    assert hub.fetched() == FILES
    hub.requests.clear()
    again = Finder(FileHashes(finder.hashes.folder), finder.device).find(row(), NAMED)
    assert hub.requests == []
    assert again == first
    assert first.tokens == "own tokenizer"
    assert first.revision == hub.commit("owner/tiny")
    assert measured(first, tmp_path) == measured(again, tmp_path)


def test_what_was_fetched_is_named(hub: Hub, finder: Finder) -> None:
    commit = hub.commit("owner/tiny")
    for revision, told in ((None, "not pinned"), (commit, ""), ("0" * 40, "not the row's pinned commit")):
        source = finder.find(row(revision=revision), replace(NAMED, revision=commit))
        assert source.kind is (WeightsKind.PRETRAINED if revision == commit else WeightsKind.HUB)
        assert f"owner/tiny at {commit[:12]}" in source.detail
        assert told in source.detail
        assert hub.endpoint in source.detail
        assert "moved" not in source.detail


def test_another_repository_under_a_packaged_name_is_not_the_model(hub: Hub, finder: Finder) -> None:
    commit = hub.commit("owner/tiny")
    assert not is_own_commit(row().model_copy(update={"name": "gptj", "revision": commit}), commit)
    digest = finder.hashes.sha256(hub.root / "owner" / "tiny" / "model.safetensors")
    known = finder.find(row(sha256={"model.safetensors": digest}), NAMED)
    assert (known.kind, "hashes as registered" in known.detail) == (WeightsKind.PRETRAINED, True)


def test_that_main_has_moved_is_told_once_and_remembered(hub: Hub, finder: Finder) -> None:
    pinned = "1" * 40
    hub.past["owner/tiny"] = pinned
    for _ in range(2):
        source = Finder(finder.hashes, finder.device).find(row(revision=pinned), NAMED)
        assert source.detail.split(", ")[1:3] == [f"owner/tiny at {pinned[:12]}", "main has moved since"]
        assert source.kind is WeightsKind.PRETRAINED
    assert finder.find(row(), NAMED).revision == hub.commit("owner/tiny")


def test_what_is_fetched_is_told_while_it_is(hub: Hub, finder: Finder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refutable.models.hub.EVERY", 0.02)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 4096)
    size = sum((hub.root / "owner" / "tiny" / name).stat().st_size for name in FILES)
    hub.faults.append(Fault("GET .*model.safetensors", pause=0.1))
    heard, said = Heard(), f"tiny: fetching 4 files of owner/tiny at {hub.commit('owner/tiny')[:12]}"
    with listening(heard):
        finder.find(row(), NAMED)
    assert heard.lines == [f"{said} ({size / 1e6:.1f} MB)"]
    weights = next(task for task in heard.tasks if task.name == "tiny: fetching model.safetensors")
    assert (weights.done, weights.fraction, weights.unit) == (weights.total, 1.0, BYTES)


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("form", ["safetensors", "bin"])
def test_shards_and_bin_files_are_fetched_in_one_form(form: str, shards: int, hub: Hub, finder: Finder) -> None:
    folder = hub.root / "owner" / "tiny"
    tensors = load_file(folder / "model.safetensors")
    if form == "safetensors":
        torch.save(tensors, folder / "pytorch_model.bin")  # beside safetensors nobody wants it
        if shards > 1:
            (folder / "model.safetensors").unlink()
            tiny_model(VARIANTS["llama"]).network.save_pretrained(folder, max_shard_size="40KB")
    else:
        (folder / "model.safetensors").unlink()
        torch.save(tensors, folder / "pytorch_model.bin")
    source = finder.find(row(), NAMED)
    assert source.form == form
    weights = {name for name in hub.fetched() if name.endswith((".safetensors", ".bin", ".index.json"))}
    assert "model.fp16.safetensors" not in weights
    assert all(name.startswith("model" if form == "safetensors" else "pytorch_model") for name in weights)
    assert len(weights) == 1 or (form == "safetensors" and "model.safetensors.index.json" in weights)


FAULTS = {
    "status 500": {"status": 500},
    "status 503": {"status": 503},
    "status 429": {"status": 429},
    "closed": {"end": 30, "how": "close"},
    "reset": {"end": 30, "how": "reset"},
    "short": {"end": 30, "how": "short"},
    "spoiled": {"spoil": 30},
    "HTML": {"status": 200, "body": "<html>maintenance</html>"},
}


@pytest.mark.parametrize("name", sorted(FILES))
@pytest.mark.parametrize("fault", FAULTS)
def test_no_fault_leaves_weights_and_a_healthy_rerun_is_a_clean_one(
    name: str, fault: str, hub: Hub, finder: Finder, tmp_path: Path
) -> None:
    hub.faults = [Fault(f"GET .*/{name}", **FAULTS[fault])]
    with pytest.raises(WeightsUnavailable, match="tiny") as caught:
        finder.find(row(), NAMED)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value) or fault == "HTML"
    hub.faults, hub.requests = [], []
    mended = Finder(FileHashes(finder.hashes.folder), finder.device).find(row(), NAMED)
    assert name in hub.fetched(), "what failed is what is asked for next"
    shutil.rmtree(tmp_path / "hf")
    clean = Finder(FileHashes(tmp_path / "other"), finder.device).find(row(), NAMED)
    assert measured(mended, tmp_path / "a") == measured(clean, tmp_path / "b")


@pytest.mark.parametrize("fault", ["status 503", "reset", "closed", "spoiled"])
def test_a_fault_that_passes_is_not_noticed(fault: str, hub: Hub, finder: Finder) -> None:
    hub.faults = [Fault("GET .*/model.safetensors", times=1, **FAULTS[fault])]
    assert finder.find(row(), NAMED).form == "safetensors"


def test_a_fault_of_one_model_leaves_the_others(hub: Hub, finder: Finder) -> None:
    repository(hub.root, "other")
    hub.faults = [Fault("owner/tiny", status=503)]
    with pytest.raises(WeightsUnavailable, match="tiny: the hub answered 503"):
        finder.find(row(), NAMED)
    assert finder.find(row("other"), Subject("other", named=True)).kind is WeightsKind.HUB


def test_a_hub_that_nobody_reaches_is_not_asked_again(
    hub: Hub, finder: Finder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(HubUnreachable, match="cannot be reached"):
        finder.find(row(), NAMED)
    assert len(finder.unreachable) == 1
    with pytest.raises(HubUnreachable):
        finder.find(row("other"), Subject("other", named=True))


@pytest.mark.parametrize("wrong", ["zeros", "cut", "flipped"])
def test_a_cache_that_was_damaged_is_not_believed(wrong: str, hub: Hub, finder: Finder) -> None:
    source = finder.find(row(), NAMED)
    assert source.location is not None
    blob = (source.location / "model.safetensors").resolve()
    whole = blob.read_bytes()
    spoiled = {"zeros": whole[:-4000] + bytes(4000), "cut": whole[:-1], "flipped": whole[:-1] + bytes([whole[-1] ^ 1])}
    blob.write_bytes(spoiled[wrong])
    offline = Finder(FileHashes(finder.hashes.folder), finder.device, offline=True)
    with pytest.raises(WeightsUnavailable, match=r"model\.safetensors is damaged"):
        offline.find(row(), NAMED)
    assert finder.find(row(), NAMED) == source
    assert blob.read_bytes() == whole


def test_a_snapshot_that_somebody_else_left_in_part_is_completed(hub: Hub, finder: Finder) -> None:
    from huggingface_hub import snapshot_download

    snapshot_download("owner/tiny", allow_patterns=["config.json", "model.safetensors"])
    offline = Finder(FileHashes(finder.hashes.folder), finder.device, offline=True)
    with pytest.raises(NotMeasured, match=r"tokenizer\.json is missing"):
        offline.find(row(), NAMED)
    hub.requests.clear()
    assert finder.find(row(), NAMED).tokens == "own tokenizer"
    assert hub.fetched() == {"tokenizer.json", "tokenizer_config.json"}


def test_each_caller_is_told_what_stands_in_the_way(hub: Hub, finder: Finder, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.gated = {"owner/tiny"}
    for token, told in (
        ("", "no token was given"),
        (OUTSIDER, "your token is not on its list"),
        ("hf_expired", "the token is not valid"),
    ):
        monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(WeightsUnavailable, match=told) as caught:
            finder.find(row(), NAMED)
        assert not token or token not in str(caught.value)
    monkeypatch.setenv("HF_TOKEN", MEMBER)
    hub.requests.clear()
    assert finder.find(row(), NAMED).kind is WeightsKind.HUB
    assert any(request.token for request in hub.requests)
    assert not any(request.token for request in hub.requests if request.elsewhere), "the token stays with the hub"


def test_trained_weights_without_a_tokenizer_are_not_measured(hub: Hub, finder: Finder) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (hub.root / "owner" / "tiny" / name).unlink()
    with pytest.raises(NotMeasured, match="stand-in tokens are not for trained weights"):
        finder.find(row(), NAMED)


def test_a_repository_of_another_shape_is_an_error_before_anything_is_measured(hub: Hub, finder: Finder) -> None:
    config = hub.root / "owner" / "tiny" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "num_hidden_layers": 4}))
    with pytest.raises(Exception, match="layers is 4, and tiny has 3"):
        finder.find(row(), NAMED)


def test_the_hub_is_asked_for_a_model_that_was_named_and_never_offline(hub: Hub, finder: Finder) -> None:
    with pytest.raises(WeightsUnavailable, match="tiny is not at hand and was not named") as caught:
        finder.find(row(), Subject("tiny"))
    assert caught.value.fix == "pytest --model tiny"
    offline = Finder(finder.hashes, finder.device, offline=True)
    with pytest.raises(WeightsUnavailable, match="not in the cache and --offline was given"):
        offline.find(row(), NAMED)
    assert hub.requests == []


def test_the_revision_that_was_asked_for_is_the_one_that_is_fetched(hub: Hub, finder: Finder) -> None:
    commit = hub.commit("owner/tiny")
    assert finder.find(row(revision="f" * 40), replace(NAMED, revision=commit)).revision == commit
    for of, subject in ((row(), replace(NAMED, revision="f" * 40)), (row(revision="f" * 40), NAMED)):
        with pytest.raises(WeightsUnavailable, match=f"the hub has no revision '{'f' * 40}' of owner/tiny"):
            finder.find(of, subject)
    with pytest.raises(WeightsUnavailable, match="the hub has no owner/none"):
        finder.find(row("none"), Subject("none", named=True))


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_a_damaged_config_of_a_repository_without_a_row_is_not_believed(damage: str, hub: Hub, finder: Finder) -> None:
    describer = Describer(complete, gguf_config, finder.hashes)
    first = describer.row("owner/tiny")
    blob = (snapshot_folder("owner/tiny", hub.commit("owner/tiny")) / "config.json").resolve()
    text = blob.read_text()
    blob.write_text(
        text[:40] if damage == "cut" else text.replace('"initializer_range": 0.2', '"initializer_range": 0.9')
    )
    assert blob.read_text() != text
    with pytest.raises(BadInput, match="or is damaged there, and --offline was given"):
        replace(describer, offline=True).row("owner/tiny")
    assert describer.row("owner/tiny") == first
    assert blob.read_text() == text
    hub.requests.clear()
    assert describer.row("owner/tiny") == first
    assert hub.requests == []


@pytest.mark.parametrize("first", ["described", "fetched with a row of its own"])
def test_what_the_hub_said_of_a_repository_is_not_forgotten(
    first: str, hub: Hub, finder: Finder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", MEMBER)
    hub.gated, hub.tags = {"owner/tiny"}, {"owner/tiny": ["region:us", "license:apache-2.0"]}
    describer = Describer(complete, gguf_config, finder.hashes)
    if first == "described":
        describer.row("owner/tiny")
    else:
        finder.find(row(), NAMED)
    hub.requests.clear()
    again = describer.row("owner/tiny")
    assert hub.requests == []
    assert (again.licence, again.gated, again.organisation) == ("apache-2.0", True, "owner")


def test_a_snapshot_that_somebody_else_left_has_the_licence_of_its_card(hub: Hub, finder: Finder) -> None:
    describer = Describer(complete, gguf_config, finder.hashes)
    describer.row("owner/tiny")
    (folder := snapshot_folder("owner/tiny", hub.commit("owner/tiny"))).joinpath("README.md").write_text(
        "---\nlicense: mit\n---\n"
    )
    for record in finder.hashes.folder.glob("hub/**/*.json"):
        record.unlink()
    assert folder.is_dir()
    found = describer.row("owner/tiny")
    assert (found.licence, found.gated) == ("mit", False)


@pytest.mark.parametrize("record", ["", "[]", '{"licence": 3, "gated": "yes"}', '{"gated": true}'])
def test_a_damaged_record_of_a_card_says_nothing(record: str, hub: Hub, finder: Finder) -> None:
    hub.tags = {"owner/tiny": ["license:mit"]}
    describer = Describer(complete, gguf_config, finder.hashes)
    assert describer.row("owner/tiny").licence == "mit"
    (card,) = finder.hashes.folder.glob("hub/**/*-card.json")
    card.write_text(record)
    found = describer.row("owner/tiny")
    assert (found.licence, found.gated) == ("-", False)


@pytest.mark.parametrize(
    ("files", "told", "fix"),
    [
        (["a.Q4.gguf", "README.md"], r"holds only GGUF files \(a.Q4.gguf\)", "give the file: --model a.Q4.gguf"),
        (["adapter_config.json", "adapter_model.safetensors"], "holds an adapter, and no model", "by --adapter, with"),
        (["README.md"], "holds no config.json and neither model.safetensors nor", "pytest --model PATH"),
        (["model.safetensors"], "holds no config.json", "pytest --model PATH"),
    ],
)
def test_a_repository_that_is_no_model_is_told_what_it_holds(
    files: list[str], told: str, fix: str, hub: Hub, finder: Finder
) -> None:
    folder = hub.root / "owner" / "odd"
    folder.mkdir()
    for name in files:
        (folder / name).write_bytes(b"odd")
    with pytest.raises(BadInput, match=f"^owner/odd: the repository {told}") as described:
        Describer(complete, gguf_config, finder.hashes).row("owner/odd")
    with pytest.raises(WeightsUnavailable, match=told) as found:
        finder.find(row("odd"), Subject("odd", named=True))
    assert fix in str(described.value)
    assert fix.replace("--model PATH", "--model odd --weights PATH") in found.value.fix


def test_a_revision_that_is_not_there_is_named_whoever_asks_for_it(hub: Hub, finder: Finder) -> None:
    describer = Describer(complete, gguf_config, finder.hashes, revision="nobranch")
    told = "the hub has no revision 'nobranch' of owner/tiny"
    with pytest.raises(WeightsUnavailable, match=told) as caught:
        describer.row("owner/tiny")
    assert caught.value.fix.startswith("pytest --model owner/tiny, with a branch, tag or commit")
    with pytest.raises(WeightsUnavailable, match=told):
        finder.find(row(), replace(NAMED, revision="nobranch"))
    with pytest.raises(BadInput, match=r"config\.json at revision 'nobranch' is not in the hub's cache"):
        replace(describer, offline=True).row("owner/tiny")
    with pytest.raises(WeightsUnavailable, match="tiny at revision 'nobranch' is not in the cache"):
        Finder(finder.hashes, finder.device, offline=True).find(row(), replace(NAMED, revision="nobranch"))


@pytest.mark.parametrize("status", [404, 500])
def test_what_is_advised_can_help_the_model_that_was_asked_for(status: int, hub: Hub, finder: Finder) -> None:
    hub.faults.append(Fault("GET .*owner/tiny", status=status))
    with pytest.raises(WeightsUnavailable) as own:
        Describer(complete, gguf_config, finder.hashes).row("owner/tiny")
    assert "--weights" not in own.value.fix, "there is no row that these weights could be held against"
    assert "pytest --model PATH, the path of a copy" in own.value.fix
    with pytest.raises(WeightsUnavailable) as known:
        finder.find(row(), NAMED)
    assert "pytest --model tiny --weights PATH" in known.value.fix
    with pytest.raises(WeightsUnavailable) as adding:
        Describer(complete, gguf_config, finder.hashes).row_to_keep("owner/tiny")
    assert "refutable models add owner/tiny" in adding.value.fix
