"""The figures over depth: norm, gain, both updates, the angle between them, and the map of contraction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from measured_run import drawn as drawn_weights
from measured_run import estimate, row, run_of, store_with, trace_of

from refutable.figures import contraction_map, norm_and_gain_over_depth, updates_over_depth

STEPS = [[(0.5, 0.1 * at), (0.25, -0.1 * at)] for at in range(1, 6)]  # attention and MLP agree, then oppose
FIRST, SECOND = ([1 + sum(prompt[layer]) for prompt in STEPS] for layer in (0, 1))
CATEGORIES = ("plain", "plain", "odd", "odd", "odd")


def one_trained(tmp_path: Path, **meta):
    trace = trace_of(STEPS, CATEGORIES, **meta)
    return run_of(row(found=estimate(1.2), traces=[trace])), store_with(tmp_path, trace)


def test_bands_are_the_quantiles_over_prompts_at_each_layer(tmp_path: Path) -> None:
    gains = [one for one in norm_and_gain_over_depth.table(*one_trained(tmp_path)) if one.quantity == "layer_gain"]
    assert [one.layer for one in gains] == [1, 2]
    for one, values in zip(gains, (FIRST, SECOND), strict=True):
        expected = np.quantile(values, (0.1, 0.5, 0.9))
        assert (one.low, one.median, one.high) == pytest.approx(tuple(expected), rel=1e-6)
        assert (one.least, one.most, one.n) == (pytest.approx(min(values)), pytest.approx(max(values)), 5)


def test_lines_are_the_medians_and_drawn_weights_are_dashed_and_hollow(tmp_path: Path, drawn) -> None:
    trained = trace_of(STEPS, CATEGORIES)
    fresh = [drawn_weights([[(0.0, 0.1), (0.0, 0.2)]] * 5, seed) for seed in (0, 1)]
    run = run_of(row(found=estimate(1.2), traces=[trained, *fresh]))
    rows = norm_and_gain_over_depth.table(run, store_with(tmp_path, trained, *fresh))
    axes = drawn("norm-and-gain-over-depth", rows).axes[1]
    solid, dashed = [line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_marker() != "None"]
    assert list(solid.get_ydata()) == pytest.approx([np.median(FIRST), np.median(SECOND)])
    assert (solid.get_linestyle(), solid.get_markerfacecolor() == "white") == ("-", False)
    assert list(dashed.get_ydata()) == pytest.approx([1.1, 1.2])
    assert (dashed.get_linestyle(), dashed.get_markerfacecolor()) == ("--", "white")
    assert [one.n for one in rows if one.drawn] == [10, 10, 10, 10]


def test_a_first_layer_far_off_the_others_scale_is_written_down_instead(tmp_path: Path, drawn) -> None:
    trace = trace_of([[(0.0, 19.0), (0.0, 0.1)], [(0.0, 19.0), (0.0, 0.2)]])
    run = run_of(row(found=estimate(1.2), traces=[trace]))
    axes = drawn("norm-and-gain-over-depth", norm_and_gain_over_depth.table(run, store_with(tmp_path, trace))).axes[1]
    assert axes.get_ylim()[1] < 2
    assert axes.texts[0].get_text() == "layer 1, above the scale: 20 (pretrained)"


def test_updates_have_their_lengths_and_the_angle_between_them(tmp_path: Path, drawn) -> None:
    rows = updates_over_depth.table(*one_trained(tmp_path))

    def medians(quantity: str) -> list[float]:
        return [one.median for one in rows if one.quantity == quantity]

    assert medians("attention_growth") == pytest.approx([0.5, 0.25])
    assert medians("mlp_growth") == pytest.approx([0.3, 0.3])
    assert medians("angle") == pytest.approx([0.0, 180.0], abs=0.05)
    lengths, angle = drawn("updates-over-depth", rows).axes
    assert [list(line.get_ydata()) for line in lengths.lines] == [pytest.approx([0.5, 0.25]), pytest.approx([0.3, 0.3])]
    assert [180, 180] not in [list(line.get_ydata()) for line in lengths.lines]
    assert list(angle.lines[-1].get_ydata()) == pytest.approx(medians("angle"))


def test_a_layer_where_nothing_is_added_has_no_angle_and_is_left_out(tmp_path: Path) -> None:
    trace = trace_of([[(0.5, 0.0), (0.5, 0.1)], [(0.5, 0.0), (0.5, 0.2)]])
    run = run_of(row(found=estimate(1.2), traces=[trace]))
    angles = [one for one in updates_over_depth.table(run, store_with(tmp_path, trace)) if one.quantity == "angle"]
    assert [one.layer for one in angles] == [2]


def test_the_map_has_the_gain_of_every_block_on_every_prompt(tmp_path: Path, drawn) -> None:
    rows = contraction_map.table(*one_trained(tmp_path))
    expected = np.array([FIRST, SECOND]).T
    assert [(one.index, one.layer) for one in rows] == [(at, layer) for at in range(1, 6) for layer in (1, 2)]
    assert np.array([one.gain for one in rows]).reshape(5, 2) == pytest.approx(expected, rel=1e-6)
    axes = drawn("contraction-map", rows).axes[0]
    (image,) = axes.images
    assert np.asarray(image.get_array()) == pytest.approx(np.log(expected), abs=1e-6)
    low, high = image.get_clim()
    assert low == -high, "1 is the middle of the colours"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["plain", "odd"]
    assert "30 % of 10 gains below 1" in axes._left_title.get_text()


def test_a_gain_that_is_not_there_is_missing_from_the_map_and_no_number(tmp_path: Path, drawn) -> None:
    rows = contraction_map.table(*one_trained(tmp_path))
    shown = np.ma.getmaskarray(np.ma.masked_invalid(drawn("contraction-map", rows[1:]).axes[0].images[0].get_array()))
    assert shown.sum() == 1
    assert shown[0, 0]


def test_of_drawn_weights_the_first_seed_is_mapped_and_told(tmp_path: Path, drawn) -> None:
    fresh = [drawn_weights([[(0.0, 0.1 * (seed + 1))]], seed) for seed in (3, 1)]
    run = run_of(row(found=estimate(1.2), traces=fresh, evidence="initialization", weights_kind="initialisation"))
    rows = contraction_map.table(run, store_with(tmp_path, *fresh))
    assert [(one.seed, round(one.gain, 5)) for one in rows] == [(1, 1.2)]
    assert "initialisation, seed 1" in drawn("contraction-map", rows).axes[0]._left_title.get_text()


def test_drawn_weights_of_other_models_are_left_out_where_a_model_is_trained(tmp_path: Path) -> None:
    trained, other = trace_of(STEPS, CATEGORIES), drawn_weights([[(0.0, 0.1)]], 0, model="tiny", title="Tiny")
    store = store_with(tmp_path, trained, other)
    both = run_of(row(found=estimate(1.2), traces=[trained]), row("i", "tiny", found=estimate(1.2), traces=[other]))
    for figure in (contraction_map, norm_and_gain_over_depth, updates_over_depth):
        assert {one.model for one in figure.table(both, store)} == {"mine"}
        assert {one.model for one in figure.table(run_of(both.rows[1]), store)} == {"tiny"}
