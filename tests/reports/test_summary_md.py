"""summary.md: under 60 lines whatever happened, with what changed first."""

from __future__ import annotations

import dataclasses

from generated_rows import runs
from hypothesis import given, settings
from hypothesis import strategies as st
from places import ROOT

from refutable.reports.baseline import Comparison, compare
from refutable.reports.formats.summary_md import summary
from refutable.reports.formats.verdicts_json import read_verdicts
from refutable.reports.journal import Check, RunResult
from refutable.reports.selection import Selection
from refutable.verdicts.verdict import Verdict

PUBLISHED = read_verdicts(ROOT / "reports" / "published" / "verdicts.json")


@given(runs(12))
@settings(max_examples=12, deadline=None)
def test_it_is_short_and_every_part_is_closed(run: RunResult) -> None:
    text = summary(run)
    assert len(text.splitlines()) < 60
    assert text.count("<details>") == text.count("</details>") <= 1


@given(st.sampled_from(Verdict))
@settings(max_examples=5, deadline=None)
def test_it_is_short_when_everything_goes_wrong(verdict: Verdict) -> None:
    rows = tuple(dataclasses.replace(row, verdict=verdict, why=f"{row.id} fails") for row in PUBLISHED.rows)
    many = tuple(f"case-{n} (pretrained): SUPPORTED -> REFUTED" for n in range(99))
    checks = tuple(Check(f"test_{n}", "failed", "no", 0.0) for n in range(99))
    for found in (None, Comparison(many, many, many, many, many, many)):
        run = RunResult(PUBLISHED.provenance, rows + PUBLISHED.rows, checks, False, Selection(cases=1, of=2), found)
        assert len(summary(run).splitlines()) < 60


def test_a_changed_verdict_is_the_first_thing_said() -> None:
    old = PUBLISHED.rows[0]
    row = dataclasses.replace(old, verdict=Verdict.REFUTED if old.verdict is Verdict.SUPPORTED else Verdict.SUPPORTED)
    run = dataclasses.replace(PUBLISHED, rows=(row, *PUBLISHED.rows[1:]))
    text = summary(dataclasses.replace(run, comparison=compare(run, PUBLISHED)))
    first = next(line for line in text.splitlines() if line.startswith("- "))
    assert first == f"- **changed**: {row.id} ({row.weights_kind}): {old.verdict.value} -\\> {row.verdict.value}"


def test_the_counts_are_those_of_the_rows() -> None:
    text = summary(PUBLISHED)
    for verdict in (Verdict.REFUTED, Verdict.SUPPORTED):
        rows = [row for row in PUBLISHED.rows if row.verdict is verdict and row.decided]
        rated = sum(row.has_error_rate for row in rows)
        assert f"| {verdict.value} | {rated} | {len(rows) - rated} |" in text


def test_text_of_a_claim_is_no_markup() -> None:
    row = next(row for row in PUBLISHED.rows if row.verdict is Verdict.REFUTED)
    odd = dataclasses.replace(row, about={**row.about, "statement": "</details> | [a](b)\n# head"})
    text = summary(dataclasses.replace(PUBLISHED, rows=(odd,)))
    assert "\\</details\\> \\| \\[a\\](b) \\# head" in text
    assert "\n# head" not in text
