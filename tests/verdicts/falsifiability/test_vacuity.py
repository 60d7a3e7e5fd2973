"""Whether any data would do: proofs by range, generated data that break a prediction, and what the generator keeps."""

from __future__ import annotations

import numpy as np
import pytest

from refutable.claims import MeasuredTest
from refutable.metrics import METRICS, evaluate
from refutable.traces.passes import PASSES
from refutable.traces.synthetic import pool
from refutable.traces.trace import ENTROPY_COLUMN, KEYS_COLUMN
from refutable.verdicts.falsifiability import choices, steer, vacuity
from refutable.verdicts.falsifiability.vacuity import is_vacuous, search_generated_data
from refutable.verdicts.verdict import Verdict

GROUPS = {"one": {"wiring": "parallel"}, "other": {"wiring": "sequential"}}


def test_of(**keys: object) -> MeasuredTest:
    return MeasuredTest.model_validate({"statistic": "mean", **keys})


test_of.__test__ = False  # type: ignore[attr-defined]

VACUOUS = [
    {"of": "cancellation_ratio", "layer": "last", "predicts": "< 1"},  # the documents' triangle inequality
    {"of": "cancellation_ratio", "layer": "last", "predicts": "<= 1"},
    {"of": "cancellation_ratio", "layer": 5, "predicts": ">= 0", "norm": "centred"},
    {"of": "cancellation_ratio", "layer": "last", "predicts": "< 1", "statistic": "ratio_of_means"},
    {"of": "cos_attention_mlp", "layer": "mean", "predicts": "< 1.0"},
    {"of": "cos_update_residual", "layer": "mean", "predicts": "within [-1, 1]"},
    {"of": "last_gain", "predicts": "> 0"},
    {"of": "top_probability", "predicts": "<= 1"},
    {"of": "attention_entropy_normalised", "layer": "mean", "predicts": "< 1"},
    {"of": "last_gain", "statistic": "share_of_prompts", "holds": "> 0", "predicts": "> 0.5"},
    {"of": "last_gain", "statistic": "share_of_prompts", "holds": "> 1", "predicts": ">= 0"},
    {"of": "cancellation_ratio", "statistic": "layers_passing", "holds": "< 1", "predicts": ">= 0.97"},
    {"of": ["last_gain", "output_entropy"], "statistic": "pearson", "predicts": "> -1"},
    {
        "of": ["cancellation_ratio", "top_probability"],
        "layer": "last",
        "statistic": "paired_difference",
        "predicts": "within [-1, 1]",
    },
    {
        "of": "cancellation_ratio",
        "layer": "mean",
        "statistic": "difference_of_groups",
        "groups": GROUPS,
        "predicts": "within [-1, 1]",
    },
]
NEIGHBOURS = [
    {"of": "cancellation_ratio", "layer": "last", "predicts": "< 0.99"},
    {"of": "cancellation_ratio", "layer": "last", "predicts": "< 0.9999"},
    {"of": "cancellation_ratio", "layer": "mean", "predicts": "> 0.001"},
    {"of": "cancellation_ratio", "layer": 5, "predicts": ">= 0.01", "norm": "centred"},
    {"of": "cancellation_ratio", "layer": "last", "predicts": "< 0.99", "statistic": "ratio_of_means"},
    {"of": "cos_attention_mlp", "layer": "mean", "predicts": "< 0.999"},
    {"of": "cos_update_residual", "layer": "mean", "predicts": "within [-1, 0.99]", "position": "all"},
    {"of": "last_gain", "predicts": "> 0.001"},
    {"of": "last_gain", "predicts": "< 1000"},
    {"of": "last_gain", "predicts": "< 1", "statistic": "geometric_mean"},
    {"of": "top_probability", "predicts": "<= 0.99"},
    {"of": "attention_entropy_normalised", "layer": "mean", "predicts": "< 0.99"},
    {"of": "output_entropy", "predicts": "< 11"},
    {"of": "last_gain", "statistic": "share_of_prompts", "holds": "> 0", "predicts": "< 0.5"},
    {"of": "last_gain", "statistic": "share_of_prompts", "holds": "> 0.1", "predicts": "> 0.5"},
    {"of": "cancellation_ratio", "statistic": "layers_passing", "holds": "< 0.99", "predicts": ">= 0.97"},
    {"of": ["last_gain", "output_entropy"], "statistic": "pearson", "predicts": "> -0.99"},
    {"of": ["cos_attention_mlp", "cancellation_ratio"], "layer": "last", "statistic": "spearman", "predicts": "> -0.9"},
    {"of": "cancellation_ratio", "layer": "mean", "statistic": "difference_of_groups", "groups": GROUPS,
     "predicts": "within [-1, 0.99]"},
    {"of": ["output_entropy", "residual_norm"], "layer": 3, "statistic": "slope", "predicts": "< 1.7"},
    {"of": ["cancellation_ratio", "attention_growth"], "layer": "first", "statistic": "slope", "predicts": "< 1.9"},
    {"of": ["layer_gain", "last_gain"], "layer": 7, "statistic": "pearson", "predicts": "> 0.8"},
    {"of": ["cancellation_ratio", "attention_gain"], "layer": "last", "statistic": "paired_difference",
     "predicts": "< 0.9"},
]  # fmt: skip


@pytest.mark.parametrize("keys", VACUOUS, ids=str)
def test_what_no_data_can_break_is_vacuous(keys):
    assert search_generated_data(test_of(**keys)).verdict is Verdict.SUPPORTED


@pytest.mark.parametrize("keys", NEIGHBOURS, ids=str)
def test_a_near_neighbour_is_broken_by_data_that_could_be_measured(keys):
    found = search_generated_data(test_of(**keys))
    assert found.verdict is Verdict.REFUTED, found.why
    assert found.estimate is not None
    assert found.estimate.value not in test_of(**keys).region
    assert found.share is not None
    assert found.share < 1


def test_a_bound_that_only_the_size_of_vocabularies_gives_is_found_by_search_alone():
    found = search_generated_data(test_of(of="output_entropy", predicts="< 14"))  # log of a million tokens is 13.8
    assert found.verdict is Verdict.SUPPORTED
    assert found.share == 1
    assert "none of" in found.why


GENERATED = [name for name in METRICS if METRICS[name].reads == "forward"]


@pytest.mark.parametrize("name", [name for name in METRICS if name not in GENERATED])
def test_no_data_are_generated_for_what_another_pass_reads_so_nothing_is_said(name):
    layer = {"layer": "last"} if METRICS[name].per == "layer" else {}
    changed = {"under": "skip-block"} if PASSES[METRICS[name].reads].compares else {}
    found = search_generated_data(MeasuredTest(statistic="mean", of=name, predicts="< 0.5", **layer, **changed))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "no data can be generated" in found.why


@pytest.mark.parametrize(
    ("predicts", "vacuous"), [("> -1.000001", True), ("< 0", False), ("> -0.5", False), ("within [-1, 1]", True)]
)
def test_a_difference_under_an_intervention_reaches_as_far_as_two_of_its_values_can_lie_apart(predicts, vacuous):
    changed = {"under": "ablate-mlp", "against": "plain"}
    found = search_generated_data(MeasuredTest(statistic="mean", of="top_probability", predicts=predicts, **changed))
    assert (found.verdict is Verdict.SUPPORTED) == vacuous


@pytest.mark.parametrize("name", GENERATED)
def test_generated_data_stay_in_the_range_of_every_metric(name):
    values = evaluate(name, pool(3)).values
    low, high = METRICS[name].range
    values = values[np.isfinite(values)]
    assert len(values) > 100
    assert values.min() >= low - vacuity.SLACK
    assert values.max() <= high + vacuity.SLACK


@pytest.mark.parametrize("predicts", ["> 1", "within [1.09, 1.13]"])
def test_generated_prompts_are_read_as_matrices_too(predicts):
    test = MeasuredTest(statistic="mean", of="last_gain", position="whole", predicts=predicts)
    assert not vacuity.is_vacuous(test)
    of_tokens, of_prompts = (pool(3).view(position, centred=False) for position in ("last", "whole"))
    assert (of_prompts.norm("block_output") >= of_tokens.norm("block_output") * (1 - 1e-9)).all()


@pytest.mark.parametrize("norm", ["raw", "centred"])
def test_generated_blocks_add_up_and_their_products_obey_cauchy_and_schwarz(norm):
    view = pool(3).view("all", centred=norm == "centred")
    sizes = {tap: view.norm(tap) for tap in ("block_input", "attention_update", "mlp_update", "block_output")}
    pairs = [("block_input", "attention_update"), ("block_input", "mlp_update"), ("attention_update", "mlp_update")]
    for a, b in pairs:
        assert (np.abs(view.product(a, b)) <= sizes[a] * sizes[b] * (1 + 1e-9)).all()
    squared = sum(sizes[tap] ** 2 for tap in list(sizes)[:3]) + 2 * sum(view.product(a, b) for a, b in pairs)
    scale = sum(sizes[tap] for tap in list(sizes)[:3]) ** 2
    np.testing.assert_allclose(squared / scale, sizes["block_output"] ** 2 / scale, atol=1e-9)
    following = sizes["block_input"][:, 1:] / sizes["block_output"][:, :-1]
    assert np.nanmax(np.abs(following - 1)) < 1e-9  # a block reads what the one before it left


def test_generated_entropies_lie_between_none_and_the_log_of_the_keys():
    view = pool(3).view("last", centred=False)
    entropy, keys = view.column(ENTROPY_COLUMN), view.column(KEYS_COLUMN)
    assert (entropy >= 0).all()
    assert (entropy <= np.log(keys)).all()
    output, top = view.prompts_column("output_entropy"), view.prompts_column("top_probability")
    assert (output >= -np.log(top) - 1e-9).all()  # no distribution is less uncertain than its most probable token says


def test_the_share_counts_every_choice_of_data():
    keys = {"of": "last_gain", "statistic": "share_of_prompts", "holds": "> 1"}
    above, below = (search_generated_data(test_of(**keys, predicts=predicts)) for predicts in ("> 0.55", "<= 0.55"))
    assert above.share is not None
    assert below.share is not None
    assert above.share + below.share == pytest.approx(1)  # none of six prompts lies between


def test_hypothesis_finds_what_ready_choices_do_not(monkeypatch):
    def whole_pool(test, values, units):
        return iter([choices.as_samples(test, values, "prompt")])

    monkeypatch.setattr(choices, "_choices", whole_pool)
    monkeypatch.setattr(vacuity, "_FOUND", {})
    monkeypatch.setattr(choices, "_FITS", {})
    tried = []
    original = steer.steer
    monkeypatch.setattr(steer, "steer", lambda *args, **keys: (tried.append(1), original(*args, **keys)))
    found = search_generated_data(test_of(of="cos_attention_mlp", layer="last", predicts="< 0.3"))
    assert tried
    assert found.verdict is Verdict.REFUTED, found.why


def test_what_cannot_be_generated_or_takes_too_long_is_never_called_vacuous(monkeypatch):
    monkeypatch.setattr(vacuity, "_FOUND", {})
    monkeypatch.setattr(choices, "_FITS", {})
    monkeypatch.setattr(vacuity, "SECONDS", -1.0)
    found = search_generated_data(test_of(of="last_gain", predicts="< 1"))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "took longer" in found.why
    monkeypatch.setattr(vacuity, "_FOUND", {})
    monkeypatch.setattr(choices, "_FITS", {})

    def nothing(layers):
        raise KeyError("norm.somewhere")

    monkeypatch.setattr(choices, "pool", nothing)
    assert not is_vacuous(test_of(of="last_gain", predicts="< 1"))


def test_an_answer_is_found_once_and_is_always_the_same(monkeypatch):
    test = test_of(of="last_gain", predicts="< 1")
    first = search_generated_data(test)
    assert search_generated_data(test) is first
    monkeypatch.setattr(vacuity, "_FOUND", {})
    monkeypatch.setattr(choices, "_FITS", {})
    assert search_generated_data(test) == first


def test_a_boundary_may_foretell_worse_than_the_majority_so_above_zero_says_something():
    test = MeasuredTest.model_validate(
        {"statistic": "boundary", "of": "last_gain", "fact": "d_head", "holds": "< 1", "predicts": "> 0"}
    )
    assert not is_vacuous(test)
    assert is_vacuous(test.model_copy(update={"predicts": ">= -1"}))
    assert not is_vacuous(test.model_copy(update={"holds_above": True}))


def test_metrics_that_coincide_on_a_shallow_model_differ_on_the_models_own_depth():
    test = MeasuredTest.model_validate(
        {
            "statistic": "spearman",
            "of": ["late_over_early", "total_amplification"],
            "predicts": "> 0.9",
        }
    )
    assert is_vacuous(test, depth=3)
    assert not is_vacuous(test, depth=12)


@pytest.mark.parametrize("predicts", ["> 2", ">= 2"])
def test_a_number_of_tokens_that_only_the_prompt_set_guarantees_is_not_true_of_any_data(predicts):
    assert not is_vacuous(MeasuredTest(statistic="mean", of="prompt_length", predicts=predicts))
    assert is_vacuous(MeasuredTest(statistic="mean", of="prompt_length", predicts=">= 1"))


@pytest.mark.parametrize("depth", [3, 12, 30, 48])
def test_a_deep_stream_may_shrink_or_grow(depth: int) -> None:
    for predicts in (">= 1", "< 1"):
        assert not is_vacuous(MeasuredTest(statistic="mean", of="total_amplification", predicts=predicts), depth)


def test_an_entropy_below_the_log_of_the_models_own_vocabulary_is_vacuous_for_that_model():
    test = test_of(of="output_entropy", predicts="within [0, 11]")
    assert is_vacuous(test, vocabulary=50_257)  # its log is 10.82
    assert not is_vacuous(test, vocabulary=128_256)  # 11.76
    assert not is_vacuous(test)
    assert is_vacuous(test_of(of="top_probability", predicts="> 0.00001"), vocabulary=50_257)
    against = test_of(of="output_entropy", predicts="within [-11, 11]", against={"model": "llama-3.1-8b"})
    assert not is_vacuous(against, vocabulary=50_257)  # the other model may know more tokens
