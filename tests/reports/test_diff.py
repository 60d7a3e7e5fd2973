"""Differences of two runs: what counts as one, and how it is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refutable.reports.baseline import compare
from refutable.reports.diff import as_json, as_text, differences, moved, same
from refutable.reports.journal import RunResult
from refutable.reports.terminal import render
from refutable.verdicts.judge import Judgement
from refutable.verdicts.robustness import Control, Variation
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Estimate, Verdict

WEIGHTS = {"weights_kind": "pretrained", "dtype": "float32", "tokens": "own tokenizer", "prompt_set_hash": "a"}


def estimate(value: float, half: float | None) -> Estimate:
    ends = (None, None, None) if half is None else (value - half, value + half, 0.9)
    low, high, level = ends
    return Estimate(
        value=value,
        low=low,
        high=high,
        level=level,
        n=25,
        unit="prompt",
        p=0.1,
        effect_size=0.2,
        method="t",
        statistic="mean",
        of=("last_gain",),
    )


def row(claim: str = "c", verdict: str = "SUPPORTED", value: float | None = 1.0, **weights: str) -> VerdictRow:
    found = estimate(value, 0.1) if value is not None else None
    about = {"statement": "s", "evidence": "measured", "alpha": 0.05}
    told = {
        "weights_kind": "pretrained",
        "dtype": "float32",
        "tokens": "own tokenizer",
        "prompt_set_hash": "a",
        **weights,
    }
    judged = Judgement(Verdict(verdict), "> 1", "why", found)
    return VerdictRow.of(judged, case=f"{claim}-m", claim=claim, subject="m", about=about, weights=told)


def run(*rows: VerdictRow) -> RunResult:
    return RunResult({"started": "now"}, rows)


def kinds(before: RunResult, after: RunResult) -> list[tuple[str, str]]:
    return [(change.kind, change.row.claim) for change in differences(before, after)]


rows = st.builds(
    row,
    st.sampled_from("abcd"),
    st.sampled_from(["SUPPORTED", "REFUTED", "INCONCLUSIVE", "NOT_MEASURED", "ERROR"]),
    st.none() | st.floats(0, 2),
    dtype=st.sampled_from(["float32", "bfloat16"]),
)
runs = st.lists(rows, max_size=6, unique_by=lambda one: one.identity).map(lambda found: run(*found))


@given(runs)
def test_a_run_does_not_differ_from_itself(one: RunResult) -> None:
    assert differences(one, one) == []


@given(runs, runs)
def test_seen_from_the_other_side_the_same_cases_differ(one: RunResult, other: RunResult) -> None:
    if not any(row.verdict is Verdict.ERROR for row in (*one.rows, *other.rows)):
        swap = {"only in A": "only in B", "only in B": "only in A"}
        back = sorted((swap.get(kind, kind), claim) for kind, claim in kinds(other, one))
        assert sorted(kinds(one, other)) == back


def test_each_kind_of_difference() -> None:
    before = run(row("a"), row("b"), row("c"), row("d"), row("e"), row("same"), row("f", "NOT_MEASURED"))
    after = run(
        row("a", "REFUTED"), row("b", value=1.2), row("d", value=1.05), row("e", "ERROR"), row("same"), row("f"),
        row("g", "NOT_MEASURED"),
    )  # fmt: skip
    assert kinds(before, after) == [
        ("error", "e"),
        ("verdict", "a"),
        ("moved", "b"),
        ("only in A", "c"),
        ("only in B", "f"),
    ]


def test_other_prompts_dtypes_or_weights_are_never_held_against_each_other() -> None:
    for other in ({"prompt_set_hash": "b"}, {"dtype": "bfloat16"}, {"weights_kind": "local"}, {"tokens": "stand-in"}):
        assert kinds(run(row()), run(row(verdict="REFUTED", **other))) == [("only in A", "c"), ("only in B", "c")]


@pytest.mark.parametrize("name", ["weights_hash", "tokenizer_hash", "config_hash"])
def test_two_verdicts_on_other_weights_of_one_name_are_no_change(name: str) -> None:
    one, other = run(row(**{name: "1" * 12})), run(row(verdict="REFUTED", value=3.0, **{name: "2" * 12}))
    changes = differences(one, other)
    assert [change.kind for change in changes] == ["other weights"]
    assert not same(changes)
    text = as_text(changes, width=200, colour=False)
    assert "1 other weights" in text.splitlines()[-1]
    assert all(f"{name.removesuffix('_hash')} {digit * 12}" in text for digit in "12")
    found = compare(other, one)
    assert (found.changed, found.new, found.not_remeasured, found.fails) == ((), (), (), False)
    assert found.other_weights == (
        "c-m (pretrained): SUPPORTED on {0} 111111111111; REFUTED on {0} 222222222222".format(name.split("_")[0]),
    )
    told = render(other, found, width=120, colour=False)
    assert "not compared, other weights than the baseline's: c-m (pretrained)" in told
    assert "baseline: no verdict changed" in told


def test_a_run_without_hashes_is_compared_as_before() -> None:
    old, new = run(row()), run(row(verdict="REFUTED", weights_hash="2" * 12))
    assert kinds(old, new) == kinds(new, old) == [("verdict", "c")]
    assert len(compare(new, old).changed) == 1


def test_the_same_weights_are_compared() -> None:
    one, other = (row(verdict=word, weights_hash="1" * 12) for word in ("SUPPORTED", "REFUTED"))
    assert kinds(run(one), run(other)) == [("verdict", "c")]
    assert compare(run(other), run(one)).fails


def test_other_prompts_neither_change_a_baseline_nor_stand_in_for_it() -> None:
    found = compare(run(row(verdict="REFUTED", prompt_set_hash="b")), run(row()))
    assert (found.changed, len(found.new), len(found.not_remeasured)) == ((), 1, 1)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ((1.0, 0.1), (1.05, 0.1), False),
        ((1.0, 0.1), (1.15, 0.1), True),
        ((1.0, 0.5), (1.15, 0.01), False),  # the old interval holds the new value
        ((1.0, None), (1.0, None), False),
        ((1.0, None), (2.0, None), True),
    ],
)
def test_an_estimate_moved_when_neither_interval_holds_the_others_value(old: Any, new: Any, expected: bool) -> None:
    assert moved(estimate(*old), estimate(*new)) is expected


def test_an_end_without_bound_holds_everything_on_its_side() -> None:
    below = replace(estimate(1.0, 0.1), low=None)
    assert moved(below, estimate(0.5, 0.01)) is False
    assert moved(below, estimate(1.5, 0.01)) is True


def test_it_is_told_in_the_same_bytes_and_without_colours_when_piped() -> None:
    before, after = run(row("a"), row("b")), run(row("a", "REFUTED"), row("b", value=3.0))
    texts = {as_text(differences(before, after), width=120, colour=False) for _ in range(3)}
    (text,) = texts
    assert "\x1b" not in text
    assert text.splitlines()[-1] == "1 verdict, 1 moved"
    assert "REFUTED 1 [0.9, 1.1]" in text
    assert "\x1b[" in as_text(differences(before, after), width=120, colour=True)
    both_moved = differences(before, run(row("a", value=3.0), row("b", value=3.0)))
    assert "1 more of 'moved'" in as_text(both_moved, width=120, colour=False, most=1)


def test_json_has_both_sides_as_numbers() -> None:
    before, after = run(row("a")), run(row("a", value=3.0))
    (change,) = as_json(before, after, differences(before, after))["changes"]
    assert (change["a"]["estimate"]["value"], change["b"]["estimate"]["value"]) == (1.0, 3.0)
    assert change["on"]["prompt_set_hash"] == "a"


def beside(labels: tuple[str, ...] = (), **verdicts: str) -> VerdictRow:
    """Return a row with labels, with the control `any-data` and with the variation `norm centred`."""
    controls = {"any-data": Control(Verdict(verdicts["control"]), "w")} if "control" in verdicts else {}
    variations = {"norm centred": Variation(Verdict(verdicts["norm"]), "w")} if "norm" in verdicts else {}
    one = row()
    return replace(one, labels=labels, controls=controls, variations=variations)


def test_what_stands_beside_a_verdict_is_told_and_makes_no_other_run() -> None:
    before = run(beside(("fragile", "clustered"), control="REFUTED", norm="REFUTED"))
    after = run(beside(("clustered", "vacuous"), control="SUPPORTED", norm="SUPPORTED"))
    changes = differences(before, after)
    assert [change.kind for change in changes] == ["labels", "controls", "variations"]
    assert same(changes)
    lines = as_text(changes, width=160, colour=False).splitlines()
    assert [word in lines[1] for word in ("fragile", "vacuous", "clustered")] == [True, True, False]
    assert "any-data: REFUTED" in lines[2]
    assert "norm centred: SUPPORTED" in lines[3]
    counts = "labels of 1 case, controls of 1 case, variations of 1 case"
    assert lines[-1] == f"no verdict changed and no estimate moved, {counts}"
    told = as_json(before, after, changes)
    assert told["same"] is True
    assert told["changes"][0]["b"]["labels"] == ["clustered", "vacuous"]
    assert told["changes"][1]["a"]["controls"]["any-data"]["verdict"] == "REFUTED"


def test_a_label_that_changed_with_its_verdict_is_told_as_well() -> None:
    refuted = row(verdict="REFUTED")
    other = refuted.labelled("fragile")
    changes = differences(run(row()), run(other))
    assert [change.kind for change in changes] == ["verdict", "labels"]
    assert not same(changes)


def test_the_order_of_labels_is_no_difference() -> None:
    assert differences(run(beside(("a", "b"))), run(beside(("b", "a")))) == []
