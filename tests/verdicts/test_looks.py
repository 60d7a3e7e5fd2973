"""Looks: which one a rerun is, and whether its error rate still holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refutable.claims import MeasuredClaim, MeasuredTest
from refutable.prompts.prompt_set import Prompt, set_of
from refutable.statistics import STATISTICS, Data
from refutable.statistics.region import parse_region
from refutable.statistics.sample import Sample
from refutable.verdicts.judge import e_values, judge
from refutable.verdicts.looks import Look, label_of, looks_after, merged


def links(*texts: str) -> tuple[str, ...]:
    prompts = [Prompt(text=text, category="a", tokens=3) for text in texts]
    return set_of("made", "here", "nobody", prompts).links


def look(*texts: str, anytime: bool = False, by: str = "", at: str = "") -> Look:
    found = links(*texts)
    statistic = by or ("mean_anytime 1" if anytime else "mean 2")
    return Look(len(texts), found if anytime else found[-1:], anytime, statistic, at)


@given(st.lists(st.text("abc", min_size=1), min_size=1, unique=True), st.data())
def test_links_prove_how_a_set_begins_and_nothing_else(texts: list[str], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(texts)))
    whole, begun = look(*texts, anytime=True), look(*texts[:k])
    assert whole.extends(begun)
    changed = [*texts[: k - 1], texts[k - 1] + "d"]
    assert not whole.extends(look(*changed))
    assert not look(*texts).extends(begun) or k == len(texts) == 1  # its last link alone proves nothing


def test_a_rerun_on_more_prompts_is_labelled_and_one_on_the_same_is_not() -> None:
    first = looks_after((), look("a", "b"))
    assert label_of(first) == ()
    assert looks_after(first, look("a", "b")) == first
    second = looks_after(first, look("a", "b", "c"))
    assert label_of(second) == ("look 2",)
    assert label_of(looks_after(second, look("x", "y", "z", "w"))) == ("look 3",)  # whichever prompts they are
    assert label_of(looks_after(second, look("a"))) == ()  # fewer prompts are no way to a verdict
    assert label_of(()) == ()


def test_the_error_rate_holds_where_each_look_only_added_prompts() -> None:
    first = look("a", "b", anytime=True)
    assert label_of((first, look("a", "b", "c", anytime=True))) == ("look 2 (anytime)",)
    assert label_of((first, look("b", "a", "c", anytime=True))) == ("look 2",)
    assert label_of((look("a", "b"), look("a", "b", "c", anytime=True))) == ("look 2",)  # the first look was not


def test_no_rate_holds_over_two_statistics_in_turn() -> None:
    """Each keeps its own; both together err up to twice as often. A look that does not say by which keeps none."""
    second = look("a", "b", "c", anytime=True)
    for by in ("bounded_mean 1", "mean_anytime 2"):
        assert label_of((look("a", "b", anytime=True, by=by), second)) == ("look 2",)
    unknown = Look(2, links("a", "b"), anytime=True)
    assert label_of((unknown, second)) == ("look 2",)
    assert label_of((unknown, Look(3, links("a", "b", "c"), anytime=True))) == ("look 2",)


def test_a_change_of_statistic_on_prompts_that_were_seen_hides_no_look() -> None:
    """What was tried by `mean` first has no rate for all looks, though it was tried again on the same prompts."""
    both = looks_after((look("a", "b"),), look("a", "b", anytime=True))
    assert len(both) == 2
    assert label_of(both) == ()
    unnamed = Look(2, links("a", "b"), anytime=True)  # of an older report, and tried again since
    assert looks_after((unnamed,), both[-1]) == both[-1:]
    assert label_of(looks_after(both, look("a", "b", "c", anytime=True))) == ("look 2",)  # two sets of prompts


def test_another_prediction_is_another_hypothesis() -> None:
    first, other = look("a", "b", at="below 1"), look("a", "b", "c", at="below 2")
    assert looks_after((first,), other) == (other,)
    third = looks_after((first, other), look("a", "b", "c", "d", at="below 1"))
    assert [one.hypothesis for one in third] == ["below 1", "below 1"]
    assert label_of(third) == ("look 2",)
    assert label_of(looks_after((look("a"),), other)) == ("look 2",)  # an older report does not say which it was


CLAIM = {
    "id": "shrinks",
    "statement": "It shrinks.",
    "evidence": "measured",
    "test": {"statistic": "mean", "of": "last_gain", "predicts": "< 1"},
}


def changed(**keys: object) -> str:
    test = CLAIM["test"]
    assert isinstance(test, dict)
    whole = {name: value for name, value in keys.items() if name not in MeasuredTest.model_fields}
    own = {name: value for name, value in keys.items() if name in MeasuredTest.model_fields}
    return MeasuredClaim.model_validate({**CLAIM, **whole, "test": {**test, **own}}).hypothesis


@pytest.mark.parametrize(
    ("keys", "same"),
    [
        ({"statistic": "mean_anytime"}, True),
        ({"over": "these_categories"}, True),
        ({"alpha": 0.01}, True),
        ({"prompts": "many-kinds"}, True),
        ({"statement": "It does shrink.", "multiverse": {"norm": ["centred"]}}, True),
        ({"predicts": "< 1.1"}, False),
        ({"of": "total_amplification"}, False),
        ({"norm": "centred"}, False),
        ({"position": "all"}, False),
        ({"for": "all"}, False),
    ],
)
def test_a_hypothesis_is_what_is_predicted_of_what(keys: dict[str, object], same: bool) -> None:
    assert (changed(**keys) == changed()) is same


def test_looks_of_several_reports_are_merged() -> None:
    a, b, c = look("a"), look("a", "b"), look("a", "b", "c")
    assert merged({("x",): (a, b)}, {("x",): (b, c), ("y",): (a,)}) == {("x",): (a, b, c), ("y",): (a,)}


@pytest.mark.parametrize("text", ["> 0.1", ">= 0.1", "< 0.1", "<= 0.1", "within [-0.1, 0.1]"])
def test_e_values_are_one_over_p_and_only_of_statistics_that_have_them(text: str) -> None:
    values, region = np.random.default_rng(0).normal(0.4, 0.5, 30), parse_region(text)
    data = Data((Sample("last_gain", values, "prompt"),))
    statistic = STATISTICS["mean_anytime"]
    found = judge(statistic.fit(data), region, 0.05, statistic, ("last_gain",)).estimate
    assert found is not None
    assert found.e is not None
    assert found.e_refuted is not None
    assert min(1, 1 / found.e) == pytest.approx(found.p)
    if region.one_sided:
        assert min(1, 1 / found.e_refuted) == pytest.approx(found.p_refuted)
    else:
        assert found.e_refuted >= 1 / found.p_refuted * (1 - 1e-9)  # a mean is no less than half of the larger
    plain = judge(STATISTICS["mean"].fit(data), region, 0.05, STATISTICS["mean"], ("last_gain",)).estimate
    assert plain is not None
    assert (plain.e, plain.e_refuted) == (None, None)


def test_an_e_value_without_bound_is_the_largest_number_and_no_gap() -> None:
    data = Data((Sample("last_gain", np.random.default_rng(0).normal(1e6, 1, 500), "prompt"),))
    found = e_values(STATISTICS["mean_anytime"].fit(data), parse_region("> 0"))
    assert found["e"] == np.finfo(float).max
    assert found["e_refuted"] < 1e-3
