"""A boundary, against thresholds tried one by one in plain loops, and against every pattern of outcomes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data
from refutable.statistics.region import parse_region
from refutable.statistics.sample import Sample

settings.load_profile("ci")  # no deadline on a busy machine, the same inputs every time

BOUNDARY = STATISTICS["boundary"]


def fit(holds, at):
    values = np.where(np.asarray(holds, dtype=bool), 0.5, 1.5)
    samples = (Sample("last_gain", values, "model"), Sample("d_head", np.asarray(at, dtype=float), "model"))
    return BOUNDARY.fit(Data(samples, parse_region("< 1")))


def gained(found):
    """Return what each unit's foretelling gained over the majority's, by ascending fact: -1, 0 or 1."""
    return (2 * found.values - 1).tolist()


def foretold(units, new):
    """Return what the others foretell of a unit: rules in order of errors, then of gap, then from below."""
    places = sorted({at for at, _ in units})
    if len(places) == 1:
        return 2 * sum(holds for _, holds in units) >= len(units)
    rules = []
    for low, high in itertools.pairwise(places):
        for order, above in enumerate((True, False)):
            errors = sum(((at > (low + high) / 2) == above) != holds for at, holds in units)
            rules.append((errors, low - high, order, (low + high) / 2, above))
    fewest = min(rules)[0]
    gap = min(rule[1] for rule in rules if rule[0] == fewest)
    where = min(rule[3] for rule in rules if rule[:2] == (fewest, gap))
    *_, above = min(rule for rule in rules if (rule[0], rule[1], rule[3]) == (fewest, gap, where))
    return above if new > where else not above


units = st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=3, max_size=9)


@given(units)
@settings(max_examples=150)
def test_it_is_the_threshold_that_errs_least_tried_one_by_one(drawn):
    drawn = sorted(drawn, key=lambda unit: unit[0])
    at, holds = zip(*drawn, strict=True)
    if len(set(at)) < 2 or len(set(holds)) < 2:
        return
    majority = 2 * sum(holds) >= len(holds)
    expected = [
        (foretold(drawn[:i] + drawn[i + 1 :], at[i]) == holds[i]) - (majority == holds[i]) for i in range(len(drawn))
    ]
    assert gained(fit(holds, at)) == expected
    assert fit(holds[::-1], at[::-1]).value == pytest.approx(np.mean(expected))


def test_a_fact_of_two_values_can_separate():
    found = fit([1, 1, 1, 0, 0, 0, 0], [64, 64, 64, 128, 128, 128, 128])
    assert gained(found) == [1, 1, 1, 0, 0, 0, 0]  # all foretold; the majority, that it fails, errs on three
    assert "d_head 96" in found.method


def test_equal_facts_are_on_one_side():
    # between the two units at 1 no threshold can lie, though it would make no error there
    found = fit([0, 1, 1, 1], [1, 1, 2, 2])
    assert "d_head 1.5, leave one out: accuracy 0.75 against the majority's 0.75" in found.method


def test_of_equally_many_outcomes_it_is_foretold_to_hold():
    # the majority errs on the last two; the others' thresholds are 3, 3, 2.5 and 2.5: all are foretold
    assert gained(fit([1, 1, 0, 0], [1, 2, 4, 5])) == [0, 0, 1, 1]
    # of the others of the 9, all at 1, half hold: it is foretold to hold, rightly, as by the majority
    assert gained(fit([1, 0, 1], [1, 1, 9]))[2] == 0


def test_a_unit_exactly_on_the_threshold_of_the_others_lies_below_it():
    # without the 2 the threshold is 2, and what lies above it fails
    assert gained(fit([1, 1, 0], [1, 2, 3]))[1] == 0  # foretold to hold, rightly, as by the majority
    assert gained(fit([1, 0, 0], [1, 2, 3]))[1] == -1  # foretold to hold, wrongly


@pytest.mark.parametrize(("holds", "at"), [([1, 0, 1, 0], [1, 2, 3]), ([1, 0, 1], [1, 2, 3, 4])])
def test_values_that_do_not_pair_are_refused(holds, at):
    with pytest.raises(Undecidable, match=f"{len(holds)} values and d_head {len(at)}: they do not pair"):
        fit(holds, at)


@pytest.mark.parametrize("n", [3, 4, 5, 6, 7, 8])
def test_no_outcomes_gain_more_than_its_best(n):
    best, _ = BOUNDARY.extremes(n, parse_region("> 0"))
    at = np.where(np.arange(n) < n // 2, 0, 100) + np.arange(n)
    patterns = [p for p in itertools.product([0, 1], repeat=n) if 0 < sum(p) < n]
    found = [fit(pattern, at) for pattern in patterns]
    assert best.n == n
    assert max(one.value for one in found) <= best.value
    if n >= 4:
        assert max(one.lower(0.05) for one in found) == pytest.approx(best.lower(0.05))
