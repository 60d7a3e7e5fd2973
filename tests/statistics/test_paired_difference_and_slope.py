"""Slopes and paired differences: what does not pair is refused, also where numpy would stretch one value to many."""

from __future__ import annotations

import numpy as np
import pytest

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data
from refutable.statistics.sample import Sample


def data(first, second):
    names = ("last_gain", "output_entropy")
    values = (np.asarray(v, float) for v in (first, second))
    return Data(tuple(Sample(of, v, "prompt") for of, v in zip(names, values, strict=True)))


@pytest.mark.parametrize("name", ["slope", "power_law_exponent", "paired_difference"])
@pytest.mark.parametrize(("n", "m"), [(5, 6), (1, 5), (5, 1)])
def test_samples_of_different_length_do_not_pair(name, n, m):
    with pytest.raises(Undecidable, match=f"last_gain has {n} values and output_entropy {m}: they do not pair"):
        STATISTICS[name].fit(data(np.arange(1, n + 1), np.arange(1, m + 1) ** 2))


@pytest.mark.parametrize("name", ["slope", "paired_difference"])
@pytest.mark.parametrize("shift", [1e3, -1e3])
def test_a_constant_added_to_the_first_moves_a_difference_and_no_slope(name, shift):
    rng = np.random.default_rng(0)
    y, x = rng.normal(size=20), rng.normal(size=20)
    plain, moved = (STATISTICS[name].fit(data(v, x)) for v in (y, y + shift))
    by = shift if name == "paired_difference" else 0.0
    assert moved.lower(0.05) - by == pytest.approx(plain.lower(0.05), abs=1e-9)
    assert moved.upper(0.05) - by == pytest.approx(plain.upper(0.05), abs=1e-9)
