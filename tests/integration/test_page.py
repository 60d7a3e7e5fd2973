"""The page that a run writes: its claims' YAML, samples behind its verdicts, and the baseline; also when rebuilt."""

from __future__ import annotations

import re

from refutable.reports.page.data import unpacked


def data_of(page: str) -> dict:
    return unpacked(re.search(r'id="_data">([^<]*)<', page)[1])


def test_a_run_leaves_its_page_and_report_rebuilds_the_same(suite):
    suite.write(
        "claims.yaml",
        suite.folder.joinpath("claims.yaml")
        .read_text()
        .replace("evidence: wiring", "headline: true\n    evidence: wiring"),
    )
    first = suite.pytest("-k", "tiny-gpt2 or opt or gptj")
    assert "SUPPORTED" in first.text
    file = suite.folder / "reports" / "index.html"
    page = file.read_text(encoding="utf-8")
    claims = {one["id"]: one for one in data_of(page)["claims"]}
    assert claims["opt-is-parallel"]["yaml"].startswith("- id: opt-is-parallel\n  statement: OPT runs")
    assert page.count('<article class="headline">') == 1
    answers = {one["id"]: one for one in data_of(page)["answers"]}
    (sample,) = answers["tiny-attention-shrinks-the-stream-tiny-gpt2"]["h"]
    assert (len(sample["values"]), len(sample["names"]), sample["region"]) == (25, 5, [None, 1.0])
    mean = sum(sample["values"]) / 25
    assert abs(mean - answers["tiny-attention-shrinks-the-stream-tiny-gpt2"]["e"]["v"]) < 1e-4
    assert "pytest --model gptj" in page
    assert suite.refutable("report").status == 0
    assert file.read_text(encoding="utf-8") == page
    (suite.folder / "base.json").write_text((suite.folder / "reports" / "verdicts.json").read_text())
    suite.pytest("-k", "gptj", "--baseline", "base.json")
    assert "No verdict changed against the baseline of" in file.read_text(encoding="utf-8")
