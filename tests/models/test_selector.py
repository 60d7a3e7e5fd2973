"""Which models a selector selects: names, what is left out, and facts; and how a wrong word is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refutable._util.strict_yaml import parse_yaml
from refutable.claims.cases import cases_of
from refutable.claims.file import claims_from
from refutable.errors import BadInput
from refutable.models.registry import ModelRegistry, load_registry
from refutable.models.selector import Selector
from refutable.statistics.region import parse_region

settings.load_profile("ci")  # no deadline on a busy machine, the same inputs every time

REGISTRY = load_registry()
NAMES = sorted(row.name for row in REGISTRY)


def selected(**keys):
    return {row.name for row in Selector.model_validate(keys).select(REGISTRY)}


def claims_of(keys, rest="test: {statistic: mean, of: last_gain, predicts: '< 1'}"):
    text = f"schema: 1\nclaims:\n  - {{id: a, statement: s, evidence: measured, {keys}, {rest}}}\n"
    return claims_from(parse_yaml(text, "c.yaml"))


def test_facts_select_by_the_grammar_of_predictions():
    wide = selected(wiring="parallel", d_head=">= 128")
    assert wide == {
        row.name
        for row in REGISTRY
        if not row.stand_in and row.fact("wiring") == "parallel" and row.fact("d_head") >= 128
    }
    assert "gptj" in wide
    assert "pythia-70m" not in wide
    assert selected(parameters="within [1e8, 2e8]", family="gpt_neox") == {"pythia-160m"}


@given(st.sampled_from(["layers", "heads", "d_model", "d_head", "rotary_fraction", "parameters"]), st.floats(0, 1e10))
def test_a_fact_and_its_opposite_share_the_models_out(fact, threshold):
    below, above = selected(**{fact: f"< {threshold!r}"}), selected(**{fact: f">= {threshold!r}"})
    assert not below & above
    assert below | above == selected()


@given(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4))
def test_what_is_excepted_is_left_out_and_nothing_else(names):
    assert selected(**{"except": names}) == selected() - set(names)


def test_except_takes_names_and_globs_and_also_of_stand_ins():
    left = selected(names="pythia-*", **{"except": ["pythia-*b*", "pythia-70m"]})
    assert left == {"pythia-160m", "pythia-410m"}
    assert "tiny-gpt2" not in selected(names=["tiny-gpt2", "gpt2"], **{"except": "tiny-*"})


def test_words_and_yes_or_no_select():
    assert selected(positions="alibi", family="bloom") == selected(family="bloom") != set()
    assert "gpt2" in selected(positions="learned")
    assert "opt-350m" in selected(additive=False)  # post-norm: its blocks add no updates
    assert selected(additive=False) | selected(additive=True) == selected()


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("models: {except: gtpj}", "unknown model 'gtpj'; known: "),
        ("models: {except: gtpj}", "Did you mean 'gptj'?"),
        ("models: {names: [gtpj]}", "Did you mean 'gptj'?"),
        ("models: {family: gpt_noex}", "unknown family 'gpt_noex'; known: "),
        ("models: {family: gpt_noex}", "Did you mean 'gpt_neox'?"),
        ("models: {organisation: EleutherIA}", "Did you mean 'EleutherAI'?"),
        ("models: {d_head: '> 1e6'}", "no model agrees with {'d_head': '> 1e6'}"),
        ("models: {names: gptj, except: gptj}", "no model agrees with {'names': ('gptj',), 'except': ('gptj',)}"),
    ],
)
def test_a_word_of_no_model_is_refused_with_the_nearest(keys, expected):
    with pytest.raises(BadInput) as caught:
        cases_of(claims_of(keys), REGISTRY, "c.yaml")
    assert str(caught.value).startswith("c.yaml claim 'a': ")
    assert expected in str(caught.value)


def test_a_model_whose_fact_is_not_known_is_neither_taken_nor_dropped_in_silence():
    row = REGISTRY["gptj"]
    bare = row.model_copy(
        update={"name": "bare", "title": "Bare", "hub": None, "aliases": (), "config": {"model_type": "gptj"}}
    )
    registry = ModelRegistry([row, bare])
    with pytest.raises(BadInput, match=r"heads of models\.bare is not known .*leave the model out with `except:`"):
        Selector.model_validate({"heads": "> 1"}).select(registry)
    assert [r.name for r in Selector.model_validate({"heads": "> 1", "except": "bare"}).select(registry)] == ["gptj"]


def test_a_claim_pooled_over_models_is_one_case_of_them_all():
    (case,) = cases_of(claims_of("for: pooled, models: 'pythia-*'"), REGISTRY, "c.yaml")
    assert (case.id, len(case.models) > 2) == ("a", True)
    assert parse_region(case.claim.test.predicts).high == 1.0


@pytest.mark.parametrize(
    ("keys", "rest", "expected"),
    [
        ("models: smollm2", "test: {statistic: random_effects, of: last_gain, predicts: '< 1'}", "`for: pooled`"),
        (
            "for: pooled",
            "test: {statistic: layers_passing, of: layer_gain, holds: '< 1', predicts: '> 0.5'}",
            "write `for: majority`",
        ),
        (
            "for: pooled",
            "test: {statistic: share_of_prompts, of: last_gain, holds: '< 1', predicts: '> 0.5'}",
            "is not of one value a model",
        ),
        (
            "for: pooled, controls: [initialization]",
            "test: {statistic: mean, of: last_gain, predicts: '< 1'}",
            "`for: pooled` takes no `controls:`; remove it",
        ),
    ],
)
def test_what_cannot_be_pooled_is_refused(keys, rest, expected):
    with pytest.raises(BadInput) as caught:
        claims_of(keys, rest)
    assert expected in str(caught.value)
