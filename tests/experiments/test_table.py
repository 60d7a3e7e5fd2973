"""A recorded experiment is read, or said to be wrong at its line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from refutable.errors import BadInput, NotMeasured, UnknownName
from refutable.experiments.table import load_experiment

GOOD = "cell,seed,loss\na,0,1.5\na,1,1.25\nb,0,1\nb,2,7\n"


def written(folder: Path, text: str) -> Path:
    (folder / "runs.csv").write_text(text, encoding="utf-8")
    return folder


def test_a_contrast_is_taken_within_the_seeds_that_all_cells_have(tmp_path: Path) -> None:
    found = load_experiment("runs.csv", written(tmp_path, GOOD))
    assert found.sizes == ("-",)
    assert found.contrast("loss", {"a": 1, "b": -1}, "-").tolist() == [0.5]
    assert found.contrast("loss", {"a": 2}, "-").tolist() == [3.0, 2.5]


def test_cells_of_two_sizes_are_compared(tmp_path: Path) -> None:
    text = "size,cell,seed,loss\nbig,a,0,1\nbig,a,1,2\nsmall,a,0,4\nsmall,a,1,8\n"
    found = load_experiment("runs.csv", written(tmp_path, text))
    assert found.contrast("loss", {"small/a": 1, "big/a": -1}, "-").tolist() == [3.0, 6.0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cell,loss\na,1\n", "runs.csv:1 has no column seed; found: cell, loss"),
        ("cell,seed\na,1\n", "runs.csv:1 has no outcome"),
        ("cell,seed,loss\n", "runs.csv: has no row"),
        ("", "runs.csv:1 has no column cell and no column seed; found: nothing"),
        ("cell,seed,loss\na,x,1\n", "runs.csv:2 seed: 'x' is no whole number from 0"),
        ("cell,seed,loss\na,0,high\n", "runs.csv:2 loss: 'high' is no finite number"),
        ("cell,seed,loss\na,0,inf\n", "runs.csv:2 loss: 'inf' is no finite number"),
        ("cell,seed,loss\na,0,1\na,0,2\n", "runs.csv:3 cell a and seed 0 stand there twice"),
        ("cell,seed,when,loss\na,0,later,1\n", "runs.csv:2 when: 'later'; known: trained, start"),
        ("cell,seed,loss\n,0,1\n", "runs.csv:2 cell: '' is no name"),
        ("cell,seed,loss\na/b,0,1\n", "runs.csv:2 cell: 'a/b' is no name"),
    ],
)
def test_a_fault_is_named_at_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadInput) as raised:
        load_experiment("runs.csv", written(tmp_path, text))
    assert said in str(raised.value)


def test_what_was_not_trained_or_is_not_known_is_not_measured(tmp_path: Path) -> None:
    found = load_experiment("runs.csv", written(tmp_path, GOOD + "c,9,1\nd,0,\n"))
    with pytest.raises(NotMeasured, match="has no run of e"):
        found.contrast("loss", {"a": 1, "e": -1}, "-")
    with pytest.raises(NotMeasured, match="no seed is shared by a"):
        found.contrast("loss", {"a": 1, "c": -1}, "-")
    with pytest.raises(NotMeasured, match="does not know loss of d"):
        found.contrast("loss", {"d": 1}, "-")


def test_a_missing_number_is_missing_and_not_zero(tmp_path: Path) -> None:
    found = load_experiment("runs.csv", written(tmp_path, GOOD + "d,0,\n"))
    assert np.isnan(found.values["-", "d", "trained"][0]["loss"])


def test_an_unknown_experiment_is_named_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="unknown experiment 'twin'; known: twins"):
        load_experiment("twin")
    with pytest.raises(BadInput, match="no such file"):
        load_experiment("absent.csv", tmp_path)
    with pytest.raises(BadInput, match="does not stay in this folder"):
        load_experiment("../runs.csv", tmp_path)


def test_a_run_that_is_copied_under_another_seed_is_refused(tmp_path: Path) -> None:
    text = "cell,seed,loss,share\na,0,1.2345678901,1\na,1,1.2345678901,1\n"
    with pytest.raises(BadInput, match=r"seeds 0 and 1 of cell a have the same outcomes, digit for digit \(trained\)"):
        load_experiment("runs.csv", written(tmp_path, text))


@pytest.mark.parametrize(
    "text",
    [
        "cell,seed,loss\na,0,1.25\na,1,1.25\n",  # of few digits, runs may agree
        "cell,seed,loss\na,0,100000\na,1,100000\n",
        "cell,seed,loss,x\na,0,1.2345678901,1\na,1,1.2345678901,2\n",
        "cell,seed,loss\na,0,1.2345678901\nb,0,1.2345678901\n",  # two cells may begin alike
        "cell,seed,loss\na,0,\na,1,\n",
    ],
)
def test_runs_that_may_well_agree_are_not(tmp_path: Path, text: str) -> None:
    load_experiment("runs.csv", written(tmp_path, text))
