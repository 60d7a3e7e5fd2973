"""What is no model of transformers is refused in one line: which model, what is wrong, the whole reason, the fix."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from refutable.errors import BadInput, RefutableError
from refutable.evidence.describer import describer
from refutable.models.file_hashes import FileHashes
from refutable.models.own import is_own, with_own
from refutable.models.registry import load_registry

LLAMA = {
    **{"model_type": "llama", "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2, "vocab_size": 32},
    **{"num_attention_heads": 2, "num_key_value_heads": 2},
}


def described(given: str, folder: Path) -> Any:
    return describer(FileHashes(folder / "cache"), offline=True).row(given)


def told(given: str, folder: Path) -> str:
    with pytest.raises(RefutableError) as error:
        described(given, folder)
    said = str(error.value)
    assert given.rstrip("/") in said
    assert "\n" not in said
    return said


def folder_of(folder: Path, **files: Any) -> str:
    made = folder / "mine"
    made.mkdir()
    for name, content in files.items():
        (made / name.replace("__", ".")).write_text(content if isinstance(content, str) else json.dumps(content))
    return str(made)


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, "without a config.json, so it is no model of transformers"),
        ({"adapter_config__json": {}}, "an adapter, of no use without its model; give it as --adapter"),
        ({"a__GGUF": "x"}, "one of GGUF files, without a config.json; give one by its path: --model "),
        ({"config__json": {"model_type": "bert"}}, "unknown architecture 'bert'"),
        ({"config__json": {"model_type": "mamba"}}, "unknown architecture 'mamba'"),
        ({"config__json": "{"}, "config.json"),
        ({"config__json": [1]}, "names no `model_type`"),
        (
            {"config__json": {**LLAMA, "num_hidden_layers": 10_000_000}},
            "10,000,000 for layers, of which a model",
        ),
        ({"config__json": {**LLAMA, "hidden_size": 10**9}}, "for d_model, of which a model has at most 1,000,000"),
        ({"config__json": {**LLAMA, "vocab_size": 10**12}}, "vocab_size must be a whole number from 1 to"),
        ({"config__json": {**LLAMA, "num_hidden_layers": "two"}}, "num_hidden_layers"),
        ({"config__json": {**LLAMA, "hidden_size": 7}}, "transformers can"),
        ({"config__json": {**LLAMA, "hidden_act": "swishy"}}, "swishy"),
    ],
)
def test_a_folder_says_which_it_is_and_the_whole_reason(files: dict[str, Any], why: str, tmp_path: Path) -> None:
    assert why in told(folder_of(tmp_path, **files), tmp_path)


def test_a_family_is_suggested_only_where_it_is_nearly_spelt_so(tmp_path: Path) -> None:
    assert "Did you mean" not in told(folder_of(tmp_path, config__json={"model_type": "mamba"}), tmp_path)
    (tmp_path / "mine" / "config.json").write_text(json.dumps({"model_type": "lama"}))
    assert "Did you mean 'llama'?" in told(str(tmp_path / "mine"), tmp_path)


def test_a_word_without_a_model_is_told_by_itself(tmp_path: Path) -> None:
    assert "no such folder or file" in told("./nowhere", tmp_path)
    assert "--offline was given" in told("owner/absent", tmp_path)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("", "--model is empty; give a name of the registry"),
        ("  ", "--model is empty"),
        ("https://hub.example/owner/name", "write OWNER/NAME: --model owner/name"),
        ("https://hub.example/owner/name/tree/main", "write OWNER/NAME: --model owner/name"),
    ],
)
def test_a_word_that_names_no_model_is_refused(given: str, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        with_own(load_registry(), [given], lambda: pytest.fail("nothing is to be described"))


def test_a_slash_at_the_end_and_capitals_of_a_suffix_are_of_no_account(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, config__json=LLAMA)
    made = describer(FileHashes(tmp_path / "cache"), offline=True)
    registry, names = with_own(load_registry(), [f"{folder}/", "smollm2"], lambda: made)
    assert names == ("mine", "smollm2")
    assert registry["mine"].weights == str(Path(folder).resolve())
    assert is_own("some.GGUF", registry)
