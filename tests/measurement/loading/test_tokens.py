"""Token ids are those of the model's own files; a prompt begins as it is asked to, and nothing is added unsaid."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import prompt_set
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from refutable.errors import BadInput, NotMeasured
from refutable.measurement.loading.tokens import OwnTokenizer, load_tokenizer
from refutable.prompts.in_memory import prompts_from

BOS = 7


class Fake:
    """A tokenizer of fixed ids, with or without a beginning and an end of its own."""

    def __init__(self, ids: list[int], bos: int | None = BOS, eos: int | None = None) -> None:
        self.ids, self.bos_token_id, self.eos_token_id = ids, bos, eos

    def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
        special = (self.bos_token_id, self.eos_token_id)
        return {"input_ids": self.ids if add_special_tokens else [i for i in self.ids if i not in special]}


def own(*given: Any) -> OwnTokenizer:
    return OwnTokenizer(Fake(*given), vocabulary=64)


def test_each_prompt_begins_as_asked_whatever_the_tokenizer_does() -> None:
    prompts = prompt_set([3, 3])
    begun, bare = own([BOS, 1, 2]), own([1, 2])
    assert begun.encode(prompts) == [[BOS, 1, 2]] * 2 == bare.encode(prompts, "with")
    assert bare.encode(prompts) == [[1, 2]] * 2 == begun.encode(prompts, "without")


@pytest.mark.parametrize(
    ("tokenizer", "why"),
    [
        (own([BOS, BOS, 1]), "puts another before it"),
        (own([1, 2, 9], None, 9), "end-of-sequence token after each prompt"),
        (own([1, 64]), "token id 64 of the prompt '.*' is not in the model's vocabulary of 64"),
    ],
)
def test_ids_that_no_prompt_means_are_refused(tokenizer: OwnTokenizer, why: str) -> None:
    for bos in ("default", "with", "without"):
        with pytest.raises(BadInput, match=why):
            tokenizer.encode(prompt_set([3]), bos)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tokenizer", "bos", "why"),
    [
        (own([1], None), "with", "no beginning-of-sequence token"),
        (own([BOS]), "without", "has no token but"),
        (own([1]), "without", "nothing varies"),
        (own([BOS, 1]), "with", "nothing varies"),
    ],
)
def test_what_cannot_begin_so_is_not_measured(tokenizer: OwnTokenizer, bos: str, why: str) -> None:
    with pytest.raises(NotMeasured, match=why):
        tokenizer.encode(prompt_set([3]), bos)  # type: ignore[arg-type]


# Tokenizers in folders.

TEXTS = ("It's 12345 dollars", "Hello wörld", "x")


def byte_level(split: Any, *, bos: bool = False) -> Tokenizer:
    """Return a byte-level tokenizer without merges, whose words are cut by `split`."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate(["<s>", "</s>", "<unk>", *alphabet, "12", "123"])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[("1", "2"), ("12", "3")]))
    tokenizer.pre_tokenizer = split
    tokenizer.add_special_tokens(["<s>", "</s>", "<unk>"])
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return tokenizer


DIGITS = pre_tokenizers.Sequence(
    [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
)
WHOLE = pre_tokenizers.ByteLevel(add_prefix_space=False)


def folder_with(folder: Path, tokenizer: Tokenizer, model_type: str = "llama", **settings: Any) -> Path:
    folder.mkdir(exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    named = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", **settings}
    (folder / "tokenizer_config.json").write_text(json.dumps(named))
    return folder


@pytest.mark.parametrize("split", [DIGITS, WHOLE], ids=["digits", "whole"])
@pytest.mark.parametrize(
    ("model_type", "named"),
    [("qwen2", "Qwen2Tokenizer"), ("llama", "LlamaTokenizerFast"), ("gpt2", "GPT2Tokenizer"), ("llama", None)],
)
def test_text_is_cut_as_the_file_says_whatever_class_its_configuration_names(
    split: Any, model_type: str, named: str | None, tmp_path: Path
) -> None:
    tokenizer = byte_level(split)
    settings = {"tokenizer_class": named} if named else {}
    loaded = load_tokenizer(folder_with(tmp_path / "model", tokenizer, model_type, **settings), 1000)
    prompts = prompts_from(TEXTS).prompts
    bare = [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS]
    assert [ids[1:] if ids[:1] == [0] else ids for ids in loaded.encode(prompts)] == bare


def test_padding_and_truncation_that_were_saved_are_set_aside(tmp_path: Path) -> None:
    plain, saved = byte_level(WHOLE), byte_level(WHOLE)
    saved.enable_padding(length=64)
    saved.enable_truncation(max_length=3)
    loaded = load_tokenizer(folder_with(tmp_path / "m", saved, tokenizer_class="PreTrainedTokenizerFast"), 1000)
    texts = prompts_from(TEXTS).prompts
    assert loaded.encode(texts) == [plain.encode(text, add_special_tokens=False).ids for text in TEXTS]


def test_a_prompt_that_begins_with_the_token_that_is_put_before_it_is_refused(tmp_path: Path) -> None:
    loaded = load_tokenizer(
        folder_with(tmp_path / "m", byte_level(WHOLE, bos=True), tokenizer_class="PreTrainedTokenizerFast"), 1000
    )
    assert [ids[0] for ids in loaded.encode(prompts_from(TEXTS).prompts)] == [0, 0, 0]
    with pytest.raises(BadInput, match="'<s>Hello' begins with the beginning-of-sequence token"):
        loaded.encode(prompts_from(["<s>Hello"]).prompts)


def _pointer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")


def _cut(folder: Path) -> None:
    file = folder / "tokenizer.json"
    file.write_bytes(file.read_bytes()[:-40])


def _impossible(folder: Path) -> None:
    """Merges of tokens that are in no vocabulary: the Rust code of some versions panics."""
    data = json.loads((folder / "tokenizer.json").read_text())
    data["model"]["merges"] = [["q", "zz"]]
    (folder / "tokenizer.json").write_text(json.dumps(data))


def _deep(folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text("[" * 100_000)


def _vocabulary_alone(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    (folder / "vocab.txt").write_text("a\nb\n")


@pytest.mark.parametrize("spoil", [_pointer, _cut, _impossible, _deep, _vocabulary_alone])
def test_files_that_make_no_tokenizer_are_bad_input(spoil: Callable[[Path], None], tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "model", byte_level(WHOLE))
    spoil(folder)
    with pytest.raises(BadInput, match="tokenizer"):
        load_tokenizer(folder, 1000)
