"""The hub, by its real client, from a stand-in on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants
from stand_in import MEMBER, Fault, Hub, serving
from tiny import VARIANTS, row_of, tiny_model
from tokenizers import Tokenizer, models, pre_tokenizers

from refutable.errors import WeightsUnavailable
from refutable.measurement.loading.load import load_model
from refutable.measurement.passes.forward import run_pass
from refutable.models.subject import Subject, WeightsKind
from refutable.models.weights import Finder
from refutable.prompts.in_memory import prompts_from

NAMED = Subject("tiny", named=True)
ROW = row_of(VARIANTS["llama"], hub="owner/tiny")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Serve a hub with one whole repository, to a client with an empty cache and no token."""
    folder = tmp_path / "repos" / "owner" / "tiny"
    tiny_model(VARIANTS["llama"]).network.save_pretrained(folder)
    tokenizer = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate("abcdefgh ")}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "")
    with serving(tmp_path / "repos") as served:
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, served.endpoint)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "ENDPOINT", served.endpoint)
        yield served


def test_a_model_that_was_named_is_fetched_measured_and_not_asked_for_again(
    hub: Hub, finder: Finder, tmp_path: Path
) -> None:
    source = finder.find(ROW, NAMED)
    assert (source.kind, source.tokens) == (WeightsKind.PRETRAINED, "own tokenizer")
    assert source.revision == hub.commit("owner/tiny")
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= hub.fetched()
    model = load_model(ROW, NAMED, source, tmp_path / "cache")
    assert run_pass(model, prompts_from(["ab", "abc"]).prompts, "key", {}).blocks.num_rows == 15
    hub.requests.clear()
    assert finder.find(ROW, NAMED) == source
    assert hub.requests == []


def test_a_gated_repository_is_for_members_and_the_token_stays_with_the_hub(
    hub: Hub, finder: Finder, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.gated = {"owner/tiny"}
    with pytest.raises(WeightsUnavailable, match="owner/tiny is gated"):
        finder.find(ROW, NAMED)
    monkeypatch.setenv("HF_TOKEN", MEMBER)
    assert finder.find(ROW, NAMED).form == "safetensors"
    assert any(request.token for request in hub.requests)
    assert not any(request.token for request in hub.requests if request.elsewhere)


def test_the_stand_in_can_send_what_is_wrong(hub: Hub) -> None:
    """So that the tests above, and those to come, have something to see."""
    from huggingface_hub import hf_hub_download

    hub.faults = [Fault("GET /cdn/.*safetensors", spoil=1000)]
    path = Path(hf_hub_download("owner/tiny", "model.safetensors", endpoint=hub.endpoint))
    sent, right = path.read_bytes(), (hub.root / "owner" / "tiny" / "model.safetensors").read_bytes()
    assert (len(sent), sent[:1000]) == (len(right), right[:1000])
    assert set(sent[1000:]) == {0} != set(right[1000:])
