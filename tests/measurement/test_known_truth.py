"""Known truth: weights made so that each metric has a closed form, and the instrument reads that form."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from constructed import HEADS, KINDS, LAYERS, VOCABULARY, Array, D, Targets, build, entropy, truth, vectors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tiny import prompt_set

from refutable.measurement.passes.forward import run_pass
from refutable.metrics import METRICS, evaluate
from refutable.traces.trace import KEYS_COLUMN, Trace

TOKENS, LENGTHS = 3, (2, 7, 12)
EXACT = 1e-5
CENTRING = [name for name, kind in KINDS.items() if kind.centring]
DRAWN = settings(
    max_examples=15, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


def between(low: float, high: float, *shape: int) -> st.SearchStrategy[Array]:
    return arrays(float, shape, elements=st.floats(low, high))


@st.composite
def targets(draw: Any, *, tokens: int = TOKENS, means: bool = False) -> Targets:
    """Draw a geometry in which no vector is many times another's length.

    Tokens are told apart to float32's eps, so each update carries eps times the longest update of any token. Over
    3,500 draws from these ranges, corners included, the worst metric is off by 2.6e-6.
    """
    gain = draw(between(0.7, 1.4, tokens, LAYERS))
    share = draw(between(0.05, 0.6, tokens, LAYERS))  # of the lengths that an update of this gain can have
    t = Targets(
        radius=draw(between(6.0, 10.0, tokens)),
        gain=gain,
        update=np.abs(gain - 1) + share * 2 * np.minimum(gain, 1),
        ratio=draw(between(0.5, 2.0, tokens, LAYERS)),
        cosine=draw(between(-0.7, 0.9, tokens, LAYERS)),
        scales=draw(between(0.25, 4.0, LAYERS, 2)),
        mean=0.0,
        attention_mean=np.zeros((tokens, LAYERS)),
        mlp_mean=np.zeros((tokens, LAYERS)),
    )
    if not means:
        return t
    # In proportion to the vectors: an inner product is centred by taking D means off a float32 product, which leaves
    # eps |x| |y| / (|x_centred| |y_centred|) of a cosine, and not 1e-5 where means are many times the rest.
    one = t.radii[:, :-1] / math.sqrt(D)
    return replace(
        t,
        mean=draw(st.floats(-0.3, 0.3)) * float(t.radius.min()) / math.sqrt(D),
        attention_mean=draw(between(-0.3, 0.3, tokens, LAYERS)) * t.attention * one,
        mlp_mean=draw(between(-0.3, 0.3, tokens, LAYERS)) * t.mlp * one,
    )


def read(name: str, t: Targets, seed: int = 0, **how: Any) -> Trace:
    """Measure a constructed model; prompt i is token i, `LENGTHS[i]` times."""
    ids = tuple((token,) * n for token, n in zip(range(len(t.radius)), LENGTHS, strict=False))
    model = build(name, t, vectors(KINDS[name], t, seed), ids, **how)
    return run_pass(model, prompt_set(LENGTHS[: len(ids)]), "key", {"model": name, "dtype": model.subject.dtype})


def check(trace: Trace, expected: dict[str, Array], norm: str, tolerance: float = EXACT) -> None:
    """Assert that every metric is its closed form: cosines absolutely, the others relatively."""
    for metric, form in expected.items():
        got = evaluate(metric, trace, norm=norm).values
        slack = {"atol": tolerance, "rtol": 0} if METRICS[metric].unit == "cosine" else {"rtol": tolerance}
        np.testing.assert_allclose(got, form, **slack, err_msg=f"{metric}, {norm}")


@pytest.mark.parametrize("name", KINDS)
@DRAWN
@given(t=targets(), seed=st.integers(0, 1000))
def test_every_metric_reads_its_closed_form(name: str, t: Targets, seed: int) -> None:
    trace = read(name, t, seed)
    r, scale = t.radii[:, :-1], t.scales[:, 0]
    said = truth(KINDS[name], t, centred=False)
    plainly = {  # what was asked for, without a detour
        "last_gain": t.gain[:, -1],
        "layer_gain": t.gain,
        "total_amplification": t.gain[:, 1] * t.gain[:, 2],
        "attention_growth": t.attention,
        "mlp_growth": t.mlp,
        "attention_gain": t.attention * np.sqrt(r**2 + D * KINDS[name].eps) / (scale * np.sqrt(D)),
        "cos_attention_mlp": t.cosine,
        "cos_update_residual": t.against,
        "cancellation_ratio": t.update / (t.attention + t.mlp),
    }
    for metric, form in plainly.items():
        np.testing.assert_allclose(said[metric], form, rtol=1e-9, atol=1e-12)
    for norm in ("raw", "centred") if KINDS[name].centring else ("raw",):
        check(trace, said, norm)


@pytest.mark.parametrize("name", CENTRING)
@DRAWN
@given(t=targets(means=True), seed=st.integers(0, 1000))
def test_a_mean_over_the_width_is_counted_raw_and_not_counted_centred(name: str, t: Targets, seed: int) -> None:
    trace = read(name, t, seed)
    check(trace, truth(KINDS[name], t, centred=False), "raw")
    check(trace, truth(KINDS[name], t, centred=True), "centred")
    np.testing.assert_allclose(evaluate("layer_gain", trace, norm="centred").values, t.gain, rtol=EXACT)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("gain", [0.80, 1.0, 1.25])
def test_a_gain_of_080_exactly(name: str, gain: float) -> None:
    trace = read(name, even(gain))
    np.testing.assert_allclose(evaluate("last_gain", trace).values, gain, rtol=EXACT)
    np.testing.assert_allclose(evaluate("total_amplification", trace).values, gain**2, rtol=EXACT)


@pytest.mark.parametrize("name", KINDS)
def test_uniform_attention_has_the_entropy_of_its_keys(name: str) -> None:
    trace = read(name, even(0.8))
    expected = np.array([entropy(KINDS[name], n, "uniform") for n in LENGTHS])
    found = evaluate("attention_entropy", trace).values
    np.testing.assert_allclose(found, np.repeat(expected[:, None], LAYERS, axis=1), rtol=EXACT)
    if not KINDS[name].alibi:
        np.testing.assert_allclose(found, np.log(LENGTHS)[:, None].repeat(LAYERS, axis=1), rtol=EXACT)
        np.testing.assert_allclose(evaluate("attention_entropy_normalised", trace).values, 1, rtol=EXACT)


def test_alibi_s_entropy_is_that_of_its_slopes() -> None:
    for keys in LENGTHS:
        scores = np.array([2.0 ** (-8 * h / HEADS) for h in range(1, HEADS + 1)])[:, None] * np.arange(keys)
        p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        assert entropy(KINDS["bloom"], keys, "uniform") == pytest.approx(-(p * np.log(p)).sum(axis=1).mean(), rel=1e-9)


@pytest.mark.parametrize("name", KINDS)
def test_attention_to_one_key_has_no_entropy_and_the_last_token_its_own_path(name: str) -> None:
    t = even(0.8)
    ids = ((1, 1, 0), (2, 2, 2, 2, 1), (0, 2))  # the last token meets its kind for the first time
    model = build(name, t, vectors(KINDS[name], t, 0), ids, attention="own")
    trace = run_pass(model, prompt_set([len(one) for one in ids]), "key", {"model": name, "dtype": "float32"})
    assert evaluate("attention_entropy", trace).values.max() < EXACT
    check(trace, truth(KINDS[name], t, centred=False), "raw")


@pytest.mark.parametrize("name", KINDS)
def test_a_key_that_gets_no_weight_is_visible_all_the_same(name: str) -> None:
    t = even(0.8)
    ids = ((1, 1, 0), (2, 2, 2, 2, 1), (0, 2))
    model = build(name, t, vectors(KINDS[name], t, 0), ids, attention="own")
    trace = run_pass(model, prompt_set([len(one) for one in ids]), "key", {"model": name, "dtype": "float32"})
    keys = trace.view("last", centred=False).column(KEYS_COLUMN)
    np.testing.assert_array_equal(keys, np.array([[len(one)] * LAYERS for one in ids]))
    assert np.abs(evaluate("attention_entropy_normalised", trace).values).max() < EXACT


@pytest.mark.parametrize("name", KINDS)
def test_a_head_of_zeros_knows_nothing_of_the_next_token(name: str) -> None:
    trace = read(name, even(0.8))
    np.testing.assert_allclose(evaluate("output_entropy", trace).values, np.log(VOCABULARY), rtol=EXACT)
    np.testing.assert_allclose(evaluate("top_probability", trace).values, 1 / VOCABULARY, rtol=EXACT)


def even(gain: float, tokens: int = TOKENS) -> Targets:
    """Return a plain geometry with one gain everywhere."""
    same = np.ones((tokens, LAYERS))
    none = 0 * same
    return Targets(
        np.linspace(5.0, 9.0, tokens), gain * same, 0.7 * same, 1.5 * same, -0.3 * same, same[0, :, None] * [[0.5, 2]],
        0.0, none, none,
    )  # fmt: skip


# Low precision. u is the unit roundoff of bfloat16 (8 significant bits), gamma(k) = k u / (1 - k u) bounds the relative
# error of k roundings in a row (Higham, Accuracy and Stability of Numerical Algorithms, lemma 3.1); sums are kept in
# float32 inside a product and cost nothing beside it. One token, so that the matrices have rank one.
#
# A norm's output: normalised, scale stored, scaled: 3 roundings of each channel. The mark w n, w = n / |n|^2 stored: 4
# roundings of each term (all terms are positive, so of the sum), and, the stream being off by an angle, a factor
# cos(angle) >= 1 - e^2 / 2, e = error of the stream over its norm; stored: 5. Attention weights 1/T stored, averaged,
# stored: 8 with one for a kernel that keeps unnormalised weights. Output matrix stored, product stored: 10. A post-norm
# undoes (part of) a scalar's error and adds 3: 13.
# MLP: mark 5 and the activation 6, gated: times 5 more and stored 12; last matrix and product stored: 14; post-norm 17.
# Stream: the embedding 2 (a scale and a norm: 5); a block's two sums, of vectors no longer than |x| + |a| + |m|.

U = 2.0**-8
ATTENTION_ROUNDINGS, MLP_ROUNDINGS, EMBEDDING_ROUNDINGS = 13, 17, 5


def gamma(k: float) -> float:
    return k * U / (1 - k * U)


def bfloat16_bounds(t: Targets) -> tuple[Array, Array, Array]:
    """Return how far layer gains and growths may be off, relatively, each (tokens, LAYERS)."""
    r, a, m = t.radii, t.attention * t.radii[:, :-1], t.mlp * t.radii[:, :-1]
    off = gamma(EMBEDDING_ROUNDINGS) * r[:, 0]  # of the stream, as a length
    gains, attention, mlp = np.zeros((3, *a.shape))
    for layer in range(LAYERS):
        x, y, u = r[:, layer], r[:, layer + 1], t.update[:, layer] * r[:, layer]
        of_a = gamma(ATTENTION_ROUNDINGS) + (off / x) ** 2 / 2
        middle = off + of_a * a[:, layer] + gamma(1) * (x + a[:, layer])  # what a sequential MLP reads is off by this
        of_m = gamma(MLP_ROUNDINGS) + (middle / (x - a[:, layer])) ** 2 / 2
        lengths = off + x + (1 + of_a) * a[:, layer] + (1 + of_m) * m[:, layer]
        fresh = of_a * a[:, layer] + of_m * m[:, layer] + 2 * gamma(1) * lengths
        # |grad log(|x + u| / |x|)| = |u| / (|x| |x + u|), so what is off already tells only as far as u turns it.
        gains[:, layer] = np.expm1(off * u / ((x - off) * (y - off)) + fresh / (y - off - fresh))
        attention[:, layer], mlp[:, layer] = ((1 + of) / (1 - off / x) - 1 for of in (of_a, of_m))
        off = off + fresh
    return gains, attention, mlp


@st.composite
def mild(draw: Any) -> Targets:
    """One token whose blocks add little, so that the bound says something after three of them."""
    gain = draw(between(0.8, 1.25, 1, LAYERS))
    none = np.zeros((1, LAYERS))
    return Targets(
        radius=draw(between(4.0, 16.0, 1)),
        gain=gain,
        update=np.abs(gain - 1) + draw(between(0.01, 0.1, 1, LAYERS)),
        ratio=draw(between(0.5, 2.0, 1, LAYERS)),
        cosine=draw(between(0.0, 0.95, 1, LAYERS)),
        scales=draw(between(0.5, 2.0, LAYERS, 2)),
        mean=0.0,
        attention_mean=none,
        mlp_mean=none,
    )


@pytest.mark.parametrize("name", KINDS)
@DRAWN
@given(t=mild(), seed=st.integers(0, 1000))
def test_bfloat16_is_off_by_no_more_than_its_roundings(name: str, t: Targets, seed: int) -> None:
    trace = read(name, t, seed, dtype="bfloat16")
    expected = truth(KINDS[name], t, centred=False)
    bounds = dict(zip(("layer_gain", "attention_growth", "mlp_growth"), bfloat16_bounds(t), strict=True))
    for metric, bound in bounds.items():
        off = np.abs(evaluate(metric, trace).values / expected[metric] - 1)
        assert (off <= bound).all(), f"{metric}: {(off / bound).max():.2f} of its bound"
    assert bounds["layer_gain"].max() < 0.2, "or else the bound says nothing"
    off = np.abs(evaluate("attention_gain", trace).values / expected["attention_gain"] - 1)
    assert (off <= (gamma(16) + bounds["attention_growth"])).all()
