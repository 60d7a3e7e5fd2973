"""Which facts two independent public sources confirm, and which only the registry's word stands for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refutable.errors import NotMeasured
from refutable.models.config_facts import FACTS
from refutable.models.registry import load_registry
from refutable.models.registry_facts import ROW_FACTS
from refutable.models.row import ModelRow
from refutable.models.sources import RowSource, Source, independent
from refutable.models.verified import STATED, keys_read, standing

REGISTRY = load_registry()
ROWS = [row for row in REGISTRY if not row.stand_in and not row.twin]
CONFIG = {"model_type": "gptj", "n_embd": 64, "n_head": 4, "n_layer": 3, "rotary_dim": 8, "vocab_size": 99}


def row(*sources, **changes):
    """Return a row of a small GPT-J with these sources, each (by, what it states)."""
    stated = [{"by": by, "at": "somewhere", "states": states} for by, states in sources]
    known = {"name": "small", "title": "Small", "parameters": 1, "organisation": "we", "licence": "MIT"}
    return ModelRow.model_validate({**known, "family": "gptj", "config": CONFIG, "sources": stated, **changes})


@pytest.mark.parametrize(
    ("model", "fact", "keys"),
    [
        ("pythia-6.9b", "layers", {"num_hidden_layers"}),
        ("gptj", "layers", {"n_layer"}),
        ("gptj", "d_head", {"n_embd", "n_head"}),
        ("gemma-7b", "d_head", {"head_dim"}),  # which decides, whatever width and heads say
        ("gptj", "rotary_fraction", {"model_type", "rotary_dim", "n_embd", "n_head"}),
        ("gpt2", "rotary_fraction", {"model_type"}),  # its positions are learned
        ("pythia-70m", "wiring", {"model_type", "use_parallel_residual"}),
        ("gptj", "wiring", {"model_type"}),
        ("opt-350m", "additive", {"model_type", "do_layer_norm_before"}),
        ("mistral-7b", "attention", {"sliding_window"}),
        ("gptj", "attention", {"model_type"}),  # no key speaks of a window
        ("gpt2", "norm", {"model_type"}),
        ("falcon-7b", "norms", {"model_type", "parallel_attn", "new_decoder_architecture"}),
        ("gptj", "corpus", {"corpus"}),
        ("pythia-6.9b", "init_rule", {"init"}),
        ("pythia-6.9b", "init_output_by_depth", {"init"}),
        ("gpt2", "init_output_deviation", {"init", "n_layer", "n_embd", "vocab_size"}),
    ],
)
def test_the_keys_that_a_fact_is_read_from(model, fact, keys):
    assert set(keys_read(fact, REGISTRY[model])) == keys


@pytest.mark.parametrize("one", ROWS, ids=lambda one: one.name)
def test_the_number_of_parameters_follows_from_keys_that_have_to_be_confirmed(one):
    assert {"model_type", "vocab_size"} < set(keys_read("parameters", one))


def test_a_fact_is_verified_by_two_people_who_state_each_key_it_is_read_from():
    assert not standing("layers", row()).verified
    assert not standing("layers", row(("ann", {"model_type": "gptj", "n_layer": 3}))).verified
    both = [(by, {"n_layer": 3}) for by in ("ann", "bob")]
    assert standing("layers", row(*both)).verified
    assert standing("d_head", row(*both)).unconfirmed == ("n_embd", "n_head")
    apart = [("ann", {"n_embd": 64}), ("bob", {"n_embd": 64, "n_head": 4}), ("cy", {"n_head": 4})]
    assert standing("d_head", row(*apart)).verified


def test_two_sources_by_one_author_are_one():
    assert not standing("layers", row(("ann", {"n_layer": 3}), ("ann", {"n_layer": 3}))).verified


def test_a_source_that_states_another_value_confirms_nothing():
    assert not standing("layers", row(("ann", {"n_layer": 3}), ("bob", {"n_layer": 4}))).verified
    yes = [(by, {"use_parallel_residual": 1}) for by in ("ann", "bob")]
    config = {"model_type": "gpt_neox", "use_parallel_residual": True}
    assert "use_parallel_residual" in standing("wiring", row(*yes, family="gpt_neox", config=config)).unconfirmed


def test_two_sources_may_state_the_fact_itself():
    stated = [(by, {"training_code": "mesh-transformer-jax"}) for by in ("ann", "bob")]
    assert standing("training_code", row(*stated, init="mesh-transformer-jax")).verified
    assert standing("init_rule", row(*stated, init="mesh-transformer-jax")).unconfirmed == ("init",)


def test_a_changed_configuration_is_not_confirmed_by_the_sources_of_the_old_one(tmp_path):
    assert standing("layers", REGISTRY["gptj"]).verified
    (tmp_path / "models.yaml").write_text(
        "models: {gptj: {config: {model_type: gptj, n_layer: 30, n_embd: 4096, n_head: 16, vocab_size: 50400}}}"
    )
    changed = load_registry(tmp_path / "models.yaml")["gptj"]
    assert standing("layers", changed).unconfirmed == ("n_layer",)
    assert standing("heads", changed).verified


def test_the_models_own_configuration_needs_no_source_and_what_only_the_row_says_still_does():
    assert standing("d_head", row(), own_config=True).verified
    assert str(standing("d_head", row(), own_config=True)) == "its own configuration"
    mine = row(corpus="The Pile")
    assert standing("corpus", mine, own_config=True).unconfirmed == ("corpus",)


def test_a_table_that_a_fact_is_read_from_has_to_be_confirmed_too():
    told = [(by, {"init": "mesh-transformer-jax", **CONFIG}) for by in ("ann", "bob")]
    assert standing("init_rule", row(*told, init="mesh-transformer-jax")).verified
    lacking = standing("init_output_deviation", row(*told, init="mesh-transformer-jax")).unconfirmed
    assert lacking == ("the rule mesh-transformer-jax",)  # only its author tells of it
    once = row(("ann", {"corpus": "WebText"}), corpus="WebText")
    assert standing("corpus_gigabytes", once).unconfirmed == ("corpus",)


def test_a_stand_in_is_this_projects_own():
    assert standing("layers", REGISTRY["tiny-gpt2"]).verified
    assert "this project's own" in str(standing("layers", REGISTRY["tiny-gpt2"]))


def test_the_origin_names_the_sources_or_what_lacks_one():
    told = str(standing("layers", REGISTRY["pythia-6.9b"]))
    assert "EleutherAI: pythia models/6.9B/pythia-6.9b.yml" in told
    assert "Lightning-AI: litgpt" in told
    assert "unverified" not in told
    old = str(standing("layers", REGISTRY["pythia-6.9b-v0"]))
    assert old.endswith("unverified: num_hidden_layers (fewer than two independent sources)")
    assert str(standing("layers", row())).startswith("registry: from memory; unverified: n_layer")


@given(st.lists(st.sampled_from("abc")))
def test_independence_counts_authors(authors):
    assert independent(Source(by=by, at="x") for by in authors) == (len(set(authors)) >= 2)


@pytest.mark.parametrize("one", ROWS, ids=lambda one: one.name)
def test_every_source_of_a_packaged_row_states_keys_the_row_has_and_none_twice(one):
    known = {**one.config, **{key: getattr(one, key) for key in (*STATED, "revision")}}
    for source in one.sources:
        assert isinstance(source, RowSource)
        for key, value in source.states.items():
            assert source.says(key, known[key]), (source.at, key, value)
    assert len({str(source) for source in one.sources}) == len(one.sources) > 0


@pytest.mark.parametrize("fact", [*FACTS, "family", "standard_heads"])
@pytest.mark.parametrize("one", ROWS, ids=lambda one: one.name)
def test_what_the_configurations_say_is_verified_but_for_known_gaps(one, fact):
    gaps = {("gpt2", "vocabulary"), ("apertus-8b", "vocabulary"), ("apertus-8b", "projection_weights")}
    expected = one.name != "pythia-6.9b-v0" and (one.name, fact) not in gaps  # v0: by its authors alone
    assert standing(fact, one).verified == expected


@pytest.mark.parametrize("fact", [*FACTS, *ROW_FACTS])
@pytest.mark.parametrize("one", ROWS, ids=lambda one: one.name)
def test_every_fact_that_the_registry_holds_has_a_standing(one, fact):
    try:
        one.fact(fact)
    except (NotMeasured, KeyError):
        with pytest.raises((NotMeasured, KeyError)):
            standing(fact, one)
    else:
        assert str(standing(fact, one))
