"""Every metric against numpy on the vectors that the trace was made from."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import centre, make_trace, random_vectors, with_output

from refutable.errors import InstrumentError, NonFiniteError, NoSuchTap, Undecidable, UnknownName
from refutable.metrics import METRICS, RANGES, evaluate, trend_over_layers
from refutable.statistics import STATISTICS, Data
from refutable.traces.trace import (
    ENTROPY_COLUMN,
    centred_norm_column,
    centred_product_column,
    norm_column,
    product_column,
)

settings.load_profile("ci")  # no deadline on a busy machine, the same inputs every time

LENGTHS = (3, 1, 4)
VECTORS = random_vectors(LENGTHS)
TRACE = make_trace(VECTORS)


def norm(x):
    return np.linalg.norm(x, axis=-1)


def cosine(x, y):
    return (x * y).sum(axis=-1) / (norm(x) * norm(y))


def share(block, x):
    """Return the number of the block that stands where this one of 32 does."""
    return -(-block * x.shape[1] // 32)


# Each from one prompt's vectors, x (block input), y (block output), a and m (updates), ai and mi (what they
# read), of shape (positions, layers, D); the definitions are those of the metrics' docstrings.
BY_HAND = {
    "last_gain": lambda x, y, a, m, ai, mi: norm(y[:, -1]) / norm(x[:, -1]),
    "layer_gain": lambda x, y, a, m, ai, mi: norm(y) / norm(x),
    "total_amplification": lambda x, y, a, m, ai, mi: norm(y[:, -1]) / norm(y[:, 0]),
    "amplification_from_embedding": lambda x, y, a, m, ai, mi: norm(y[:, -1]) / norm(x[:, 0]),
    "residual_norm": lambda x, y, a, m, ai, mi: norm(y),
    "attention_gain": lambda x, y, a, m, ai, mi: norm(a) / norm(ai),
    "mlp_gain": lambda x, y, a, m, ai, mi: norm(m) / norm(mi),
    "attention_growth": lambda x, y, a, m, ai, mi: norm(a) / norm(x),
    "mlp_growth": lambda x, y, a, m, ai, mi: norm(m) / norm(x),
    "cos_attention_mlp": lambda x, y, a, m, ai, mi: cosine(a, m),
    "cos_attention_residual": lambda x, y, a, m, ai, mi: cosine(x, a),
    "cos_mlp_residual": lambda x, y, a, m, ai, mi: cosine(x, m),
    "cos_update_residual": lambda x, y, a, m, ai, mi: cosine(x, a + m),
    "update_growth": lambda x, y, a, m, ai, mi: norm(a + m) / norm(x),
    "attention_over_mlp": lambda x, y, a, m, ai, mi: norm(a) / norm(m),
    "late_over_early": lambda x, y, a, m, ai, mi: norm(y[:, share(30, y) - 1]) / norm(y[:, share(5, y) - 1]),
    "centred_share": lambda x, y, a, m, ai, mi: norm(centre(y)) / norm(y),
    "block_influence": lambda x, y, a, m, ai, mi: 1 - cosine(x, y),
    "uniform_cosine": lambda x, y, a, m, ai, mi: abs(y.sum(axis=-1)) / (math.sqrt(y.shape[-1]) * norm(y)),
    "cancellation_ratio": lambda x, y, a, m, ai, mi: norm(a + m) / (norm(a) + norm(m)),
    "gain_by_attention": lambda x, y, a, m, ai, mi: norm(x + a) / norm(x),
    "gain_without_opposition": lambda x, y, a, m, ai, mi: (
        np.sqrt(np.maximum(norm(y) ** 2 - 2 * (a * m).sum(axis=-1), 0)) / norm(x)
    ),
}
TAPS = ("block_input", "block_output", "attention_update", "mlp_update", "attention_input", "mlp_input")
POSITIONS = {"last": slice(-1, None), "first": slice(0, 1), "all": slice(1, None), "whole": slice(None)}


def as_matrix(x):
    """Return (positions, layers, D) as one vector a layer, (1, layers, positions * D): its norm is the matrix's."""
    return np.moveaxis(x, 0, 1).reshape(1, x.shape[1], -1)


def by_hand(name, vectors, position="last", form="raw"):
    """Return one row a prompt that has such a position: the mean of the metric over them, or that of the matrix."""
    taps = with_output(vectors)
    rows = []
    for prompt in range(len(taps["block_input"])):
        chosen = [taps[tap][prompt][POSITIONS[position]] for tap in TAPS]  # (positions, layers, D)
        given = [centre(x) if form == "centred" else x for x in chosen]
        if position == "whole" and name == "centred_share":  # centred token by token
            values = norm(as_matrix(centre(given[1]))) / norm(as_matrix(given[1]))
        elif position == "whole" and name == "uniform_cosine":  # of the tokens' means, each along a vector of its own
            along = given[1].sum(axis=-1) / math.sqrt(given[1].shape[-1])  # (positions, layers)
            values = (norm(along.T) / norm(as_matrix(given[1])[0]))[None]
        else:
            values = BY_HAND[name](*(map(as_matrix, given) if position == "whole" else given))
        if len(values):
            rows.append(values.mean(axis=0))
    return np.array(rows)


@pytest.mark.parametrize("form", ["raw", "centred"])
@pytest.mark.parametrize("name", BY_HAND)
def test_the_first_token_counts_or_does_not(name, form):
    sample = evaluate(name, TRACE, position="all", norm=form, first_token="with")
    everything = np.array([by_hand_at(name, VECTORS, p, slice(None), form) for p in range(len(TRACE))])
    np.testing.assert_allclose(sample.values, everything, rtol=2e-5, atol=2e-6)
    assert evaluate(name, TRACE, position="all", norm=form, first_token="without") is evaluate(
        name, TRACE, position="all", norm=form
    )
    assert evaluate(name, TRACE, norm=form, first_token="without") is evaluate(name, TRACE, norm=form), "of one token"
    if name != "centred_share":  # centred token by token
        later = evaluate(name, TRACE, position="whole", norm=form, first_token="without").values
        cut = {tap: [one[1:] for one in of if len(one) > 1] for tap, of in VECTORS.items()}
        np.testing.assert_allclose(later, by_hand(name, cut, "whole", form), rtol=2e-5, atol=2e-6)


def by_hand_at(name, vectors, prompt, positions, form):
    """Return the mean of a metric over positions of a prompt."""
    taps = with_output(vectors)
    chosen = [taps[tap][prompt][positions] for tap in TAPS]
    return BY_HAND[name](*(centre(x) if form == "centred" else x for x in chosen)).mean(axis=0)


@pytest.mark.parametrize("name", [name for name in METRICS if METRICS[name].per == "layer" and name in BY_HAND])
def test_the_first_block_counts_in_a_mean_over_layers_or_does_not(name):
    each = evaluate(name, TRACE, position="all").values
    for first_block, start in ((None, 0), ("with", 0), ("without", 1)):
        found = evaluate(name, TRACE, position="all", layer="mean", first_block=first_block).values
        np.testing.assert_allclose(found, each[:, start:].mean(axis=1), rtol=1e-12)


def test_every_metric_is_held_against_numpy_here():
    entropies = {"attention_entropy", "attention_entropy_normalised"}
    outputs = {"output_entropy", "top_probability", "prompt_length", "prompt_complexity", "gain_after_final_norm"}
    assert {name for name in METRICS if METRICS[name].reads == "forward"} == {*BY_HAND} | entropies | outputs


@pytest.mark.parametrize("form", ["raw", "centred"])
@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("name", BY_HAND)
def test_a_metric_equals_numpy_on_the_vectors(name, position, form):
    sample = evaluate(name, TRACE, position=position, norm=form)
    expected = by_hand(name, VECTORS, position, form)
    np.testing.assert_allclose(sample.values, expected, rtol=2e-5, atol=2e-6)  # primitives are float32: eps 1.2e-7
    assert sample.unit == "prompt"


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(1, 4))
def test_a_metric_equals_numpy_whatever_the_vectors(seed, lengths, layers):
    vectors = random_vectors(lengths, layers, 6, seed)
    trace = make_trace(vectors)
    for name in BY_HAND:
        for form in ("raw", "centred"):
            np.testing.assert_allclose(
                evaluate(name, trace, norm=form).values,
                by_hand(name, vectors, form=form),
                rtol=1e-3,
                atol=1e-4,
            )


@pytest.mark.parametrize("name", [name for name in BY_HAND if METRICS[name].unit in ("ratio", "cosine")])
def test_a_ratio_or_an_angle_is_unchanged_by_the_scale_of_the_stream(name):
    scaled = {tap: [8.0 * one for one in of] for tap, of in VECTORS.items()}
    # a power of two, so float32 scales exactly
    np.testing.assert_allclose(evaluate(name, make_trace(scaled)).values, evaluate(name, TRACE).values, rtol=1e-12)


@pytest.mark.parametrize("name", BY_HAND)
def test_the_centred_form_is_blind_to_a_constant_along_the_mean_direction(name):
    shifted = {tap: [one + 3.0 for one in of] for tap, of in VECTORS.items()}
    raw, centred = (
        evaluate(name, make_trace(shifted), norm=form).values - evaluate(name, TRACE, norm=form).values
        for form in ("raw", "centred")
    )
    assert np.abs(centred).max() < 1e-4
    assert np.abs(raw).max() > 1e-2


def test_known_angles_and_their_cancellation():
    e1, e2 = np.eye(2)
    pairs = {"parallel": (e1, e1), "orthogonal": (e1, e2), "opposite": (e1, -e1)}
    expected = {
        "parallel": (1, 1),
        "orthogonal": (0, 0.5**0.5),
        "opposite": (-1, 0),
    }  # |e1 + e2| / 2 = sqrt(2) / 2
    for name, (a, m) in pairs.items():
        vectors = {tap: [np.ones((1, 1, 2))] for tap in ("block_input", "attention_input", "mlp_input")}
        vectors |= {"attention_update": [a.reshape(1, 1, 2)], "mlp_update": [m.reshape(1, 1, 2)]}
        trace = make_trace(vectors)
        found = [evaluate(one, trace).values[0, 0] for one in ("cos_attention_mlp", "cancellation_ratio")]
        assert found == pytest.approx(expected[name], abs=1e-6)


def test_updates_that_oppose_each_other_contract_alone_and_not_at_right_angles():
    x, a, m = np.array([5.0, 0, 0]), np.array([-0.5, 3, 0]), np.array([-0.5, -3, 0])
    vectors = {"block_input": x, "attention_update": a, "mlp_update": m, "attention_input": x, "mlp_input": x}
    trace = make_trace({tap: [of.reshape(1, 1, 3)] for tap, of in vectors.items()})
    turned = np.array([-0.5, -1 / 12, (9 - 1 / 144) ** 0.5])  # m, as long and as oblique to x, at right angles to a
    assert (norm(turned), turned @ x, turned @ a) == pytest.approx((norm(m), m @ x, 0))
    found = {name: evaluate(name, trace).values[0, 0] for name in ("layer_gain", "gain_by_attention")}
    assert found == pytest.approx({"layer_gain": 0.8, "gain_by_attention": 29.25**0.5 / 5})
    without = evaluate("gain_without_opposition", trace).values[0, 0]
    assert without == pytest.approx(norm(x + a + turned) / 5)
    assert without > 1


# Entropies and outputs


@pytest.mark.parametrize(("form", "column"), [("raw", "norm.head_input"), ("centred", "centred_norm.head_input")])
def test_the_gain_after_the_final_norm_divides_what_the_unembedding_reads_by_what_the_last_block_reads(form, column):
    read = [centre(one[-1, -1]) if form == "centred" else one[-1, -1] for one in VECTORS["block_input"]]
    expected = np.array(TRACE.prompts[column].to_pylist()) / norm(np.stack(read))
    np.testing.assert_allclose(evaluate("gain_after_final_norm", TRACE, norm=form).values, expected, rtol=1e-6)


def test_attention_entropy_is_that_of_the_last_query_and_its_share_is_of_the_log_of_the_keys_it_sees():
    entropy = np.array([[0.1, 0.2, 0.3], [0.0, 0.0, 0.0], [1.0, 1.1, 1.2]])
    trace = make_trace(VECTORS, entropy=entropy)
    np.testing.assert_allclose(evaluate("attention_entropy", trace).values, entropy, rtol=1e-6)
    share = evaluate("attention_entropy_normalised", trace).values
    np.testing.assert_allclose(share[0], entropy[0] / np.log(3), rtol=1e-6)  # prompt 0 has 3 tokens: 3 visible keys
    np.testing.assert_allclose(share[2], entropy[2] / np.log(4), rtol=1e-6)
    assert np.isnan(share[1]).all()  # one key: 0/0


def test_a_metric_that_is_undefined_on_a_prompt_reaches_no_verdict():
    sample = evaluate("attention_entropy_normalised", make_trace(VECTORS, entropy=np.zeros((3, 3))), layer="last")
    with pytest.raises(Undecidable, match="1 of 3 values of attention_entropy_normalised are not finite"):
        STATISTICS["mean"].fit(Data((sample,)))


def test_a_zero_vector_has_no_angle_and_gives_nan_without_a_warning():
    vectors = {tap: [np.zeros((2, 1, 3))] for tap in VECTORS}
    for name in BY_HAND:
        values = evaluate(name, make_trace(vectors)).values
        assert np.isnan(values).all() or name == "residual_norm"


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("output_entropy", "output_entropy"),
        ("top_probability", "top_probability"),
        ("prompt_length", "tokens"),
        ("prompt_complexity", "complexity"),
    ],
)
def test_an_output_metric_is_its_column_of_the_prompt_table(name, column):
    assert evaluate(name, TRACE).values.tolist() == pytest.approx(TRACE.prompts[column].to_pylist())


def test_prompts_whose_complexity_nobody_gave_have_none():
    with pytest.raises(NoSuchTap, match="gives no `complexity:`"):
        evaluate("prompt_complexity", make_trace(VECTORS, prompts={"complexity": [1.0, None, 2.0]}))


@pytest.mark.parametrize(("layers", "late", "early"), [(32, 30, 5), (36, 34, 6), (1, 1, 1), (3, 3, 1)])
def test_late_over_early_reads_blocks_30_and_5_of_32_and_the_same_shares_of_other_depths(layers, late, early):
    trace = make_trace(random_vectors((2,), layers))
    norms = evaluate("residual_norm", trace).values
    expected = norms[:, late - 1] / norms[:, early - 1]
    np.testing.assert_allclose(evaluate("late_over_early", trace).values, expected, rtol=1e-12)


# Layers


@pytest.mark.parametrize(
    ("layer", "pick"),
    [
        ("first", lambda x: x[:, 0]),
        ("last", lambda x: x[:, 2]),
        ("mean", lambda x: x.mean(axis=1)),
        (2, lambda x: x[:, 1]),  # layers count from 1
        ("each", lambda x: x),
        (None, lambda x: x),
    ],
)
def test_a_layer_is_picked_by_name_or_by_number_from_1(layer, pick):
    np.testing.assert_array_equal(
        evaluate("layer_gain", TRACE, layer=layer).values, pick(evaluate("layer_gain", TRACE).values)
    )


@pytest.mark.parametrize("layer", [4, 0, -1])
def test_a_layer_that_the_model_lacks_is_refused_and_never_counted_from_the_end(layer):
    with pytest.raises(NoSuchTap, match=f"made-up has 3 layers; there is no layer {layer}"):
        evaluate("layer_gain", TRACE, layer=layer)


# Positions


def test_all_positions_leave_out_the_first_and_the_prompts_that_have_no_other():
    sample = evaluate("last_gain", TRACE, position="all")
    assert sample.n == 2  # of lengths 3, 1 and 4 the second has only a first token
    assert sample.clusters == ("category 0", "category 2")


def test_a_set_of_one_token_prompts_has_no_value_at_all_positions_and_no_verdict():
    sample = evaluate("last_gain", make_trace(random_vectors((1, 1))), position="all")
    assert sample.n == 0
    with pytest.raises(Undecidable):
        STATISTICS["mean"].fit(Data((sample,)))


def test_what_a_trace_was_asked_before_changes_no_answer():
    old = make_trace(random_vectors())
    asked = [
        (name, position, form, layer)
        for name in ("layer_gain", "residual_norm")
        for position in ("last", "all")
        for form in ("raw", "centred")
        for layer in ("first", "last", 2, None)
    ]
    for _ in range(2):
        for name, position, form, layer in asked:
            how = {"position": position, "norm": form, "layer": layer}
            found, fresh = evaluate(name, old, **how), evaluate(name, make_trace(random_vectors()), **how)
            assert (found.values == fresh.values).all()
            with pytest.raises(ValueError, match="read-only"):
                found.values[0] = 0


def test_a_prompt_keeps_its_category():
    assert evaluate("last_gain", TRACE).clusters == ("category 0", "category 1", "category 2")


# What cannot be believed, and what is not there


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_an_error_that_names_model_layer_and_dtype(value):
    trace = make_trace(VECTORS, spoiled={norm_column("block_output"): (2, 3, 2, value)})
    with pytest.raises(NonFiniteError) as caught:
        evaluate("layer_gain", trace)
    for word in ("made-up", "float16", "layer 2", "prompt 2", "norm.block_output", str(value)):
        assert word in str(caught.value)


def test_claims_on_finite_primitives_of_the_same_trace_stand():
    trace = make_trace(VECTORS, spoiled={norm_column("block_output"): (2, 3, 2, np.nan)})
    np.testing.assert_array_equal(evaluate("mlp_growth", trace).values, evaluate("mlp_growth", TRACE).values)
    first = evaluate("layer_gain", trace, position="first")  # the bad value is at the last position
    np.testing.assert_array_equal(first.values, evaluate("layer_gain", TRACE, position="first").values)


def test_the_centred_form_reads_the_centred_column_alone():
    trace = make_trace(VECTORS, spoiled={centred_norm_column("block_output"): (0, 2, 1, np.nan)})
    assert evaluate("layer_gain", trace).n == 3
    with pytest.raises(NonFiniteError, match="centred_norm"):
        evaluate("layer_gain", trace, norm="centred")


@pytest.mark.parametrize("form", ["raw", "centred"])
def test_a_column_that_the_architecture_lacks_says_so_and_why(form):
    name = product_column if form == "raw" else centred_product_column
    column = name("attention_update", "mlp_update")
    trace = make_trace(VECTORS, absent={column: "its blocks are post-norm and add no updates"})
    with pytest.raises(NoSuchTap, match=r"made-up in float16 has no (centred_)?dot\..*: its blocks are post-norm"):
        evaluate("cos_attention_mlp", trace, norm=form)
    assert evaluate("last_gain", trace).n == 3


def test_a_whole_prompt_is_decided_by_its_longest_token_and_the_last_token_is_not():
    vectors = {tap: [one.copy() for one in of] for tap, of in VECTORS.items()}
    for tap in ("block_input", "attention_update", "mlp_update"):
        for one in vectors[tap]:
            one[0] *= 4096.0  # a massive first token
    heavy = make_trace(vectors)
    first, whole = (evaluate("last_gain", heavy, position=position).values for position in ("first", "whole"))
    np.testing.assert_allclose(whole, first, rtol=1e-4)
    np.testing.assert_array_equal(evaluate("last_gain", heavy).values[0], evaluate("last_gain", TRACE).values[0])


@pytest.mark.parametrize("name", ["attention_entropy", "attention_entropy_normalised"])
def test_a_whole_prompt_has_no_attention_entropy(name):
    with pytest.raises(NoSuchTap, match="of a whole prompt: it is of one token"):
        evaluate(name, TRACE, position="whole")


def test_a_value_that_is_no_number_anywhere_in_a_prompt_spoils_the_whole():
    trace = make_trace(VECTORS, spoiled={"norm.block_output": (0, 0, 2, float("nan"))})
    with pytest.raises(NonFiniteError, match=r"norm\.block_output is nan at layer 2 of prompt 0"):
        evaluate("layer_gain", trace, position="whole")
    assert np.isfinite(evaluate("layer_gain", trace).values).all()


def test_attention_entropy_at_other_positions_is_missing_and_not_nan():
    with pytest.raises(NoSuchTap, match="attention_entropy at some of these positions"):
        evaluate("attention_entropy", TRACE, position="all")


def test_an_absent_entropy_says_so():
    trace = make_trace(VECTORS, absent={ENTROPY_COLUMN: "this attention shows no probabilities"})
    with pytest.raises(NoSuchTap, match="shows no probabilities"):
        evaluate("attention_entropy", trace)


def test_an_output_that_is_not_finite_or_not_there_is_an_error():
    with pytest.raises(NonFiniteError, match="made-up in float16: output_entropy is nan for prompt 1"):
        evaluate("output_entropy", make_trace(VECTORS, prompts={"output_entropy": [1.0, np.nan, 2.0]}))
    with pytest.raises(InstrumentError, match="has no output_entropy"):
        evaluate("output_entropy", make_trace(VECTORS, prompts={"output_entropy": [1.0, None, 2.0]}))


def test_an_unknown_metric_is_refused_with_the_nearest():
    with pytest.raises(UnknownName, match=r"unknown metric 'last_gian'; known: .* Did you mean 'last_gain'\?"):
        evaluate("last_gian", TRACE)


@pytest.mark.parametrize("name", [*METRICS])
def test_every_metric_says_what_it_is(name):
    metric = METRICS[name]
    assert metric.doc
    assert metric.name == name
    assert metric.unit in RANGES
    assert metric.last_only or metric.reads == "forward"
    assert metric.per in ("prompt", "layer")


@pytest.mark.parametrize("name", [name for name in METRICS if METRICS[name].reads == "forward"])
def test_a_metric_has_a_norm_where_centring_changes_its_values(name):
    raw, centred = (evaluate(name, TRACE, norm=form).values for form in ("raw", "centred"))
    assert METRICS[name].has_norm == (not np.array_equal(raw, centred, equal_nan=True))


def test_a_trend_over_layers_is_the_median_slope_of_pairs_of_layers():
    values = np.array([[1.0, 2.0, 3.0, 100.0], [4.0, 3.0, 2.0, 1.0], [5.0, 5.0, 5.0, 5.0]])
    # of the first: 1, 1, 33, 1, 49, 97 over pairs (1,2) (1,3) (1,4) (2,3) (2,4) (3,4): the median is (1 + 33) / 2
    assert trend_over_layers(values, "m", None).tolist() == [17.0, -1.0, 0.0]
    assert trend_over_layers(values, "m", "without").tolist() == [49.0, -1.0, 0.0]
    with pytest.raises(NoSuchTap, match="a trend over layers takes two"):
        trend_over_layers(values[:, :2], "m", "without")


@pytest.mark.parametrize("layer", ["greatest", "least"])
def test_the_greatest_and_the_least_layer_are_each_prompts_own(layer):
    trace = make_trace(random_vectors())
    each = evaluate("layer_gain", trace).values
    of = np.max if layer == "greatest" else np.min
    np.testing.assert_array_equal(evaluate("layer_gain", trace, layer=layer).values, of(each, axis=1))
    later = evaluate("layer_gain", trace, layer=layer, first_block="without").values
    np.testing.assert_array_equal(later, of(each[:, 1:], axis=1))
