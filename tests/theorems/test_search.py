"""How a search for a counter-example behaves, and that the engine's own theorems stand it."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from refutable.errors import UnknownName
from refutable.theorems import THEOREMS, Theorem, search_counter_example, theorem


@theorem("small-or-negative", st.fixed_dictionaries({"x": st.integers(-50, 50)}), premise=lambda e: e["x"] > 0)
def below_20(example):
    """A number above 0 is below 20."""
    return example["x"] < 20


@pytest.mark.parametrize("name", ["triangle-inequality", "contraction-needs-obtuse-update"])
def test_no_counter_example_to_an_own_theorem_is_found(name):
    assert search_counter_example(THEOREMS[name], 100).counter_example is None


def test_the_same_search_gives_the_same_answer():
    assert search_counter_example(below_20, 200) == search_counter_example(below_20, 200)


def test_an_input_outside_the_premise_refutes_nothing():
    assert not below_20.refuted_by({"x": -1})


def test_a_premise_that_nothing_satisfies_was_tried_on_nothing():
    never = Theorem("never", st.fixed_dictionaries({"x": st.integers()}), lambda e: False, lambda e: False)
    found = search_counter_example(never, 50)
    assert (found.tried, found.counter_example) == (0, None)


def test_the_smallest_counter_example_is_kept():
    subject = Theorem("small", st.fixed_dictionaries({"x": st.integers(0, 1000)}), lambda e: e["x"] < 17)
    assert search_counter_example(subject, 200).counter_example == {"x": 17}


def test_a_property_that_crashes_is_an_error_and_no_counter_example():
    def crash(example):
        raise ZeroDivisionError("crash")

    with pytest.raises(ZeroDivisionError):
        search_counter_example(Theorem("crash", st.fixed_dictionaries({"x": st.integers()}), crash), 10)


def test_an_unknown_theorem_is_refused_with_the_nearest():
    with pytest.raises(UnknownName, match=r"unknown property 'triangle-inequalty'.*Did you mean 'triangle-inequality'"):
        THEOREMS["triangle-inequalty"]
