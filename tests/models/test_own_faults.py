"""What is wrong with what a model says of itself is told in one line: where, what, what is allowed, and the fix."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import pytest
from faults import fault
from gguf_files import write_gguf
from tiny import VARIANTS, tiny_model

import refutable
from refutable.models.config_checks import check_config
from refutable.models.describer import Describer
from refutable.models.families import FAMILIES, family_of, unknown_family
from refutable.models.own import is_own, with_own
from refutable.models.registry import load_registry


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
        ({"hidden_size": 7}, "transformers can"),
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


@pytest.mark.parametrize(("text", "told"), [("{", "not JSON"), ("[1]", "names no `model_type`")])
def test_a_configuration_that_is_none_is_told(text: str, told: str, tmp_path: Path, describer: Describer) -> None:
    folder = with_config(tmp_path / "mine")
    (folder / "config.json").write_text(text)
    assert told in fault(lambda: describer.row(str(folder)))


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


@pytest.mark.parametrize(("number", "told"), [(0, "part 1 of 3"), (2, "part 3 of 3")])
def test_a_part_of_a_gguf_file_that_was_split_is_told(
    number: int, told: str, tmp_path: Path, describer: Describer
) -> None:
    path = tmp_path / "mine-of-00003.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    if number:
        del writer.kv_data[0]["general.architecture"]  # only the first part describes the model
    writer.add_uint16("split.no", number)
    writer.add_uint16("split.count", 3)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    said = fault(lambda: describer.row(str(path)))
    assert said.startswith(f"{path}: {told} of a GGUF file that was split; join them")


def test_a_prompt_without_a_token_is_named(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "mine.gguf", tiny_model(VARIANTS["llama"]).network)
    said = fault(lambda: refutable.measure(path, prompts=["$%&", "  \t ok", "no letter of these"]))
    assert "mine: its tokenizer makes no token of prompt " in said
    assert "of texts ('" in said
