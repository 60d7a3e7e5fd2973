"""Facts beyond a model's shape: norms, attention, the corpus, and how the training code drew the first weights."""

from __future__ import annotations

import math

import pytest
import torch

from refutable.errors import NotMeasured
from refutable.models.config_facts import FACT_WORDS, FACTS, fact_of
from refutable.models.families import FAMILIES
from refutable.models.init_rules import CUT, RULES
from refutable.models.registry import load_registry
from refutable.models.registry_facts import CORPORA, ROW_FACTS, ROW_WORDS

REGISTRY = load_registry()
ROWS = [*REGISTRY]


@pytest.mark.parametrize(
    ("model", "fact", "expected"),
    [
        ("pythia-6.9b", "norms", 2),
        ("gptj", "norms", 1),
        ("gpt2", "norms", 2),
        ("falcon-7b", "norms", 1),
        ("gptj", "attention", "dense"),
        ("gpt-neo-125m", "attention", "windowed"),  # global and local by turns
        ("mistral-7b", "attention", "windowed"),  # 4096
        ("pythia-6.9b", "projection_weights", 4 * 4096**2),
        ("gptj", "projection_weights", 4 * 4096**2),
        ("llama-3.1-8b", "projection_weights", 2 * 4096**2 + 2 * 4096 * 1024),  # 8 of 32 heads have keys
        ("falcon-7b", "projection_weights", 2 * 4544**2 + 2 * 4544 * 64),  # one head has keys
        ("gemma-7b", "projection_weights", 4 * 3072 * 16 * 256),
        ("pythia-6.9b", "vocabulary", 50432),
        ("gptj", "vocabulary", 50400),
        ("pythia-70m", "standard_heads", True),  # 64
        ("pythia-6.9b", "standard_heads", True),  # 128
        ("gptj", "standard_heads", False),  # 256
        ("pythia-2.8b", "standard_heads", False),  # 80, between the two
        ("gpt-neox-20b", "standard_heads", False),  # 96
        ("gptj", "family", "gptj"),
        ("gptj", "corpus", "The Pile"),
        ("gpt2", "corpus", "WebText"),
        ("gptj", "tokenizer", "GPT-2"),  # 143 rows of its embedding are none of its tokens
        ("pythia-70m", "tokenizer", "GPT-NeoX-20B"),
        ("pythia-6.9b", "tokenizer", "GPT-NeoX-20B"),  # with 128 rows more than pythia-70m
        ("gptj", "training_code", "mesh-transformer-jax"),
        ("pythia-6.9b", "code_rotary_fraction", 1.0),
        ("gptj", "code_rotary_fraction", 1.0),
        ("pythia-70m", "init_rule", "small-wang"),
        ("pythia-6.9b", "init_rule", "pythia-large"),
        ("pythia-6.9b", "init_output_by_depth", "1/sqrt(L)"),  # 0.02 / sqrt(2 L)
        ("gpt2", "init_output_by_depth", "1/sqrt(L)"),
        ("gptj", "init_output_by_depth", "1/L"),  # 2 / (L sqrt d)
        ("pythia-70m", "init_output_by_depth", "1/L"),
        ("gptj", "init_input_by_width", "1/sqrt(d)"),  # fan-in
        ("pythia-6.9b", "init_input_by_width", "constant"),  # 0.02
    ],
)
def test_a_fact_of_a_model(model, fact, expected):
    assert REGISTRY[model].fact(fact) == expected


def test_the_deviations_of_the_first_weights_are_the_rules():
    assert REGISTRY["pythia-6.9b"].fact("init_output_deviation") == pytest.approx(0.02 / math.sqrt(64))
    assert REGISTRY["gptj"].fact("init_output_deviation") == pytest.approx(2 / 28 / 64 * CUT)
    assert REGISTRY["gptj"].fact("init_input_deviation") == pytest.approx(CUT / 64)
    assert REGISTRY["pythia-6.9b"].fact("init_input_deviation") == 0.02


def test_a_deeper_configuration_has_smaller_output_matrices_and_is_read_from_the_configuration_at_hand():
    row = REGISTRY["gptj"]
    shallow, deep = (row.fact("init_output_deviation", {**row.config, "n_layer": n}) for n in (14, 56))
    assert shallow / deep == pytest.approx(4)


@pytest.mark.parametrize("row", [row for row in ROWS if row.init in RULES and row.stand_in], ids=lambda row: row.name)
def test_the_stated_deviation_is_that_of_weights_that_are_drawn(row):
    from refutable.measurement.loading.initialise import kinds_of
    from refutable.measurement.loading.load import draw
    from refutable.models.families import family_of
    from refutable.models.subject import Subject

    network = draw(row.config, Subject(row.name, weights="init"), rule=row.init)
    kinds = kinds_of(network, family_of(row.family))
    for kind, fact in (("output", "init_output_deviation"), ("input", "init_input_deviation")):
        drawn = torch.cat([p.flatten() for name, p in network.named_parameters() if kinds[name] == kind])
        assert float(drawn.detach().std()) == pytest.approx(row.fact(fact), rel=0.02)


@pytest.mark.parametrize(
    ("model", "fact", "why"),
    [
        ("llama-3.1-8b", "corpus", "does not say what llama-3.1-8b was trained on"),
        ("llama-3.1-8b", "tokenizer", "does not say which tokenizer llama-3.1-8b reads by"),
        ("smollm2", "corpus_gigabytes", "no published size of 'FineWeb-Edu"),
        ("mistral-7b", "init_rule", "how the code that trained mistral-7b drew its first weights"),
        ("mistral-7b", "training_code", "how the code that trained mistral-7b"),
        ("gpt2", "code_rotary_fraction", "gpt2 turns no part of a head: its positions are learned"),
        ("smollm2", "code_rotary_fraction", "does not say by which code smollm2 was trained"),
    ],
)
def test_what_the_registry_does_not_hold_is_not_measured(model, fact, why):
    with pytest.raises(NotMeasured, match=why):
        REGISTRY[model].fact(fact)


def test_the_size_of_the_pile_is_its_825_gibibytes_in_gigabytes():
    assert CORPORA["The Pile"].value == pytest.approx(886.03, abs=0.005)
    assert all(corpus.sources for corpus in CORPORA.values())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_fact_that_is_a_word_is_one_of_the_words_that_claims_may_write(row):
    for name, words in {**FACT_WORDS, **ROW_WORDS}.items():
        if name in ("corpus", "organisation"):
            continue  # open: a claim may name those that are listed
        try:
            assert row.fact(name) in words
        except NotMeasured:
            assert name in ROW_FACTS


def test_every_fact_has_a_docstring_and_no_two_share_a_name():
    assert not FACTS.keys() & ROW_FACTS.keys()
    assert all(fact.__doc__ for fact in (*FACTS.values(), *ROW_FACTS.values()))


@pytest.mark.parametrize("family", [name for name in FAMILIES if FAMILIES[name].positions == "rotary"])
def test_the_rotary_fraction_that_a_configuration_leaves_out_is_transformers_own_default(family: str) -> None:
    from transformers import AutoConfig

    whole = AutoConfig.for_model(family).to_dict()
    bare = {key: value for key, value in whole.items() if "rotary" not in key and "rope" not in key}
    assert fact_of("rotary_fraction", FAMILIES[family], bare) == fact_of("rotary_fraction", FAMILIES[family], whole)
