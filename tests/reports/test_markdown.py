"""The pages of verdicts: the committed ones are the generated ones, and they say what the data say."""

from __future__ import annotations

import json
import posixpath
import re
from dataclasses import replace

from places import ROOT
from typer.testing import CliRunner

from refutable._util.strict_yaml import parse_yaml
from refutable.claims.file import claims_from, load_claims
from refutable.cli import app
from refutable.models.registry import load_registry
from refutable.reports.formats.verdicts_json import as_json, read_verdicts
from refutable.reports.journal import RunResult
from refutable.reports.markdown import verdict_pages, write_pages
from refutable.verdicts.judge import Judgement
from refutable.verdicts.preregistration.status import current_hashes
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Estimate, Verdict

CLAIMS = """\
schema: 1
claims:
  - id: a
    catalogue: x
    decides: part
    statement: It shrinks.
    source: {document: one, section: First, quote: "# it | shrinks"}
    also: [{document: two, section: Third, quote: as we said, catalogue: y, decides: sentence}]
    contradicts: c
    evidence: measured
    models: gptj
    test: {statistic: mean, of: last_gain, predicts: "< 1"}
    record: {gptj: {value: 1.0652, n: 25, dtype: bfloat16}}
  - {id: b, statement: Who knows., source: {document: one, section: First}, evidence: causal, needs: twins}
  - {id: c, statement: It grows., source: {document: two, section: Second}, evidence: none, reason: no measure}
"""
FOUND = Estimate(
    value=0.91,
    low=0.9,
    high=0.92,
    level=0.9,
    n=25,
    unit="prompt",
    p=0.01,
    effect_size=1.0,
    method="t",
    statistic="mean",
    of=("last_gain",),
)


def claims():
    return claims_from(parse_yaml(CLAIMS, "c.yaml"))


def hashes(file=ROOT / "claims.yaml", loaded=None):
    return current_hashes(loaded if loaded is not None else claims(), load_registry(), file)


def pages_of(found):
    return verdict_pages(claims(), found, hashes())


def page_of(found):
    return "\n".join(pages_of(found).values())


def run(verdict: Verdict = Verdict.SUPPORTED, claim_hash: str | None = None) -> RunResult:
    about = {"statement": "s", "evidence": "measured", "alpha": 0.05, "claim_hash": claim_hash or hashes()["a"]}
    judged = Judgement(verdict, "< 1", "mean | found", FOUND, ("fragile",))
    weights = {"weights_kind": "pretrained"}
    row = VerdictRow.of(judged, case="a-gptj", claim="a", subject="gptj", about=about, weights=weights)
    return RunResult({"device": "CPU", "packages": {}, "git_commit": None}, (row,))


def published_pages():
    loaded = load_claims(ROOT / "claims.yaml")
    published = read_verdicts(ROOT / "reports/published/verdicts.json")
    on_tables = read_verdicts(ROOT / "reports/published/documents/verdicts.json")
    return verdict_pages(loaded, published, hashes(loaded=loaded), on_tables)


def test_the_committed_pages_are_the_generated_ones():
    docs = ROOT / "docs"
    committed = [docs / "verdicts.md", *sorted((docs / "verdicts").rglob("*.md"))]
    shown = {path.relative_to(docs).as_posix(): path.read_text(encoding="utf-8") for path in committed}
    assert shown == published_pages(), "write them anew: refutable page"
    assert not any("of an earlier form of the claim" in text for text in shown.values()), "publish: refutable publish"


def test_the_pages_name_every_claim_and_every_verdict_that_is_published():
    loaded = load_claims(ROOT / "claims.yaml")
    runs = [read_verdicts(ROOT / "reports/published" / name) for name in ("verdicts.json", "documents/verdicts.json")]
    sections = [text for name, text in published_pages().items() if name.count("/") == 2]
    heads = [line[4:-1] for text in sections for line in text.splitlines() if line.startswith("## `")]
    assert sorted(heads) == sorted(claim.id for claim in loaded)
    lines = [line for text in sections for line in text.splitlines() if line.startswith("| ")]
    shown = [line for line in lines if "**" in line.split(" | ")[1]]
    assert len(shown) == sum(row.claim in set(heads) for of in runs for row in of.rows)


def test_every_link_between_the_pages_leads_to_a_heading():
    pages = published_pages()
    for name, text in pages.items():
        for target, fragment in re.findall(r"\]\(([^)#]+\.md)(?:#([^)]+))?\)", text):
            page = pages[posixpath.normpath(posixpath.join(posixpath.dirname(name), target))]
            heads = {line[4:-1].replace(".", "") for line in page.splitlines() if line.startswith("## `")}
            assert not fragment or fragment in heads, (name, target, fragment)


def test_verdicts_on_a_published_table_stand_beside_the_measured_and_are_counted_apart():
    measured = run()
    (row,) = measured.rows
    table = RunResult(
        {"options": {"measurements": "printed.csv, SHA-256 0123"}},
        (replace(row, verdict=Verdict.REFUTED, weights={"weights_kind": "published table"}),),
    )
    page = "\n".join(verdict_pages(claims(), measured, hashes(), table).values())
    shown = [line for line in page.splitlines() if line.startswith("| gptj")]
    assert [line.split(" | ")[:2] for line in shown] == [
        ["| gptj (pretrained)", "**SUPPORTED**"],
        ["| gptj (published table)", "**REFUTED**"],
    ]
    assert "1 verdicts on claims and subjects: 1 SUPPORTED." in page
    assert "1 verdicts on printed.csv, SHA-256 0123: 1 REFUTED." in page


def test_a_page_has_one_section_and_the_index_leads_to_each():
    pages = pages_of(run())
    index = pages.pop("verdicts.md")
    heads = {name: [line for line in text.splitlines() if line.startswith("#")] for name, text in pages.items()}
    assert heads == {
        "verdicts/all-claims.md": ["# Every claim by name"],
        "verdicts/contradictions.md": ["# Claims that cannot both hold"],
        "verdicts/one/first.md": ["# First", "## `a`", "## `b`"],
        "verdicts/two/second.md": ["# Second", "## `c`"],
    }
    assert "| [First](verdicts/one/first.md) | 2 | 1 SUPPORTED | – |" in index
    assert all(f"]({name})" in index for name in pages)


def test_sections_that_are_numbered_stand_in_the_order_of_their_numbers():
    numbered = CLAIMS.replace("section: Second", "section: 10. Last").replace("document: two", "document: one")
    numbered = numbered.replace("section: First, quote", "section: 9.1 Early, quote").replace("First}", "11 Later}")
    loaded = claims_from(parse_yaml(numbered, "c.yaml"))
    index = verdict_pages(loaded, run(), hashes(loaded=loaded))["verdicts.md"]
    assert re.findall(r"^\| \[([^\]]+)", index, flags=re.MULTILINE) == ["9.1 Early", "10. Last", "11 Later"]


def test_a_page_of_a_section_that_is_gone_goes_too_and_nobody_elses(tmp_path):
    write_pages(pages_of(run()), tmp_path)
    (tmp_path / "verdicts" / "two" / "mine.md").write_text("Mine.")
    (tmp_path / "verdicts" / "two" / "second.md").rename(tmp_path / "verdicts" / "two" / "former.md")
    write_pages(pages_of(run()), tmp_path)
    assert sorted(path.name for path in (tmp_path / "verdicts" / "two").iterdir()) == ["mine.md", "second.md"]


def test_it_shows_words_verdict_estimate_interval_labels_record_and_why():
    lines = page_of(run()).splitlines()
    assert "> “# it | shrinks”" in lines
    assert "> “as we said” (two, Third)" in lines
    assert "The author recorded: gptj 1.0652 (n = 25, bfloat16)." in lines
    assert (
        "| gptj (pretrained) | **SUPPORTED** | 0.91 | [0.9, 0.92] at 90 % | 25 prompts | fragile | mean \\| found |"
        in lines
    )
    assert "**NOT_MEASURED.** It needs: twins" in lines
    assert "**NOT_MEASURED.** It cannot be tested: no measure" in lines


def test_it_says_how_far_a_claim_decides_each_sentence():
    page = page_of(run(Verdict.REFUTED))
    assert "Of the catalogue's sentences: decides a part of `x`, decides `y`." in page
    assert "error rate" not in page  # one verdict is no multitude


def test_it_lists_the_pairs_that_cannot_both_hold_with_how_each_stands():
    lines = page_of(run()).splitlines()
    one, other = "one: It shrinks. ([`a`](one/first.md#a))", "two: It grows. ([`c`](two/second.md#c))"
    assert f"| {one} | SUPPORTED 1 | {other} | cannot be tested |" in lines


def test_another_verdict_makes_another_page():
    pages = {page_of(run(verdict)) for verdict in Verdict if verdict.looked}
    assert len(pages) == 3
    for verdict in (Verdict.REFUTED, Verdict.INCONCLUSIVE):
        page = page_of(run(verdict))
        assert f"**{verdict.value}**" in page
        assert "SUPPORTED" not in page


def test_a_verdict_on_an_earlier_form_of_a_claim_says_so():
    assert "of an earlier form of the claim" in page_of(run(claim_hash="0" * 64))
    assert "of an earlier form of the claim" not in page_of(run())


def test_publishing_writes_a_page_anew_where_there_is_one_and_makes_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "claims.yaml").write_text(CLAIMS)
    told = as_json(replace(run(), provenance={**run().provenance, "started": "", "python": "", "claims_hash": ""}))
    (tmp_path / "verdicts.json").write_text(json.dumps(told))
    arguments = ["publish", "verdicts.json", "--to", "published.json", "--yes", "--page", "page.md"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert not (tmp_path / "page.md").exists()
    assert CliRunner().invoke(app, ["page", "--verdicts", "published.json", "--out", "page.md"]).exit_code == 0
    section = tmp_path / "page" / "one" / "first.md"
    assert section.read_text() == pages_of(run())["verdicts/one/first.md"].replace("verdicts.md", "page.md")
    told["verdicts"][0]["verdict"] = "REFUTED"
    (tmp_path / "verdicts.json").write_text(json.dumps(told))
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert "**REFUTED**" in section.read_text()
    assert "1 REFUTED" in (tmp_path / "page.md").read_text()
