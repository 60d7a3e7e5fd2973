"""The summary on a terminal, of the published run and of small ones."""

from __future__ import annotations

from dataclasses import replace

import pytest
from places import ROOT

from refutable.reports.baseline import compare
from refutable.reports.formats.verdicts_json import read_verdicts
from refutable.reports.journal import RunResult
from refutable.reports.terminal import Chosen, evidence_blocks, render
from refutable.reports.terminal.consoles import hanging
from refutable.reports.terminal.folding import LOOK_UPS
from refutable.reports.terminal.settle import in_common, what_would_settle
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Estimate, Verdict

ABOUT = {"statement": "It dampens.", "evidence": "measured", "alpha": 0.05}
FOUND = Estimate(value=1.1, low=1.0, high=1.2, level=0.9, n=5, unit="category", method="t", statistic="mean", of=("g",))


def row(claim: str = "dampens", subject: str = "gptj", verdict: str = "REFUTED", **told: object) -> VerdictRow:
    evidence = told.pop("evidence", "measured")
    given = {"estimate": FOUND, "weights": {"weights_kind": "pretrained"}, "why": "why", **told}
    about = {**ABOUT, "evidence": evidence}
    return VerdictRow(
        verdict=Verdict(verdict),
        predicts="< 1",
        id=f"{claim}-{subject}",
        claim=claim,
        subject=subject,
        about=about,
        **given,  # type: ignore[arg-type]
    )


def shown(*rows: VerdictRow, width: int = 80, in_full: bool = False) -> list[str]:
    text = render(RunResult({}, rows), None, width=width, colour=False, in_full=in_full)
    return text.splitlines()


@pytest.fixture(scope="module")
def published() -> RunResult:
    return read_verdicts(ROOT / "reports" / "published" / "verdicts.json")


@pytest.mark.parametrize("width", [80, 100, 200])
def test_the_published_run_fits_a_few_screens_and_no_id_is_cut(published: RunResult, width: int) -> None:
    lines = render(published, compare(published, published), width=width, colour=False).splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) <= {80: 0.65, 100: 0.55, 200: 0.3}[width] * len(published.rows)  # many claims are on one subject
    words = {word for line in lines for word in line.split()}
    measured = [one for one in published.rows if one.about["evidence"] not in LOOK_UPS]
    assert {one.claim for one in measured} <= words
    assert lines[-1] == f"baseline: no verdict changed; {len(published.rows)} are as in the baseline"


def test_the_refuted_and_the_undecided_come_before_the_supported_and_what_is_looked_up_after_all(
    published: RunResult,
) -> None:
    lines = render(published, None, width=80, colour=False).splitlines()
    titles = [line for line in lines if line.startswith(tuple(Verdict))]
    looked_up = ["by looking up" in title for title in titles]
    measured = [title.split()[0] for title, up in zip(titles, looked_up, strict=True) if not up]
    assert measured == sorted(measured, key=["REFUTED", "INCONCLUSIVE", "SUPPORTED"].index)
    assert looked_up == sorted(looked_up)


def test_every_undecided_verdict_says_what_would_settle_it(published: RunResult) -> None:
    undecided = [one for one in published.rows if one.verdict is Verdict.INCONCLUSIVE]
    told = {what_would_settle(one).told.split()[0] for one in undecided}
    assert told == {"needs", "settled", "what"}  # a sample, models, or why nobody can say


def test_several_samples_are_one_range() -> None:
    needs = ["needs 6 to 20 seeds", "all values are equal", "needs over 1000000 seeds", "needs 5 to 9 seeds"]
    assert in_common(needs) == ["all values are equal", "needs 5 to over 1000000 seeds"]
    assert in_common(["needs 6 to 6 seeds"]) == ["needs 6 seeds"]
    assert in_common(["needs over 10 seeds", "needs over 10 seeds"]) == ["needs over 10 seeds"]
    assert in_common(["needs 6 to 9 seeds", "needs 7 to 8 prompts"]) == ["needs 6 to 9 seeds", "needs 7 to 8 prompts"]


def test_of_many_models_the_summary_says_from_where_to_where_they_lie_and_in_full_each() -> None:
    many = [row("a", name, estimate=replace(FOUND, value=1 + place / 8)) for place, name in enumerate("mnop")]
    assert shown(*many)[1] == "  a  4 models from 1 to 1.375, not < 1"
    assert "m 1 [1, 1.2]; n 1.125 [1, 1.2]; o 1.25" in " ".join(shown(*many, in_full=True))
    assert shown(*(row("a", name) for name in "mnop"))[1] == "  a  4 models 1.1, not < 1"
    assert shown(*many[:3], row("a", "p", estimate=None))[1] == (
        "  a  4 models from 1 to 1.25, 1 without an interval, not < 1"
    )


def test_predictions_of_one_claim_are_counted_and_in_full_named() -> None:
    several = replace(row("a"), predicts="all of: x less y: < 0; x, in base: >= 0")
    assert shown(several)[1] == "  a  1.1 [1, 1.2], not all of 2 predictions"
    assert shown(several, in_full=True)[1] == "  a  1.1 [1, 1.2], not all of: x less y: < 0; x, in base: >= 0"


def test_in_full_every_look_up_and_every_label_is_named(published: RunResult) -> None:
    text = render(published, None, width=200, colour=False, in_full=True)
    words = set(text.split())
    assert {f"{one.claim}" for one in published.rows} <= {word.rstrip(":") for word in words}
    assert "uncalibrated below n = 12" in text


def test_cases_of_one_claim_are_one_line_with_what_was_found_on_each() -> None:
    assert shown(row(subject="gptj"), row(subject="gpt2"))[:2] == [
        "REFUTED (weights: pretrained)",
        "  dampens  gptj 1.1 [1, 1.2]; gpt2 1.1 [1, 1.2], not < 1",
    ]


def test_one_subject_of_all_is_said_once_above_them() -> None:
    assert shown(row("a"), row("bc"))[:3] == [
        "REFUTED on gptj (weights: pretrained), 2 claims",
        "  a   1.1 [1, 1.2], not < 1",
        "  bc  1.1 [1, 1.2], not < 1",
    ]


def test_weights_of_two_kinds_are_never_in_one_block() -> None:
    drawn = row("b", weights={"weights_kind": "initialisation"})
    titles = [line for line in shown(row("a"), drawn) if line.startswith("REFUTED")]
    assert titles == ["REFUTED on gptj (weights: pretrained)", "REFUTED on gptj (weights: initialisation)"]


def test_a_long_id_has_a_line_of_its_own() -> None:
    lines = shown(row("x" * 90, labels=("fragile",)))
    assert lines[1:3] == [f"  {'x' * 90}", "      1.1 [1, 1.2], not < 1 [fragile]"]


def test_an_error_says_why_and_is_first() -> None:
    lines = shown(row("a"), row("b", verdict="ERROR", estimate=None, why="does not close", evidence="wiring"))
    assert lines[:2] == ["ERROR on gptj (weights: pretrained)", "  b  gptj: does not close"]


def test_look_ups_are_named_if_they_are_few() -> None:
    seen = {"estimate": None, "details": {"seen": "sequential"}, "evidence": "wiring"}
    few = [row(f"c{i}", **seen) for i in range(12)]
    assert shown(*few)[:2] == ["REFUTED by looking up: 12 about wiring:", "  c0  gptj: sequential"]
    assert shown(*few, row("c12", **seen))[0] == "REFUTED by looking up: 13 about wiring; -v names them"
    assert any(line.startswith("  c12 ") for line in shown(*few, row("c12", **seen), in_full=True))


def test_a_verdict_on_several_models_is_settled_by_those_that_were_not_looked_at() -> None:
    details = {"gptj": "INCONCLUSIVE: ...", "gpt2": "NOT_MEASURED: ...", "opt": "NOT_MEASURED: ..."}
    several = row(subject="gptj, gpt2, opt", verdict="INCONCLUSIVE", details=details)
    assert what_would_settle(several).told == "settled by looking at gpt2, opt: --model NAME"
    lacking = row(
        subject="gptj, gpt2", verdict="INCONCLUSIVE", details={"lacking": "gpt2", "power": "cannot be said: x"}
    )
    assert what_would_settle(lacking).told == "settled by looking at gpt2: --model NAME"


def test_a_reason_of_its_own_is_said_where_nothing_else_is_known() -> None:
    assert what_would_settle(row(verdict="INCONCLUSIVE", why="all values are equal")).own == "all values are equal"


def test_wrong_is_the_last_line_where_a_verdict_changed() -> None:
    now, then = RunResult({}, (row(),)), RunResult({}, (row(verdict="SUPPORTED"),))
    lines = render(now, compare(now, then), ("a report could not be written",), width=80, colour=False).splitlines()
    assert lines[-3:] == [
        "a report could not be written",
        "CHANGED against the baseline: dampens-gptj (pretrained): SUPPORTED -> REFUTED",
        "baseline: 1 verdict changed",
    ]


def test_evidence_is_wrapped_below_its_own_column() -> None:
    (block,) = evidence_blocks(
        [row(why="w" * 30 + " and" * 12, details={"assumes": "a " * 40})], width=60, colour=False
    )
    lines = block.splitlines()
    assert max(map(len, lines)) <= 60
    assert lines[:4] == [
        "REFUTED: It dampens.",
        "  claim      dampens on gptj",
        f"  found      {'w' * 30} and and and and",
        f"             {'and ' * 8}".rstrip(),
    ]
    assert lines[5].startswith("  assumes: a a")
    assert lines[6].startswith("    a a")


@pytest.mark.parametrize(
    ("chosen", "refuted", "others", "told"),
    [
        (Chosen(), 5, 9, 5),  # few are refuted
        (Chosen(), 6, 0, 0),  # many are: one line each
        (Chosen(by_name=True), 6, 9, 6),
        (Chosen(by_name=True), 1, 4, 5),  # few were chosen: all of them
        (Chosen(verbosity=1), 6, 9, 6),
        (Chosen(verbosity=2), 6, 9, 15),
    ],
)
def test_whose_evidence_is_shown(chosen: Chosen, refuted: int, others: int, told: int) -> None:
    rows = [row(f"r{i}") for i in range(refuted)] + [row(f"s{i}", verdict="SUPPORTED") for i in range(others)]
    rows.append(row("n", verdict="NOT_MEASURED", estimate=None))
    assert len(chosen.rows(rows)) == told


def test_the_undecided_are_shown_in_full_with_v() -> None:
    assert len(Chosen(verbosity=1).rows([row(verdict="INCONCLUSIVE")])) == 1
    assert Chosen().rows([row(verdict="INCONCLUSIVE")]) == []


def test_words_are_never_cut() -> None:
    assert [line.plain for line in hanging("a bb " + "c" * 12 + " d", 6, first=1, rest=2)] == [
        " a bb",
        "  " + "c" * 12,
        "  d",
    ]


def test_many_ways_of_drawing_are_one_line() -> None:
    ways = [
        row(f"c{i}", weights={"weights_kind": "initialisation", "weights_detail": f"freshly drawn, rule {i}"})
        for i in range(3)
    ]
    told = [line for line in shown(*ways, width=200) if line.startswith("weights:")]
    assert told == ["weights: gptj: initialisation (freshly drawn in 3 ways; verdicts.json says how each)"]
    assert len([line for line in shown(*ways[:2], width=200) if line.startswith("weights:")]) == 2


def test_facts_that_too_few_state_are_counted() -> None:
    told = replace(row(evidence="architecture", estimate=None), labels=("unverified-fact",))
    assert "1 unverified-fact: stated by fewer than two independent public sources" in shown(told)
