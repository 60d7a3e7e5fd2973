"""A word that names no model is told how to write what it may mean."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from faults import fault
from tiny import VARIANTS, tiny_model

from refutable.models.describer import Describer
from refutable.models.naming import misnamed
from refutable.models.own import is_own, with_own
from refutable.models.registry import load_registry


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("", "the model's name is empty; give a folder"),
        ("  ", "the model's name is empty; give a folder"),
        ("https://huggingface.co/owner/name", "write the repository alone: --model owner/name"),
        ("huggingface.co/owner/name/", "write the repository alone: --model owner/name"),
        ("https://hf.co/owner/name/tree/dev", "--model owner/name --revision dev"),
        ("https://huggingface.co/owner/name/resolve/main/a.Q4.gguf", "download the file, and give its path"),
        ("https://hub.example/owner/name/tree/main", "--model owner/name --revision main"),
        ("https://hf.co/owner/name/resolve/main/a.gguf?download=true", "give its path: --model a.gguf"),
        ("https://huggingface.co/owner/name?library=transformers", "alone: --model owner/name"),
        ("https://huggingface.co/datasets/owner/name", "the address of one of the hub's datasets, and of no model"),
        ("hf.co/spaces/owner/name", "the address of one of the hub's spaces, and of no model"),
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
    folder, registry = tmp_path / "mine", load_registry()
    tiny_model(VARIANTS["llama"]).network.save_pretrained(folder)
    assert describer.row(f"{folder}/") == describer.row(str(folder))
    assert with_own(registry, [f"{folder}/", "smollm2"], lambda: describer)[1] == ("mine", "smollm2")
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
