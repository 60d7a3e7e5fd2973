"""The figures of the last gain: their tables on known gains, and what they draw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from measured_run import drawn as drawn_weights
from measured_run import estimate, row, run_of, store_with, trace_of

from refutable.figures import (
    entropy_against_gain,
    gain_by_category,
    gain_distribution,
    models_by_gain,
    parallel_against_sequential,
)
from refutable.statistics import STATISTICS, Data
from refutable.statistics.sample import Sample

GAINS = (1.1, 1.3, 0.9, 1.2, 1.4, 1.5)  # of six prompts, three in each of two categories
CATEGORIES = ("plain", "plain", "plain", "odd", "odd", "odd")
STEPS = [[(0.5, 0.5), (0.0, gain - 1)] for gain in GAINS]


def trained(**meta):
    return trace_of(STEPS, CATEGORIES, **meta)


def texts(canvas) -> str:
    written = [*canvas.texts, *(axes.title for axes in canvas.axes), *(axes._left_title for axes in canvas.axes)]
    return "\n".join(text.get_text() for text in written)


def markers(axes) -> list[tuple[float, float, str]]:
    """Return x, y and face of every marker that stands alone."""
    lines = [line for line in axes.lines if line.get_linestyle() == "None" and len(line.get_xdata()) == 1]
    return [(line.get_xdata()[0], line.get_ydata()[0], line.get_markerfacecolor()) for line in lines]


def test_the_distribution_has_every_prompt_and_the_mean_that_a_claim_would_have(tmp_path: Path) -> None:
    trace = trained()
    recorded = {"mine": {"value": 1.05, "n": 25}}
    run = run_of(row(found=estimate(1.2), traces=[trace], recorded=recorded))
    rows = gain_distribution.table(run, store_with(tmp_path, trace))
    prompts = [one for one in rows if one.kind == "prompt"]
    assert [one.value for one in prompts] == pytest.approx(GAINS, rel=1e-6)
    assert [one.category for one in prompts] == list(CATEGORIES)
    fit = STATISTICS["stratified_mean"].fit(
        Data((Sample("g", np.array([one.value for one in prompts]), "prompt", CATEGORIES),))
    )
    (mean,) = [one for one in rows if one.kind == "mean"]
    assert (mean.value, mean.low, mean.high) == pytest.approx(
        (np.mean(GAINS), fit.lower(0.05), fit.upper(0.05)), rel=1e-6
    )
    assert (mean.n, mean.unit, mean.method) == (6, "prompt", fit.method)
    assert [one.value for one in rows if one.kind == "recorded"] == [1.05]


def test_the_distribution_draws_every_prompt_the_line_at_one_the_mean_and_what_was_recorded(tmp_path, drawn) -> None:
    trace = trained()
    run = run_of(row(found=estimate(1.2), traces=[trace], recorded={"mine": {"value": 1.05}}))
    rows = gain_distribution.table(run, store_with(tmp_path, trace))
    canvas = drawn("gain-distribution", rows)
    (axes,) = canvas.axes
    (steps,) = axes.patches
    assert steps.get_data().values.sum() == len(GAINS)
    assert ([1, 1], "-") in [(list(line.get_xdata()), line.get_linestyle()) for line in axes.lines]
    assert markers(axes)[0][0] == pytest.approx(np.mean(GAINS))
    assert [1.05, 1.05] in [list(line.get_xdata()) for line in axes.lines]
    assert "pretrained" in texts(canvas)
    assert "6 prompts of by-hand" in texts(canvas)


def test_freshly_drawn_weights_are_one_subject_whose_unit_is_the_seed_and_are_hollow_and_hatched(
    tmp_path, drawn
) -> None:
    traces = [drawn_weights([[(0.0, 0.1 * seed + 0.1 * at)] for at in range(3)], seed) for seed in range(5)]
    run = run_of(row(found=estimate(1.2), traces=traces, evidence="initialization", weights_kind="initialisation"))
    store = store_with(tmp_path, *traces)
    (model,) = models_by_gain.table(run, store)
    assert (model.value, model.n, model.unit, model.seeds) == (pytest.approx(1.3), 5, "seed", 5)
    canvas = drawn("models-by-gain", [model])
    ((x, _, face),) = markers(canvas.axes[0])
    assert (x, face) == (pytest.approx(1.3), "white")
    assert "no trained model" in texts(canvas)
    hist = drawn("gain-distribution", gain_distribution.table(run, store))
    assert [bool(patch.get_hatch()) for patch in hist.axes[0].patches] == [True]


def test_models_stand_in_ascending_order_by_wiring_and_norm_and_a_table_is_told_apart(tmp_path, drawn) -> None:
    trace = trained()
    rounded = estimate(0.8, 0.795, 0.805, n=1, method="census")
    published = {"weights_kind": "published table", "weights_detail": "a.csv", "dtype": "as published"}
    run = run_of(
        row(found=estimate(1.2), traces=[trace]),
        row("a", "pythia-6.9b", "REFUTED", rounded, **published),
        row("b", "pythia-6.9b", "REFUTED", rounded, **published),
    )
    rows = models_by_gain.table(run, store_with(tmp_path, trace))
    assert [(one.model, one.wiring, one.norm) for one in rows] == [
        ("pythia-6.9b", "parallel", "LayerNorm"),
        ("mine", "sequential", "RMSNorm"),
    ]
    assert (rows[0].value, rows[0].low, rows[0].high, rows[0].method) == (0.8, 0.795, 0.805, "rounding")
    axes = drawn("models-by-gain", rows).axes[0]
    assert [x for x, _, _ in markers(axes)] == pytest.approx([0.8, np.mean(GAINS)])
    assert markers(axes)[0][2] == "white"
    assert axes.texts[0].get_text() == "0.800 [0.795, 0.805]"


def test_categories_have_their_prompts_and_their_means(tmp_path, drawn) -> None:
    trace = trained()
    rows = gain_by_category.table(run_of(row(found=estimate(1.2), traces=[trace])), store_with(tmp_path, trace))
    assert [(one.category, one.n) for one in rows if one.kind == "mean"] == [("plain", 3), ("odd", 3)]
    means = {one.category: one.value for one in rows if one.kind == "mean"}
    assert means == {"plain": pytest.approx(1.1), "odd": pytest.approx(4.1 / 3)}
    assert all(one.low is None for one in rows), "three prompts that agree prove nothing at 5 %"
    axes = drawn("gain-by-category", rows).axes[0]
    circles = [list(line.get_xdata()) for line in axes.lines if len(line.get_xdata()) == 3]
    assert circles == [pytest.approx(GAINS[:3], rel=1e-6), pytest.approx(GAINS[3:], rel=1e-6)]
    assert [x for x, _, _ in markers(axes)] == pytest.approx([1.1, 4.1 / 3])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["plain (n = 3)", "odd (n = 3)"]


def test_entropy_has_the_line_and_the_coefficients_of_numpy_and_of_the_statistics(tmp_path, drawn) -> None:
    entropy = [1.0, 2.0, 4.0, 3.0, 5.0, 6.0]
    trace = trace_of(STEPS, CATEGORIES, {"output_entropy": entropy})
    rows = entropy_against_gain.table(run_of(row(found=estimate(1.2), traces=[trace])), store_with(tmp_path, trace))
    of = [one for one in rows if one.entropy == "output_entropy"]
    assert [(one.x, one.value) for one in of if one.kind == "prompt"] == [
        (x, pytest.approx(gain, rel=1e-6)) for x, gain in zip(entropy, GAINS, strict=True)
    ]
    slope, start = np.polyfit(entropy, GAINS, 1)
    line = [one for one in of if one.kind == "line"]
    assert [one.value for one in line] == pytest.approx([start + slope * one.x for one in line], rel=1e-5)
    (pearson,) = [one for one in of if one.kind == "pearson"]
    fit = STATISTICS["pearson"].fit(Data(tuple(Sample("x", np.array(v), "prompt") for v in (GAINS, entropy))))
    assert pearson.value == pytest.approx(np.corrcoef(entropy, GAINS)[0, 1], rel=1e-5)
    assert (pearson.low, pearson.high) == pytest.approx((fit.lower(0.05), fit.upper(0.05)), rel=1e-4)
    assert {one.kind for one in of} == {"prompt", "line", "pearson", "spearman", "pearson_within_categories"}
    axes = drawn("entropy-against-gain", rows).axes[0]
    shown = [x for line in axes.lines if line.get_linestyle() == "None" for x in line.get_xdata()]
    assert sorted(shown) == sorted(entropy)
    assert f"Pearson r = {pearson.value:.2f}" in axes._left_title.get_text()


def parallel(gains, **meta):
    steps = [[(0.0, gain - 1)] for gain in gains]
    return trace_of(steps, described={"wiring": "parallel", "norm": "LayerNorm"}, **meta)


def test_what_is_written_beside_parallel_and_sequential_models_follows_the_data(tmp_path, drawn) -> None:
    low = parallel((0.70, 0.72, 0.74, 0.71, 0.73, 0.69), model="low", title="Low", weights="a" * 64)
    open_ = parallel((0.5, 1.6, 0.9, 1.2, 0.7, 1.3), model="open", title="Open", weights="b" * 64)
    high = trace_of([[(0.0, gain)] for gain in (0.40, 0.42, 0.44, 0.41, 0.43, 0.39)], model="high", title="High")
    run = run_of(
        *(row(one.meta["model"], one.meta["model"], found=estimate(1.0), traces=[one]) for one in (low, open_, high))
    )
    rows = parallel_against_sequential.table(run, store_with(tmp_path, low, open_, high))
    assert [(one.title, one.wiring, one.state) for one in rows if one.kind == "model"] == [
        ("Low", "parallel", "dampens"),
        ("Open", "parallel", "not settled"),
        ("High", "sequential", "expands"),
    ]
    (difference,) = [one for one in rows if one.kind == "difference"]
    means = {one.title: one.value for one in rows}
    assert difference.value == pytest.approx((means["Low"] + means["Open"]) / 2 - means["High"])
    assert (difference.n, difference.unit, difference.state, difference.class_of) == (
        3,
        "model",
        "not settled",
        "trained",
    )
    canvas = drawn("parallel-against-sequential", rows)
    beside = [text.get_text() for axes in canvas.axes for text in axes.texts]
    assert [text.split(" ", 1)[1] for text in beside] == ["dampens", "not settled", "expands"]
    assert [x for axes in canvas.axes for x, _, _ in markers(axes)] == pytest.approx(
        [means[t] for t in ("Low", "Open", "High")]
    )
    assert "2 parallel less 1 sequential model, trained" in texts(canvas)


def test_freshly_drawn_and_trained_models_are_never_mixed_in_a_difference(tmp_path: Path) -> None:
    trained_one = trace_of([[(0.0, 0.1)], [(0.0, 0.2)]])
    fresh = drawn_weights([[(0.0, 0.1)], [(0.0, 0.2)]], 0, model="p", title="P", described={"wiring": "parallel"})
    run = run_of(row(found=estimate(1.0), traces=[trained_one]), row("i", "p", found=estimate(1.0), traces=[fresh]))
    rows = parallel_against_sequential.table(run, store_with(tmp_path, trained_one, fresh))
    assert [(one.kind, one.class_of) for one in rows] == [("model", "freshly drawn"), ("model", "trained")]


def test_models_of_one_wiring_are_no_comparison(tmp_path: Path) -> None:
    trace = trained()
    assert (
        parallel_against_sequential.table(run_of(row(found=estimate(1.2), traces=[trace])), store_with(tmp_path, trace))
        == []
    )


def other(gains: tuple[float, ...], name: str):
    return trace_of([[(0.5, 0.5), (0.0, gain - 1)] for gain in gains], CATEGORIES, model=name, title=name, weights=name)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("figure", [gain_by_category, gain_distribution])
def test_what_one_subject_has_is_in_sight_whatever_the_others_range(figure, order: int, tmp_path, drawn) -> None:
    traces = [trained(), other((2.1, 2.2, 2.3, 2.4, 2.5, 2.6), "higher")][::order]
    run = run_of(*(row(found=estimate(1.2), traces=[trace], subject=trace.meta["model"]) for trace in traces))
    rows = figure.table(run, store_with(tmp_path, *traces))
    assert len({one.title for one in rows}) == 2
    for axes in drawn(figure.__name__.rsplit(".", 1)[-1].replace("_", "-"), rows).axes:
        low, high = axes.get_xlim()
        assert low < min(one.value for one in rows if one.kind == "prompt")
        assert high > max(one.value for one in rows if one.kind == "prompt")
