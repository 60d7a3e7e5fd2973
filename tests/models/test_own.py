"""A model without a row: a folder or a GGUF file says itself what it is, and its numbers are an independent loop's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf_files import write_gguf
from tiny import VARIANTS, row_of, tiny_model
from tokenizers import Tokenizer, models, pre_tokenizers

import refutable
from refutable.errors import BadInput, NotMeasured
from refutable.models.describer import Describer
from refutable.models.device import Device
from refutable.models.families import family_of
from refutable.models.own import is_own, with_own
from refutable.models.registry import ModelRegistry, load_registry
from refutable.models.selection import select
from refutable.models.selector import Selector
from refutable.models.subject import Subject
from refutable.models.weights import Finder

FAMILIES = ("gpt2", "gpt_neox-parallel", "gptj", "llama-tied", "gemma2", "opt", "falcon-7b")
TEXTS = ["ab", "abc a", "fed cba", "a b c d e f"]
LETTERS = {letter: number for number, letter in enumerate("abcdefgh ")}
CPU = Device("cpu", "a CPU", 1 << 50)


def saved(variant: str, folder: Path) -> Path:
    tiny_model(VARIANTS[variant]).network.save_pretrained(folder)
    tokenizer = Tokenizer(models.BPE(vocab=LETTERS, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    return folder


def last_gains(network: Any, blocks: Sequence[Any], ids: list[list[int]]) -> list[float]:
    """Return how much the last block lengthens the last token's vector, without anything of this project."""
    seen: dict[str, torch.Tensor] = {}

    def keep(module: Any, args: Any, kwargs: Any, output: Any) -> None:
        seen["in"] = args[0] if args else kwargs["hidden_states"]
        seen["out"] = output[0] if isinstance(output, tuple) else output

    handle = blocks[-1].register_forward_hook(keep, with_kwargs=True)
    gains = []
    with torch.no_grad():
        for each in ids:
            network(torch.tensor([each]))
            gains.append(float(seen["out"][0, -1].double().norm() / seen["in"][0, -1].double().norm()))
    handle.remove()
    return gains


@pytest.mark.parametrize("variant", FAMILIES)
def test_a_folder_gives_the_numbers_of_an_independent_loop(variant: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    folder = saved(variant, tmp_path / "My Model")
    trace = refutable.measure(folder, prompts=TEXTS)
    network = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    blocks = network.get_submodule(family_of(VARIANTS[variant].family).blocks)
    ids = [[LETTERS[letter] for letter in text] for text in TEXTS]
    assert trace.meta["tokens"] == "own tokenizer"
    assert trace.meta["model"] == "my-model"
    found = refutable.metric("last_gain", trace).values
    torch.testing.assert_close(
        torch.tensor(found), torch.tensor(last_gains(network, blocks, ids)).double(), rtol=1e-5, atol=0
    )


def test_a_gguf_file_gives_the_numbers_of_an_independent_loop(tmp_path: Path) -> None:
    network = tiny_model(VARIANTS["llama"]).network
    path = write_gguf(tmp_path / "Some.F32.gguf", network)
    texts = ["$%&", "*+,-.", "987"]  # its tokens are the printable characters, each its own
    trace = refutable.measure(path, prompts=texts)
    assert trace.meta["model"] == "some.f32"
    assert trace.meta["weights_kind"] == "dequantised"
    ids = [[ord(letter) - ord("!") for letter in text] for text in texts]
    found = torch.tensor(refutable.metric("last_gain", trace).values)
    expected = torch.tensor(last_gains(network, network.model.layers, ids)).double()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_a_row_of_a_folder_has_the_facts_of_a_row_written_by_hand(
    variant: str, tmp_path: Path, describer: Describer
) -> None:
    row, known = describer.row(str(saved(variant, tmp_path / "model"))), row_of(VARIANTS[variant])
    assert row.parameters == known.parameters
    for name in ("layers", "heads", "d_model", "d_head", "rotary_fraction", "wiring", "vocabulary", "attention"):
        assert row.fact(name) == known.fact(name), name


def test_what_config_json_leaves_to_its_default_is_a_fact_too(tmp_path: Path, describer: Describer) -> None:
    folder = saved("gpt_neox-parallel", tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    for key in ("rotary_pct", "use_parallel_residual", "partial_rotary_factor", "rope_parameters"):
        config.pop(key, None)
    (folder / "config.json").write_text(json.dumps(config))
    row = describer.row(str(folder))
    assert (row.fact("rotary_fraction"), row.fact("wiring")) == (0.25, "parallel")


def test_names_are_nobody_elses(tmp_path: Path, describer: Describer) -> None:
    registry = load_registry()
    asked = [str(saved("gpt2", tmp_path / run / name)) for run, name in (("a", "gpt2"), ("b", "gpt2"), ("a", "new"))]
    found, names = with_own(registry, ["gptj", *asked, asked[0]], lambda: describer)
    assert names == ("gptj", "a-gpt2", "b-gpt2", "new", "a-gpt2")
    assert found["a-gpt2"].weights == asked[0]
    assert found["a-gpt2"].asked == asked[0]
    assert len(found) == len(registry) + 3
    assert not is_own("gpt2", registry)
    assert not is_own("EleutherAI/gpt-j-6b", registry), "the repository of a row is that row"


def test_claims_whose_selector_it_meets_are_about_it(tmp_path: Path, describer: Describer) -> None:
    found, _ = with_own(load_registry(), [str(saved("gptj", tmp_path / "mine"))], lambda: describer)
    for selector, met in (({}, True), ({"wiring": "parallel"}, True), ({"wiring": "sequential"}, False)):
        assert ("mine" in {row.name for row in Selector.model_validate(selector).select(found)}) is met


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("no/such/folder", "no such folder or file; give a folder of safetensors and config.json, a GGUF file, OWNER"),
        ("owner/name", "its config.json is not in the hub's cache, or is damaged there, and --offline was"),
        ("bert", "unknown architecture 'bert'.*extensions.families.add"),
        ("empty", "holds no config.json and neither model.safetensors"),
        ("odd", "n_layer must be a whole number"),
    ],
)
def test_what_cannot_be_described_is_told(given: str, told: str, tmp_path: Path, describer: Describer) -> None:
    for name, config in (("bert", {"model_type": "bert"}), ("odd", {"model_type": "gpt2", "n_layer": -3})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    (tmp_path / "empty").mkdir()
    place = given if "/" in given else str(tmp_path / given)
    with pytest.raises(BadInput, match=told):
        describer.row(place)


def test_a_row_of_an_unknown_family_stops_only_itself(tmp_path: Path) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(
        "models:\n  mamba-130m: {title: Mamba, family: mamba, parameters: 129135360, organisation: me, licence: mit,\n"
        "    config: {model_type: mamba, hidden_size: 768}}\n  own: {title: Own, family: gpt2, parameters: 10,\n"
        "    organisation: me, licence: mit, config: {model_type: gpt2, n_embd: 8, n_layer: 2, n_head: 2}}\n"
    )
    registry = load_registry(file)
    assert registry["own"].fact("layers") == 2
    everything = {row.name for row in Selector().select(registry)}
    parallel = {row.name for row in Selector(wiring="sequential").select(registry)}
    assert "mamba-130m" in everything
    assert "own" in parallel
    assert "mamba-130m" not in parallel
    with pytest.raises(NotMeasured, match=r"unknown architecture 'mamba'.*conftest.py"):
        select(registry, CPU).subject("mamba-130m")
    with pytest.raises(BadInput, match=r"--model mamba-130m: unknown architecture 'mamba'"):
        select(registry, CPU, models=("mamba-130m",))


def test_an_unknown_name_is_told_every_way_to_name_a_model() -> None:
    with pytest.raises(BadInput, match=r"Did you mean 'gptj'\?.*its folder.*GGUF.*OWNER/NAME.*refutable models add"):
        select(load_registry(), CPU, models=("gptjj",))


def test_a_row_names_the_place_of_its_weights_as_seen_from_its_file(tmp_path: Path) -> None:
    saved("gpt2", tmp_path / "weights")
    row = row_of(VARIANTS["gpt2"], "mine").model_dump(mode="json", include={"title", "family", "parameters", "config"})
    file = tmp_path / "suite" / "models.yaml"
    file.parent.mkdir()
    rows = {"models": {"mine": {**row, "organisation": "me", "licence": "mit", "weights": "../weights"}}}
    file.write_text(json.dumps(rows))
    assert Path(str(load_registry(file)["mine"].weights)).resolve() == tmp_path / "weights"


@pytest.mark.parametrize(("one", "other"), [("日本語", "é"), ("modèle", "modéle"), ("run1/same", "run2/same")])
def test_two_models_of_one_name_are_told_apart_in_what_is_reported(
    one: str, other: str, tmp_path: Path, describer: Describer
) -> None:
    rows = [describer.row(str(saved(v, tmp_path / name))) for v, name in (("gpt2", one), ("llama", other))]
    assert (rows[0].name == rows[1].name) is one.endswith("same")
    finder = Finder(describer.hashes, CPU)
    found = [finder.find(row, Subject(row.name)) for row in rows]
    assert found[0].detail != found[1].detail
    for each in found:
        assert each.digest[:12] in each.detail


def test_a_model_is_called_after_the_folder_that_a_path_leads_to(tmp_path: Path, describer: Describer) -> None:
    saved("gpt2", tmp_path / "mine")
    (tmp_path / "mine" / "sub").mkdir()
    assert describer.row(str(tmp_path / "mine" / "sub" / "..")).name == "mine"


@pytest.mark.parametrize("how", ["own row", "--weights PATH"])
@pytest.mark.parametrize("form", ["folder", "gguf"])
def test_freshly_drawn_weights_are_read_with_the_tokens_of_the_model_that_they_are_held_against(
    how: str, form: str, tmp_path: Path, describer: Describer
) -> None:
    place = saved("llama", tmp_path / "mine")
    if form == "gguf":
        place = write_gguf(tmp_path / "mine.gguf", tiny_model(VARIANTS["llama"]).network)
    row = describer.row(str(place)) if how == "own row" else row_of(VARIANTS["llama"], "mine")
    given = "pretrained" if how == "own row" else str(place)
    selection = select(ModelRegistry([row]), CPU, models=(row.name,), weights=given)
    finder = Finder(describer.hashes, CPU)
    own, drawn = (finder.find(row, selection.subject(row.name, seed=seed)) for seed in (None, 3))
    assert drawn.form == "draw"
    assert (drawn.tokenizer, drawn.tokenizer_digest) == (own.tokenizer, own.tokenizer_digest)
    assert own.tokens == "own tokenizer"
