"""Loading: a draw is its seed, saved weights come back as they went, stand-in tokens are fixed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import LENGTHS, VARIANTS, VOCABULARY, prompt_set, row_of, tiny_model

from refutable.errors import InstrumentError
from refutable.measurement.loading.load import draw, load_model
from refutable.measurement.loading.tokens import StandInTokens, load_tokenizer
from refutable.measurement.passes.forward import run_pass
from refutable.models.subject import Subject, WeightsKind
from refutable.models.weights import Finder
from refutable.prompts.find import load_prompts
from refutable.traces.trace import PRIMITIVE_COLUMNS

SAVED = (
    "gpt2",
    "gpt_neox-parallel",
    "gptj",
    "opt",
    "bloom",
    "falcon-7b",
    "mpt",
    "llama",
    "llama-tied",
    "mixtral",
)


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox-parallel", "llama-tied", "mixtral", "bloom"])
def test_a_draw_is_determined_by_its_seed(name: str) -> None:
    torch.manual_seed(12345)  # whatever was drawn before
    first, second, other = (
        draw(VARIANTS[name].config, Subject("tiny", "init", seed=seed)).state_dict() for seed in (3, 3, 4)
    )
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_a_draw_leaves_its_configuration_alone() -> None:
    config = VARIANTS["gpt_neo"].config
    before = repr(config)
    draw(config, Subject("tiny", "init"))
    assert repr(config) == before


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_draw_has_its_dtype(dtype: str) -> None:
    network = draw(VARIANTS["llama"].config, Subject("tiny", "init", dtype=dtype))
    assert {str(p.dtype) for p in network.parameters()} == {f"torch.{dtype}"}


@pytest.mark.parametrize("name", SAVED)
def test_saved_weights_come_back_and_measure_the_same(name: str, finder: Finder, tmp_path: Path) -> None:
    drawn = tiny_model(VARIANTS[name])
    drawn.network.save_pretrained(tmp_path / "model")
    subject = Subject("tiny", str(tmp_path / "model"))
    source = finder.find(drawn.row, subject)
    assert source.kind is WeightsKind.LOCAL
    loaded = load_model(drawn.row, subject, source, tmp_path / "cache")
    assert not loaded.network.training
    assert loaded.attention_implementation == drawn.attention_implementation
    one, two = (run_pass(model, prompt_set(), "key", {}) for model in (drawn, loaded))
    for column in PRIMITIVE_COLUMNS:
        a, b = (t.blocks[column].to_numpy(zero_copy_only=False) for t in (one, two))
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6, err_msg=column)
    assert one.prompts.drop(["top_token"]).equals(two.prompts.drop(["top_token"]))


def test_a_drawn_subject_loads_in_evaluation_mode_with_stand_in_tokens(finder: Finder, tmp_path: Path) -> None:
    row = row_of(VARIANTS["gpt2"], stand_in=True)  # GPT-2 has dropout: outside evaluation mode no pass repeats
    subject = Subject("tiny", seed=7)
    model = load_model(row, subject, finder.find(row, subject), tmp_path)
    assert not any(module.training for module in model.network.modules())
    assert model.tokenizer == StandInTokens(VOCABULARY)
    drawn = draw(row.config, subject, "eager").state_dict()
    assert all(torch.equal(tensor, drawn[key]) for key, tensor in model.network.state_dict().items())


@pytest.mark.parametrize("change", [{"hidden_size": 64}, {"vocab_size": 32}])
def test_weights_of_another_shape_are_refused_by_name(change: dict[str, int], finder: Finder, tmp_path: Path) -> None:
    tiny_model(VARIANTS["llama"]).network.save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "config.json").unlink()
    row = row_of(VARIANTS["llama"], config={**VARIANTS["llama"].config, **change})
    subject = Subject("tiny", str(tmp_path / "model"))
    with pytest.raises(InstrumentError, match=r"of another shape \(.*weight"):
        load_model(row, subject, finder.find(row, subject), tmp_path)


def test_code_beside_the_weights_never_runs(finder: Finder, tmp_path: Path) -> None:
    model, folder = tiny_model(VARIANTS["llama"]), tmp_path / "model"
    model.network.config.auto_map = {"AutoModelForCausalLM": "evil.Model", "AutoConfig": "evil.Config"}
    model.network.save_pretrained(folder)
    assert "evil.Model" in (folder / "config.json").read_text()
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()")
    subject = Subject("tiny", str(folder))
    loaded = load_model(model.row, subject, finder.find(model.row, subject), tmp_path)
    assert type(loaded.network).__module__.startswith("transformers.")
    assert not (tmp_path / "ran").exists()


# Stand-in tokens.


def test_stand_in_tokens_are_fixed_of_the_recorded_lengths_and_below_the_vocabulary() -> None:
    prompts = load_prompts("grand-unified-25")
    ids = StandInTokens(50).encode(prompts)
    assert [len(one) for one in ids] == [prompt.tokens for prompt in prompts.prompts]
    assert all(0 <= token < 50 for one in ids for token in one)
    assert ids == StandInTokens(50).encode(load_prompts("grand-unified-25"))
    assert StandInTokens(50).encode(prompt_set())[0] == [42, 45, 20, 10, 7], "every trace would change"
    assert load_tokenizer(None, 50) == StandInTokens(50)
    assert StandInTokens(50).decode(7) == "<7>"


def test_stand_in_tokens_differ_between_prompt_sets() -> None:
    one, two = (StandInTokens(1000).encode(prompt_set(lengths)) for lengths in (LENGTHS, LENGTHS[::-1]))
    assert sorted(map(len, one)) == sorted(map(len, two))
    assert one != two[::-1]
