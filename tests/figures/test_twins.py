"""The data of the experiment's two figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from refutable.experiments.table import load_experiment
from refutable.figures import twin_course, twin_effects

COURSE = Path(__file__).parents[2] / "reports" / "published" / "twins"


def test_an_effect_is_the_mean_difference_of_two_cells_within_seeds() -> None:
    found = load_experiment("twins")
    for row in twin_effects.table():
        of = {cell: found.values[row.size, cell, "trained"] for cell in (row.cell, row.against)}
        shared = sorted(set(of[row.cell]) & set(of[row.against]))
        by_hand = [of[row.cell][s]["log_last_gain"] - of[row.against][s]["log_last_gain"] for s in shared]
        assert row.value == pytest.approx(np.mean(by_hand), abs=1e-9)
        assert row.n == len(shared)
        assert row.low < row.value < row.high


def test_a_course_ends_where_the_table_of_outcomes_says() -> None:
    found, rows = load_experiment("twins"), twin_course.course_table(COURSE)
    assert {row.size for row in rows} == {"small", "medium", "large"}
    for size, cell, seed in {(row.size, row.cell, row.seed) for row in rows}:
        course = sorted((r for r in rows if (r.size, r.cell, r.seed) == (size, cell, seed)), key=lambda r: r.tokens)
        ends = {"start": course[0], "trained": course[-1]}
        for when, row in ends.items():
            published = found.values[size, cell, when][seed]["log_last_gain"]
            assert np.log(row.last_gain) == pytest.approx(published, abs=5e-4)  # the trajectories are rounded
