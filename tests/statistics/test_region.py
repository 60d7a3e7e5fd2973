"""The grammar of predictions and the regions that it names."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refutable.statistics.region import GRAMMAR, parse_region

settings.load_profile("ci")  # no deadline on a busy machine, the same inputs every time

numbers = st.floats(-1e6, 1e6, allow_nan=False)


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("< 1", [0.999, -1e300, -math.inf], [1.0, 1.001, math.inf]),
        ("<= 1", [1.0, -5.0], [1.0000001]),
        ("> 1", [1.001, math.inf], [1.0, 0.0]),
        (">= 1", [1.0, 2.0], [0.9999999]),
        ("within [0.3, 0.36]", [0.3, 0.33, 0.36], [0.2999, 0.3601, math.inf, -math.inf]),
        ("within [2, 2]", [2.0], [1.9999999, 2.0000001]),
    ],
)
def test_a_region_holds_what_its_words_say(text, inside, outside):
    region = parse_region(text)
    assert all(value in region for value in inside)
    assert not any(value in region for value in outside)
    assert region.contains(np.array(inside)).all()
    assert not region.contains(np.array(outside)).any()


@pytest.mark.parametrize("text", ["< 1", "<= 1", "> 1", ">= 1", "within [0, 1]"])
def test_nan_lies_in_no_region_and_proves_nothing(text):
    region = parse_region(text)
    assert math.nan not in region
    assert not region.contains(np.array([math.nan])).any()
    for low, high in (
        (math.nan, math.nan),
        (math.nan, 0.5),
        (0.5, math.nan),
        (math.nan, -9.0),
        (9.0, math.nan),
    ):
        assert not region.covers(low, high)
        assert not region.misses(low, high)


@pytest.mark.parametrize(
    "text",
    ["<1", " <  1 ", "< 1.", "< .5", "< -1e-3", "< +2E5", ">=0.97", "within[0,1]", "within [ -1 , 1e3 ]"],
)
def test_spaces_signs_and_exponents_are_understood(text):
    region = parse_region(text)
    assert parse_region(str(region)) == region  # what a verdict prints can be written back


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "1",
            "= 1",
            "== 1",
            "=< 1",
            "=> 1",
            "< one",
            "< 1 2",
            "< 1, > 0",
            "less than 1",
            "< 1%",
            "≥ 1",
            "~ 1",
        ),
        *(
            "<",
            "within",
            "within 0, 1",
            "within [0]",
            "within [0, 1",
            "within (0, 1)",
            "within [0, 1, 2]",
            "0 < 1",
        ),
        *("< nan", "< inf", "> -inf", "within [-inf, 1]", "< 1_000", "< 0x10", "< 1e", "!= 1", "not < 1"),
    ],
)
def test_anything_else_is_refused_with_the_grammar(text):
    with pytest.raises(ValueError, match="cannot read ") as caught:
        parse_region(text)
    assert GRAMMAR in str(caught.value)


def test_an_empty_interval_is_refused():
    with pytest.raises(ValueError, match=r"'within \[1, 0\]' is empty: 1 is above 0"):
        parse_region("within [1, 0]")


@pytest.mark.parametrize("text", ["< 1e999", ">= -1e999", "within [0, 1e999]"])
def test_a_number_too_large_to_be_finite_is_refused_since_nothing_could_refute_it(text):
    with pytest.raises(ValueError, match="too large to be finite"):
        parse_region(text)


@pytest.mark.parametrize(
    ("text", "one_sided", "threshold"), [("< 1", True, 1), (">= 2", True, 2), ("within [1, 2]", False, 1.5)]
)
def test_the_threshold_is_the_finite_end_or_the_middle(text, one_sided, threshold):
    region = parse_region(text)
    assert (region.one_sided, region.threshold) == (one_sided, threshold)


@pytest.mark.parametrize(
    ("text", "low", "high", "covers", "misses"),
    [
        ("< 1", 0.0, 1.0, False, False),  # the closed interval touches the open end: not wholly inside
        ("<= 1", 0.0, 1.0, True, False),
        ("< 1", 1.0, 2.0, False, True),  # 1 itself is not below 1
        ("<= 1", 1.0, 2.0, False, False),  # 1 itself is allowed
        ("> 1", 0.0, 1.0, False, True),
        (">= 1", 0.0, 1.0, False, False),
        ("> 1", 1.0, 2.0, False, False),
        (">= 1", 1.0, 2.0, True, False),
        ("within [0, 1]", 0.0, 1.0, True, False),
        ("within [0, 1]", 1.0, 2.0, False, False),
        ("within [0, 1]", 1.1, 2.0, False, True),
        ("within [0, 1]", -2.0, -0.1, False, True),
        ("within [0, 1]", -1.0, 2.0, False, False),
    ],
)
def test_open_and_closed_ends_decide_what_touches_them(text, low, high, covers, misses):
    region = parse_region(text)
    assert (region.covers(low, high), region.misses(low, high)) == (covers, misses)


@given(numbers, numbers, numbers, numbers)
def test_covering_and_missing_exclude_each_other_and_agree_with_membership(a, b, c, d):
    (low, high), (start, end) = sorted((a, b)), sorted((c, d))
    for text in (f"within [{low:f}, {high:f}]", f"< {low:f}", f"<= {low:f}", f"> {low:f}", f">= {low:f}"):
        region = parse_region(text)
        covers, misses = region.covers(start, end), region.misses(start, end)
        assert not (covers and misses)
        for point in np.linspace(start, end, 5):
            if start <= point <= end:
                assert not (covers and point not in region)
                assert not (misses and point in region)


@given(st.one_of(st.text(max_size=30), st.from_regex(r"(within|<|>)[\[\],=0-9 .e+-]{0,20}")))
def test_any_text_is_read_or_refused_in_one_line(text):
    try:
        region, problem = parse_region(text), None
    except ValueError as error:
        region, problem = None, str(error)
    if region is None:
        assert repr(text) in problem
    else:
        assert region.low <= region.high
        assert math.isfinite(region.threshold)
