"""Theorems: which are true, what the counter-example to each false one is, and how a search behaves."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import strategies as st

from refutable.errors import UnknownName
from refutable.theorems import THEOREMS, Theorem, search

# With x the stream, d its update: |x + d|^2 = |x|^2 + 2 x.d + |d|^2.
TRUE = {
    "triangle-inequality",  # a.m <= |a| |m| (Cauchy and Schwarz)
    "contraction-needs-obtuse-update",  # 2 x.d < -|d|^2 <= 0
    "orthogonal-update-never-contracts",  # x.d = 0 leaves |d|^2 >= 0
    "consistent-rule-implies-dampening",  # |gain - 0.8| < 0.15 bounds the gain by 0.95
}
FALSE = {
    "triangle-gap-means-opposition": {"a": [1, 0], "m": [0, 1]},  # 1 + 1 > sqrt(2), at a right angle
    "obtuse-update-contracts": {"x": [1], "d": [-2]},  # |1 - 2| = 1
    "opposing-updates-contract": {"x": [1], "a": [2], "m": [-1]},  # |1 + 2 - 1| = 2
}


def test_every_theorem_is_known_here_to_be_true_or_false():
    assert {*THEOREMS} == TRUE | {*FALSE}


@pytest.mark.parametrize("name", sorted(TRUE))
def test_no_counter_example_to_a_true_theorem_is_found(name):
    found = search(THEOREMS[name], 100)
    assert found.counter_example is None
    assert 50 <= found.tried <= 100


@pytest.mark.parametrize("name", sorted(FALSE))
def test_a_false_theorem_is_refuted_by_the_known_example_and_by_the_one_found(name):
    subject = THEOREMS[name]
    assert subject.refuted_by(FALSE[name])
    found = search(subject, 200).counter_example
    assert found is not None
    assert subject.refuted_by(found)
    assert max(abs(x) for vector in found.values() for x in vector) <= 2  # shrunk


@pytest.mark.parametrize("name", sorted(TRUE - {"consistent-rule-implies-dampening"}))
def test_no_pair_of_small_vectors_refutes_a_true_theorem(name):
    subject = THEOREMS[name]
    names = ("a", "m") if name == "triangle-inequality" else ("x", "d")
    vectors = [list(v) for v in itertools.product(range(-3, 4), repeat=2)]
    assert not any(
        subject.refuted_by(dict(zip(names, pair, strict=True))) for pair in itertools.product(vectors, repeat=2)
    )


def test_the_exact_forms_agree_with_floating_point_away_from_equality():
    rng = np.random.default_rng(0)
    for _ in range(300):
        a, m = (rng.integers(-9, 10, 3) for _ in range(2))
        both, total = np.linalg.norm(a) + np.linalg.norm(m), np.linalg.norm(a + m)
        example = {"a": a.tolist(), "m": m.tolist()}
        if both - total > 1e-9:
            assert THEOREMS["triangle-gap-means-opposition"].premise(example)
        assert THEOREMS["triangle-inequality"].holds(example)


@pytest.mark.parametrize("example", [{"a": [2, 4], "m": [3, 6]}, {"a": [0], "m": [5]}, {"a": [0], "m": [0]}])
def test_parallel_and_zero_vectors_leave_no_gap(example):
    assert not THEOREMS["triangle-gap-means-opposition"].premise(example)


def test_the_same_search_gives_the_same_answer():
    subject = THEOREMS["obtuse-update-contracts"]
    assert search(subject, 200) == search(subject, 200)


def test_an_input_outside_the_premise_refutes_nothing():
    subject = THEOREMS["obtuse-update-contracts"]
    assert not subject.refuted_by({"x": [1], "d": [2]})  # not obtuse


def test_a_premise_that_nothing_satisfies_was_tried_on_nothing():
    never = Theorem("never", st.fixed_dictionaries({"x": st.integers()}), lambda e: False, lambda e: False)
    found = search(never, 50)
    assert (found.tried, found.counter_example) == (0, None)


def test_the_smallest_counter_example_is_kept():
    subject = Theorem("small", st.fixed_dictionaries({"x": st.integers(0, 1000)}), lambda e: e["x"] < 17)
    assert search(subject, 200).counter_example == {"x": 17}


def test_a_property_that_crashes_is_an_error_and_no_counter_example():
    def crash(example):
        raise ZeroDivisionError("crash")

    with pytest.raises(ZeroDivisionError):
        search(Theorem("crash", st.fixed_dictionaries({"x": st.integers()}), crash), 10)


@pytest.mark.parametrize("name", [*THEOREMS])
def test_every_theorem_says_what_it_says(name):
    assert THEOREMS[name].doc.endswith(".")


def test_an_unknown_theorem_is_refused_with_the_nearest():
    with pytest.raises(UnknownName, match=r"unknown property 'triangle-inequalty'.*Did you mean 'triangle-inequality'"):
        THEOREMS["triangle-inequalty"]
