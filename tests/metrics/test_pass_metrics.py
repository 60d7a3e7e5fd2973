"""Metrics of the last-token passes against numpy, on tables made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refutable.errors import NonFiniteError, NoSuchTap, NotMeasured
from refutable.metrics import METRICS, evaluate
from refutable.traces.passes import (
    DEPTH_COSINE,
    HEAD_STEMS,
    INDUCTION,
    JACOBIAN_NORM,
    JACOBIAN_RADIUS,
    JACOBIAN_RESIDUAL,
    KEPT_DIVERGENCE,
    KEPT_TOP,
    LARGEST,
    LENS_DIVERGENCE,
    LENS_ENTROPY,
    LINEARITY,
    LOSS,
    MEDIAN,
    PERTURBATION_STEMS,
    RADIUS_RESIDUAL,
    RANK_IN,
    RANK_OUT,
    REACH_TOKENS,
    REACH_WRITE,
    SINK_ATTENTION,
    SINK_RATE,
    THROUGH_NORM,
    THROUGH_RESIDUAL,
    TOKEN_COSINE,
    TOKEN_COSINE_LESS,
    UPDATE_LINEARITY,
    VARIANCE_IN,
    VARIANCE_OUT,
    WHERE_LARGEST,
    paired,
)
from refutable.traces.trace import Trace, centred_norm_column, norm_column

settings.load_profile("ci")
PROMPTS, LAYERS = 4, 6
STREAM = [column(tap) for tap in ("block_input", "block_output") for column in (norm_column, centred_norm_column)]
COORDINATES = (LARGEST, MEDIAN, WHERE_LARGEST, TOKEN_COSINE, *TOKEN_COSINE_LESS.values())
OTHERS = (LINEARITY, UPDATE_LINEARITY, RANK_IN, RANK_OUT, VARIANCE_IN, VARIANCE_OUT, REACH_TOKENS, *COORDINATES)
THROUGH = (THROUGH_NORM, THROUGH_RESIDUAL)
STEMS = (*PERTURBATION_STEMS, *HEAD_STEMS, DEPTH_COSINE, JACOBIAN_NORM, JACOBIAN_RESIDUAL, *THROUGH, *OTHERS)
FIELD = (SINK_ATTENTION, SINK_RATE, INDUCTION, LENS_DIVERGENCE, LENS_ENTROPY, KEPT_TOP, KEPT_DIVERGENCE)
ALONE = (JACOBIAN_RADIUS, RADIUS_RESIDUAL, LOSS, REACH_WRITE, *FIELD)
NAMES = [*STREAM, *(name for stem in STEMS for name in paired(stem)), *ALONE]


def trace_of(columns: Mapping[str, np.ndarray], **meta: Any) -> Trace:
    flat = {name: pa.array(values.astype(np.float32).ravel(), from_pandas=True) for name, values in columns.items()}
    at = {
        "prompt": np.repeat(np.arange(PROMPTS), LAYERS),
        "position": np.full(PROMPTS * LAYERS, 4),
        "layer": np.tile(np.arange(1, LAYERS + 1), PROMPTS),
    }
    texts = [f"prompt {i}" for i in range(PROMPTS)]
    prompts = pa.table({"text": texts, "category": ["a"] * PROMPTS, "tokens": [5] * PROMPTS})
    about = {"model": "made", "dtype": "float32", "layers": LAYERS, "positions": "last", "pass": "made", **meta}
    return Trace("key", about, pa.table({**at, **flat}), prompts)


def drawn(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    columns = {name: rng.uniform(0.5, 2.0, (PROMPTS, LAYERS)).astype(np.float32).astype(float) for name in NAMES}
    for name in (*paired(JACOBIAN_RESIDUAL), *paired(THROUGH_RESIDUAL), RADIUS_RESIDUAL):
        columns[name] = np.full((PROMPTS, LAYERS), 1e-5)
    return columns


def stem(columns: Mapping[str, np.ndarray], name: str, form: str) -> np.ndarray:
    return columns[name if form == "raw" else f"centred_{name}"]


@pytest.mark.parametrize("form", ["raw", "centred"])
def test_ratios_are_of_the_columns_of_their_form(form: str) -> None:
    c = drawn()
    gain = stem(c, "norm.block_output", form) / stem(c, "norm.block_input", form)
    growth = stem(c, "perturbation.out", form) / stem(c, "perturbation.in", form)
    expected = {
        "perturbation_growth": growth,
        "relative_perturbation_growth": growth / gain,
        "perturbation_amplification": stem(c, "perturbation.out", form)[:, -1],
        "noise_gain": stem(c, "perturbation.noise_gain", form),
        "noise_to_signal_gain": stem(c, "perturbation.noise_gain", form) / gain,
        "radial_gain": stem(c, "perturbation.radial_gain", form),
        "depth_cosine": stem(c, DEPTH_COSINE, form),
        "head_coherence": stem(c, "heads.cosine", form),
        "head_cancellation": stem(c, "heads.sum_norm", form) / stem(c, "heads.norm_sum", form),
        "head_interference": stem(c, "heads.sum_norm", form) / stem(c, "heads.norm_root", form),
        "largest_head_share": stem(c, "heads.norm_max", form) / stem(c, "heads.norm_sum", form),
        "jacobian_norm": stem(c, JACOBIAN_NORM, form),
        "spectral_radius": c[JACOBIAN_RADIUS],
        "largest_relative_growth": np.log(
            stem(c, THROUGH_NORM, form)[:, -1]
            * stem(c, "norm.block_input", form)[:, 0]
            / stem(c, "norm.block_output", form)[:, -1]
        )
        / LAYERS,
        "rank_gain": stem(c, RANK_OUT, form) / stem(c, RANK_IN, form),
        "variance_gain": stem(c, VARIANCE_OUT, form) / stem(c, VARIANCE_IN, form),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(evaluate(name, trace_of(c), norm=form).values, values, rtol=1e-6, err_msg=name)


@given(slope=st.floats(-0.5, 0.5), start=st.floats(0.1, 10.0))
def test_the_slope_of_an_exponential_is_its_rate(slope: float, start: float) -> None:
    c = drawn()
    depth = np.arange(LAYERS + 1)
    relative = np.tile(start * np.exp(slope * depth), (PROMPTS, 1))
    stream = np.random.default_rng(1).uniform(1, 5, (PROMPTS, LAYERS + 1))
    c["norm.block_input"], c["norm.block_output"] = stream[:, :-1], stream[:, 1:]
    change = relative * stream
    c["perturbation.in"], c["perturbation.out"] = change[:, :-1], change[:, 1:]
    np.testing.assert_allclose(evaluate("relative_perturbation_slope", trace_of(c)).values, slope, atol=1e-6)


def test_the_slope_is_numpys_least_squares() -> None:
    c = drawn(3)
    change = np.concatenate([c["perturbation.in"][:, :1], c["perturbation.out"]], axis=1)
    stream = np.concatenate([c["norm.block_input"][:, :1], c["norm.block_output"]], axis=1)
    expected = np.polyfit(np.arange(LAYERS + 1), np.log(change / stream).T, 1)[0]
    np.testing.assert_allclose(evaluate("relative_perturbation_slope", trace_of(c)).values, expected, rtol=1e-5)


@given(length=st.floats(0.3, 50.0))
def test_the_correlation_length_of_an_exponential_is_its_length(length: float) -> None:
    c = drawn()
    c[DEPTH_COSINE] = np.tile(np.exp(-np.arange(1, LAYERS + 1) / length), (PROMPTS, 1))
    np.testing.assert_allclose(evaluate("depth_correlation_length", trace_of(c)).values, length, rtol=1e-4)


def test_the_correlation_length_is_fitted_before_the_first_cosine_that_is_not_positive() -> None:
    c = drawn()
    cosines = np.exp(-np.arange(1, LAYERS + 1) / 2.0)
    cosines[3], cosines[4] = -0.1, 0.9  # distances 4 and 5; what comes after the sign is left out
    c[DEPTH_COSINE] = np.tile(cosines, (PROMPTS, 1))
    c[DEPTH_COSINE][1] = -0.2  # nothing to fit
    c[DEPTH_COSINE][2] = 1.0  # no fall
    found = evaluate("depth_correlation_length", trace_of(c)).values
    np.testing.assert_allclose(found[[0, 3]], 2.0, rtol=1e-5)
    assert np.isnan(found[[1, 2]]).all()


def test_what_has_not_converged_is_refused_in_the_layer_that_is_read_alone() -> None:
    c = drawn()
    c[RADIUS_RESIDUAL][2, 0] = 0.5
    assert evaluate("spectral_radius", trace_of(c), layer="last").values.shape == (PROMPTS,)
    with pytest.raises(NotMeasured, match=r"jacobian\.radius has not converged in 96 steps for 1 of 4"):
        evaluate("spectral_radius", trace_of(c), layer="first")


def test_a_pass_without_a_column_says_so_and_nan_is_an_error() -> None:
    c = drawn()
    with pytest.raises(NoSuchTap, match="not read by this pass"):
        evaluate("attention_entropy", trace_of(c))
    c["perturbation.out"] = np.full((PROMPTS, LAYERS), np.inf)
    with pytest.raises(NonFiniteError, match=r"perturbation\.out"):
        evaluate("perturbation_growth", trace_of(c))


@pytest.mark.parametrize("name", [name for name in METRICS if METRICS[name].reads != "forward"])
def test_a_metric_has_a_norm_where_centring_changes_its_values(name):
    trace = trace_of({name: values / 4 for name, values in drawn().items()})  # cosines below 1
    raw, centred = (evaluate(name, trace, norm=form).values for form in ("raw", "centred"))
    assert METRICS[name].has_norm == (not np.array_equal(raw, centred, equal_nan=True))
