"""The specification curve of one claim, and how often the verdicts of a run's statistics err."""

from __future__ import annotations

from pathlib import Path

import pytest
from measured_run import estimate, row, run_of

from benchmarks.calibration.packaged import shown_rates
from refutable.figures import calibration, specification_curve
from refutable.statistics import STATISTICS
from refutable.traces.store import Store
from refutable.verdicts.robustness import Variation
from refutable.verdicts.verdict import Verdict


def variation(verdict: str, value: float | None, **changes: str) -> Variation:
    found = None if value is None else estimate(value, value - 0.1, value + 0.2)
    return Variation(Verdict(verdict), "why", found, changes)


VARIATIONS = {
    "norm centred": variation("SUPPORTED", 1.3, norm="centred"),
    "norm centred, position all": variation("REFUTED", 0.7, norm="centred", position="all"),
    "position all": variation("INCONCLUSIVE", 1.05, position="all"),
    "dtype float16": variation("NOT_MEASURED", None, dtype="float16"),
}
ROW = row("curve", found=estimate(1.2, 1.1, 1.4), variations=VARIATIONS, labels=("fragile",))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_the_curve_has_every_variation_that_was_looked_at_in_ascending_order(store: Store) -> None:
    rows = specification_curve.table(run_of(ROW), store)
    assert [(one.rank, one.choices, one.verdict, one.value) for one in rows] == [
        (1, "norm centred, position all", "REFUTED", 0.7),
        (2, "position all", "INCONCLUSIVE", 1.05),
        (3, "as claimed", "SUPPORTED", 1.2),
        (4, "norm centred", "SUPPORTED", 1.3),
    ]
    assert (rows[0].low, rows[0].high, rows[0].level, rows[0].n) == (pytest.approx(0.6), pytest.approx(0.9), 0.9, 25)
    assert specification_curve.choices_of(rows) == ["as claimed", "norm centred", "position all"]


def test_a_fragile_case_comes_before_one_with_more_variations(store: Store) -> None:
    more = {**VARIATIONS, "bos with": variation("SUPPORTED", 1.25, bos="with")}
    steady = row("a-steady", found=estimate(1.2, 1.1, 1.4), variations=more)
    assert {one.case for one in specification_curve.table(run_of(steady, ROW), store)} == {"curve-mine"}
    assert {one.case for one in specification_curve.table(run_of(steady), store)} == {"a-steady-mine"}


def test_the_curve_draws_estimates_intervals_the_prediction_and_the_choices(store: Store, drawn) -> None:
    rows = specification_curve.table(run_of(ROW), store)
    canvas = drawn("specification-curve", rows)
    top, below = canvas.axes
    points = {
        line.get_label(): list(zip(line.get_xdata(), line.get_ydata(), strict=True))
        for line in top.lines
        if line.get_label() in ("SUPPORTED", "REFUTED", "INCONCLUSIVE")
    }
    assert points == {"REFUTED": [(1, 0.7)], "INCONCLUSIVE": [(2, 1.05)], "SUPPORTED": [(3, 1.2), (4, 1.3)]}
    spans = [list(line.get_ydata()) for line in top.lines if list(line.get_xdata()) == [1, 1]]
    assert spans == [pytest.approx([0.6, 0.9])]
    assert [1.0, 1.0] in [list(line.get_ydata()) for line in top.lines], "the threshold of > 1"
    squares = {(line.get_xdata()[0], line.get_ydata()[0]) for line in below.lines if line.get_marker() == "s"}
    assert squares == {(3, 0), (1, 1), (4, 1), (1, 2), (2, 2)}
    assert "1 REFUTED, 1 INCONCLUSIVE, 2 SUPPORTED" in canvas.texts[1].get_text()


def test_a_curve_of_freshly_drawn_weights_says_so(store: Store, drawn) -> None:
    fresh = row("c", found=estimate(1.2, 1.1, 1.4), variations=VARIATIONS, weights_kind="initialisation")
    canvas = drawn("specification-curve", specification_curve.table(run_of(fresh), store))
    assert "no trained model" in canvas.texts[2].get_text().replace("\n", " ")


def test_the_packaged_rates_are_those_of_the_page() -> None:
    rates = calibration.packaged_rates()
    assert len(rates) == len(shown_rates()) > 500, "bring it up to date: python -m benchmarks.calibration.packaged"
    for rate, shown in zip(rates, shown_rates(), strict=True):
        assert shown["statistic"].startswith(rate.statistic)
        assert (rate.n, rate.supported, rate.refuted) == (
            int(shown["n"]),
            *map(float, (shown["supported"], shown["refuted"])),
        )
        assert rate.errs == max(rate.supported, rate.refuted)
        assert rate.inside == (shown["outcome"] == "keeps alpha")
        assert rate.statistic in STATISTICS


def test_calibration_is_of_the_statistics_that_decided_something_here(store: Store, drawn) -> None:
    run = run_of(
        row("a", found=estimate(1.2, statistic="median", n=25)),
        row("b", found=estimate(1.2, statistic="mean", n=5)),
        row("c", found=estimate(1.2, statistic="mean", n=5)),
        row("d", found=estimate(1.2, statistic="trend", p=None)),
        row("e", verdict="NOT_MEASURED"),
    )
    rows = calibration.table(run, store)
    assert list(dict.fromkeys(one.statistic for one in rows)) == ["mean", "median"]
    assert [(one.statistic, one.n, one.verdicts) for one in rows if one.kind == "run"] == [
        ("mean", 5, 2),
        ("median", 25, 1),
    ]
    first = drawn("calibration", rows).axes[0]
    points = {point for line in first.lines if line.get_marker() == "o" for point in zip(*line.get_data(), strict=True)}
    assert points == {(one.n, one.errs) for one in rows if one.statistic == "mean" and one.kind == "rate"}
    assert [5.0, 5.0] in [list(line.get_ydata()) for line in first.lines], "alpha"
    assert first._left_title.get_text() == "mean\n2 verdicts here"
