"""Recorded measurements, moved so that every layer lies on the boundary, and drawn again: is anything proved?"""

from __future__ import annotations

import csv
import math
from functools import partial

import numpy as np
import pytest
from places import SHARED

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data
from refutable.statistics.clustered_mean import CALIBRATED_FROM
from refutable.statistics.region import parse_region
from refutable.statistics.sample import Sample

pytestmark = [pytest.mark.documents, pytest.mark.slow]
FILES = ("gptj_parallel_test.csv", "thermodynamic_benchmark.csv", "gpt2_layernorm_validation.csv")
COLUMNS = ("Last_Gain", "Total_Amp", "Entropy")
RUNS, ALPHA = 500, 0.05
ALLOWED = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / RUNS)


def recorded():
    """Return the values of five models, three metrics each, on the same prompts, (25, 15), and their categories."""
    found, categories = {}, {}
    for name in FILES:
        with (SHARED / "recorded" / name).open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                categories[row["Prompt"]] = row["Category"]
                for column in COLUMNS:
                    found.setdefault((row["Model"], column), {})[row["Prompt"]] = float(row[column])
    prompts = sorted(categories, key=lambda text: (categories[text], text))
    values = np.array([[of[text] for text in prompts] for of in found.values()]).T
    return values, np.array([categories[text] for text in prompts])


def prompts_anew(values, categories, rng):
    """Draw prompts as if categories were of no account."""
    return (values - values.mean(axis=0))[rng.integers(0, len(values), len(values))], categories


def inside_anew(values, categories, rng):
    """Draw prompts inside each of these categories."""
    rows = [rng.choice(np.flatnonzero(categories == name), 5) for name in np.unique(categories)]
    return (values - values.mean(axis=0))[np.concatenate(rows)], categories


def categories_anew(values, categories, rng, number=5):
    """Draw categories with all their prompts."""
    drawn = rng.choice(np.unique(categories), number)
    rows = [np.flatnonzero(categories == name) for name in drawn]
    return (values - values.mean(axis=0))[np.concatenate(rows)], np.repeat(np.arange(number), 5).astype(str)


@pytest.mark.parametrize(
    ("name", "draw"),
    [
        ("layers_passing", prompts_anew),
        ("stratified_layers_passing", inside_anew),
        ("clustered_layers_passing", categories_anew),
    ],
)
@pytest.mark.parametrize("holds", ["< 0", "> 0"])
def test_any_false_layer(name, draw, holds):  # .21 to .60
    (values, categories), rng, wrong = recorded(), np.random.default_rng(0), 0
    for _ in range(RUNS):
        again, labels = draw(values, categories, rng)
        sample = Sample("recorded", again, "prompt", tuple(labels))
        try:
            wrong += STATISTICS[name].fit(Data((sample,), parse_region(holds))).lower(ALPHA) > 0
        except Undecidable:
            continue
    assert wrong / RUNS <= ALLOWED


@pytest.mark.parametrize(
    ("name", "draw", "allowed"),
    [
        ("mean", prompts_anew, ALLOWED),
        ("stratified_mean", inside_anew, ALLOWED),
        ("clustered_mean", partial(categories_anew, number=CALIBRATED_FROM), ALLOWED),
        ("clustered_mean", categories_anew, 0.35),  # five do not show their skewness, as it says
    ],
)
def test_the_mean_of_each_recorded_metric(name, draw, allowed):
    (values, categories), rng = recorded(), np.random.default_rng(1)
    for column in range(values.shape[1]):
        wrong = np.zeros(2)
        for _ in range(RUNS):
            again, labels = draw(values[:, [column]], categories, rng)
            sample = Sample("recorded", again[:, 0], "prompt", tuple(labels))
            try:
                found = STATISTICS[name].fit(Data((sample,)))
            except Undecidable:
                continue
            wrong += [found.lower(ALPHA) > 0, found.upper(ALPHA) < 0]
        assert (wrong / RUNS <= allowed).all(), (column, wrong / RUNS)
