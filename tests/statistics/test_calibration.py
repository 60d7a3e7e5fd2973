"""A small version of `python -m benchmarks.calibration`: error rates inside what is assumed, failures outside it."""

from __future__ import annotations

import pytest

from benchmarks.calibration.cells import SCENARIOS, run_cell, wanted
from benchmarks.calibration.table import show, status, tell
from refutable.statistics import STATISTICS
from refutable.statistics.assumptions import Shape

RUNS = 200
TASKS = [task for task in wanted(sizes=(25,)) if STATISTICS[SCENARIOS[task[0]].statistic].keeps(task[1], 25)]


def _id(task):
    scenario = SCENARIOS[task[0]]
    return " ".join(filter(None, (scenario.statistic, scenario.note, task[1].name.lower())))


@pytest.mark.parametrize("task", TASKS, ids=_id)
def test_a_statistic_keeps_alpha_inside_what_it_assumes(task):
    cell = run_cell(*task, RUNS, bootstrap=False)
    assert cell.inside
    assert cell.keeps(len(TASKS)), (cell.supported, cell.refuted)


def _cell(name, shape, n=25):
    index = next(i for i, scenario in enumerate(SCENARIOS) if scenario.statistic == name)
    return run_cell(index, shape, n, RUNS)


def test_what_errs_outside_is_shown_and_named():
    cell = _cell("mean", Shape.CLUSTERED)
    assert not cell.inside
    assert max(cell.supported, cell.refuted) > 0.1
    assert status(cell, 1) == "outside, errs"
    assert "0 of 0 cells keep alpha; outside it 1 of 1 err" in tell([cell])
    assert show([cell]).row_count == 1


def test_a_category_as_the_unit_keeps_what_prompts_do_not():
    cell = _cell("clustered_mean", Shape.CLUSTERED)
    assert cell.inside
    assert status(cell, 1) == "keeps alpha"


def test_a_bootstrap_of_prompts_that_agree_is_sure_of_what_is_false():
    cell = _cell("share_of_prompts", Shape.UNANIMOUS)
    assert max(cell.supported, cell.refuted) <= 0.05
    assert cell.bootstrap > 0.5  # [1, 1] in 78 % of runs
