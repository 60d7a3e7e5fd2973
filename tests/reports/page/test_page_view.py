"""What the page shows, as plain values, against a run whose every verdict is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
from page_runs import PROVENANCE, estimate, row, small_run, table_run

from refutable._util.strict_yaml import parse_yaml
from refutable.claims.base import UNPLACED
from refutable.claims.file import claims_from, read_claims
from refutable.errors import BadInput
from refutable.reports.beside import Beside, KnownClaim, known_claims
from refutable.reports.journal import RunResult
from refutable.reports.page.axis import PAD, WIDTH, axis_of, bar_of, region_of
from refutable.reports.page.compare import compare_view
from refutable.reports.page.data import answer_data, packed, unpacked
from refutable.reports.page.settle import changes_of
from refutable.reports.page.view import page_view
from refutable.reports.page.words import kind_of_label, subject_of
from refutable.traces.store import Store
from refutable.verdicts.verdict import Verdict


def view_of(run, tmp_path):
    return page_view(run, Store(tmp_path))


def test_the_front_counts_verdicts_and_says_how_they_were_decided(tmp_path):
    front = view_of(small_run(), tmp_path).front
    assert {one.verdict: one.number for one in front.counts} == {
        "SUPPORTED": 2,
        "REFUTED": 4,
        "INCONCLUSIVE": 1,
        "NOT_MEASURED": 2,
        "ERROR": 1,
    }
    rates = {one.what: (one.supported, one.refuted, one.known) for one in front.rates}
    assert rates == {
        "statistical tests at a known error rate": (1, 3, True),
        "look-ups of facts": (1, 0, False),
        "proofs and counter-examples": (0, 1, False),
    }
    assert front.sentence == "6 claims tried on 3 models in 7 cases; 2 more cases were not measured."
    assert front.when == "28 November 2026, 08:20 UTC"
    assert front.baseline == ""


def test_the_front_says_what_changed_against_the_baseline(tmp_path):
    run = small_run()
    was = replace(run.rows[0], verdict=Verdict.SUPPORTED, estimate=estimate(0.9, 0.85, 0.95))
    baseline = RunResult(PROVENANCE, (was, *run.rows[1:]))
    front = view_of(replace(run, beside=Beside(baseline=baseline)), tmp_path).front
    assert "1 case has another verdict" in front.baseline
    (change,) = front.changes
    assert (change.case, change.before) == ("dampens-gpt2", "SUPPORTED 0.9 [0.85, 0.95]")
    assert change.after == "REFUTED 1.1 [1.05, 1.2]"
    fewer = replace(run, rows=run.rows[2:], beside=Beside(baseline=run))
    assert view_of(fewer, tmp_path).front.baseline.endswith("2 cases were not looked at again.")
    same = view_of(replace(run, beside=Beside(baseline=run)), tmp_path).front
    assert same.baseline.startswith("No verdict changed against the baseline of 28 November 2026")


def test_headlines_stand_on_every_subject_with_an_answer_and_on_their_controls(tmp_path):
    run = replace(small_run(), beside=Beside(on_tables=table_run()))
    first, second = view_of(run, tmp_path).headlines
    assert (first.claim.id, second.claim.id) == ("dampens", "hostile")
    found = {(one.subject, one.origin.key, one.verdict) for one in first.answers}
    assert found == {
        ("gpt2", "measured", "REFUTED"),
        ("gptj", "measured", "SUPPORTED"),
        ("pythia", "table", "SUPPORTED"),
        ("gpt2, drawn", "drawn", "SUPPORTED"),
    }


def test_a_run_of_few_claims_without_a_mark_shows_all_at_the_top(tmp_path):
    rows = (row("a", "gpt2", found=estimate()), row("b", "gpt2", found=estimate()))
    assert [one.claim.id for one in view_of(RunResult(PROVENANCE, rows), tmp_path).headlines] == ["a", "b"]


def test_table_verdicts_are_shown_on_the_runs_claims_and_on_all_where_it_was_of_all(tmp_path):
    some = view_of(replace(small_run(), beside=Beside(on_tables=table_run())), tmp_path)
    assert "elsewhere" not in {claim.id for claim in some.claims}
    assert some.front.beside == "1 supported"
    everything = replace(small_run(), beside=Beside(on_tables=table_run(), all_tables=True))
    assert "elsewhere" in {claim.id for claim in view_of(everything, tmp_path).claims}


def test_the_matrix_has_the_most_decided_column_first_and_claims_without_answers_last(tmp_path):
    view = view_of(small_run(), tmp_path)
    assert view.columns[:2] == ("gpt2", "gptj")
    assert set(view.columns) == {"gpt2", "gptj", "tiny", "mathematics"}
    section = view.documents[0].sections[0]
    assert not section.claims[-1].answers
    numbers = sorted(one.number for claim in view.claims for one in claim.answers)
    assert numbers == list(range(view.answers))
    assert [one["id"] for one in view.data["answers"]] == [
        one.row.id for one in sorted((a for c in view.claims for a in c.answers), key=lambda a: a.number)
    ]


def test_what_was_not_measured_is_one_line_a_model_with_its_command(tmp_path):
    lines = view_of(small_run(), tmp_path).unmeasured
    assert [(one.of, one.ids, one.command) for one in lines] == [
        ("opt", ("dampens-opt",), "pytest --model opt"),
        ("nothing could test it", ("never",), ""),
    ]


def test_filters_offer_what_there_is(tmp_path):
    filters = view_of(small_run(), tmp_path).filters
    assert {one.value: one.count for one in filters["verdict"]} == {
        "SUPPORTED": 2,
        "REFUTED": 4,
        "INCONCLUSIVE": 1,
        "ERROR": 1,
    }
    assert {one.value for one in filters["weights"]} == {"measured", "drawn", "fact", "reason"}
    assert "uncalibrated" in {one.value for one in filters["label"]}


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("uncalibrated below n = 12", "uncalibrated"),
        ("smollm2: uncalibrated below n = 12", "uncalibrated"),
        ("gauge: stream-mean", "gauge"),
        ("gauge-dependent", "gauge-dependent"),
        ("look 2 (anytime)", "look"),
        ("an extension's own", "an extension's own"),
    ],
)
def test_labels_are_told_by_their_kind(label, kind):
    assert kind_of_label(label) == kind


def test_subjects_in_a_few_words():
    assert subject_of(row("a", "-")) == "mathematics"
    assert subject_of(row("a", "x, y, z", about={"for": "all"})) == "all of 3 models"
    assert subject_of(row("a", "x, y")) == "x and y"


def test_a_bar_lies_where_its_numbers_are():
    region = region_of("< 1")
    axis = axis_of(region, [estimate(2.0, 1.5, 2.5), estimate(0.0, None, 0.5)])
    span = 2.5 * 1.16  # from 0 to 2.5, and 8 % beyond either end
    assert (axis.low, axis.high) == pytest.approx((-0.2, 2.7))
    bar = bar_of(axis, estimate(2.0, 1.5, 2.5))
    assert bar.dot == pytest.approx(PAD + (2.0 + 0.2) / span * (WIDTH - 2 * PAD), abs=0.06)
    assert bar.region == (0.0, bar.thresholds[0])
    assert bar_of(axis, estimate(0.0, None, 0.5)).open_low
    assert bar_of(axis, estimate(1.0, None, None, level=None)).low is None
    assert region_of("equals parallel") is None


def test_what_would_change_a_verdict():
    refuted = "\n".join(changes_of(small_run().rows[0]))
    assert "outside by 0.05: from the bound 1.05 to the threshold 1" in refuted
    assert "1 of 1 variations come out differently (norm centred)" in refuted  # the other estimand is no variation
    undecided = "\n".join(changes_of(small_run().rows[3]))
    assert "More units: 40 to 90 prompts; it has 25 prompts." in undecided
    assert "smallest that this sample could see is 0.2 above 1" in undecided


def test_an_answer_for_the_browser_says_everything_and_nothing_empty(tmp_path):
    claim = next(one for one in view_of(small_run(), tmp_path).claims if one.id == "dampens")
    told = answer_data(claim.answers[0], [])
    assert told["e"]["v"] == 1.1
    assert told["u"] == [
        ["over these categories", {"e": 1.1, "lo": 1.05, "hi": 1.2, "v": "REFUTED", "by": {"over": "these categories"}}]
    ]
    assert [one["by"] for one in told["x"]] == [{"norm": "centred"}]
    assert told["c"][0]["name"] == "initialization"
    assert told["r"] == [["gpt2", {"v": 1.0652, "w": "n 25"}]]
    assert "h" not in told
    assert unpacked(packed(told)) == told


CLAIMS = """\
schema: 1
claims:
  - id: dampens
    headline: true
    statement: It dampens.
    evidence: measured
    models: gptj
    test: {statistic: mean, of: last_gain, predicts: "< 1"}

  # --- the next part ---
  - {id: grows, statement: It grows., evidence: none, reason: no measure}
"""


def test_a_claims_yaml_is_its_own_lines_and_only_if_it_says_the_same(tmp_path):
    (tmp_path / "claims.yaml").write_text(CLAIMS)
    loaded = read_claims(tmp_path / "claims.yaml")
    yaml = loaded.yaml()
    assert yaml["dampens"].startswith("- id: dampens\n  headline: true\n")
    assert yaml["dampens"].endswith('predicts: "< 1"}')
    assert yaml["grows"] == "- {id: grows, statement: It grows., evidence: none, reason: no measure}"
    known = known_claims(loaded, {claim.id: claim.hash for claim in loaded.claims})
    rows = tuple(row("dampens", "gptj", found=estimate(), about={"claim_hash": h}) for h in (known["dampens"].hash,))
    (claim,) = view_of(RunResult(PROVENANCE, rows, beside=Beside(known)), tmp_path).claims
    assert (claim.headline, claim.changed, claim.yaml) == (UNPLACED, False, yaml["dampens"])
    other = {"dampens": KnownClaim(known["dampens"].claim, yaml["dampens"], "another")}
    (claim,) = view_of(RunResult(PROVENANCE, rows, beside=Beside(other)), tmp_path).claims
    assert (claim.changed, claim.yaml) == (True, "")


def test_a_headline_is_no_part_of_what_a_claim_says():
    marked, plain = (
        claims_from(parse_yaml(text, "c.yaml"))[0] for text in (CLAIMS, CLAIMS.replace("    headline: true\n", ""))
    )
    assert marked.headline
    assert marked.hash == plain.hash


def test_thirteen_headlines_are_refused_by_name():
    one = "  - {{id: c{}, headline: true, statement: s, evidence: none, reason: r}}\n"
    text = "schema: 1\nclaims:\n" + "".join(one.format(at) for at in range(13))
    with pytest.raises(BadInput, match=r"c.yaml:15 claims\[12\].headline: 13 claims are headlines, at most 12 may be"):
        claims_from(parse_yaml(text, "c.yaml"))
    assert len(claims_from(parse_yaml("".join(text.splitlines(keepends=True)[:-1]), "c.yaml"))) == 12


def test_two_runs_side_by_side():
    run = small_run()
    flipped = replace(run.rows[0], verdict=run.rows[1].verdict, estimate=estimate(0.9, 0.85, 0.95))
    moved = replace(run.rows[1], estimate=estimate(0.5, 0.4, 0.6))
    view = compare_view(run, RunResult(PROVENANCE, (flipped, moved, *run.rows[2:])))
    assert view.sentence == "1 verdict changed, and 1 estimate moved."
    groups = {group.key: [pair.id for pair in group.pairs] for group in view.groups}
    assert groups == {"verdict": ["dampens-gpt2"], "moved": ["dampens-gptj"]}
    (pair,) = view.groups[0].pairs
    assert (pair.before.verdict, pair.after.verdict) == ("REFUTED", "SUPPORTED")
    assert pair.before.bar.thresholds == pair.after.bar.thresholds  # one axis for both


def test_headlines_stand_in_their_places_and_those_without_one_behind(tmp_path):
    marks = {"a": True, "b": 2, "c": 1, "d": False}
    rows = tuple(row(name, "gpt2", found=estimate(), about={"headline": mark}) for name, mark in marks.items())
    assert [one.claim.id for one in view_of(RunResult(PROVENANCE, rows), tmp_path).headlines] == ["c", "b", "a"]


def test_two_headlines_in_one_place_and_one_beyond_the_last_are_refused():
    one = "  - {{id: c{}, headline: {}, statement: s, evidence: none, reason: r}}\n"
    text = "schema: 1\nclaims:\n" + one.format(0, 3) + one.format(1, 1) + one.format(2, 3)
    with pytest.raises(BadInput, match=r"c.yaml:5 claims\[2\].headline: place 3 is that of 'c0' already"):
        claims_from(parse_yaml(text, "c.yaml"))
    with pytest.raises(BadInput, match="headline"):
        claims_from(parse_yaml("schema: 1\nclaims:\n" + one.format(0, 13), "c.yaml"))


def test_collections_stand_apart_each_with_its_documents(tmp_path):
    def told(collection, document):
        return {"collection": collection, "source": {"document": document}}

    rows = (
        row("a", "m", "SUPPORTED", found=estimate(0.8, 0.75, 0.85), about=told("ours", "one")),
        row("b", "m", "REFUTED", found=estimate(1.8, 1.75, 1.85), about=told("theirs", "two")),
        row("c", "m", "REFUTED", found=estimate(1.8, 1.75, 1.85), about=told("ours", "three")),
    )
    view = view_of(RunResult(PROVENANCE, rows), tmp_path)
    assert [(name, [of.name for of in documents]) for name, documents in view.collections] == [
        ("ours", ["one", "three"]),
        ("theirs", ["two"]),
    ]
    assert view.front.collections == ("ours: 2 claims: 1 SUPPORTED, 1 REFUTED", "theirs: 1 claim: 1 REFUTED")
    assert {one.value: one.count for one in view.filters["collection"]} == {"ours": 2, "theirs": 1}


def test_claims_of_no_collection_have_one_heading(tmp_path):
    view = view_of(small_run(), tmp_path)
    assert [name for name, _ in view.collections] == [""]
    assert view.front.collections == ()
