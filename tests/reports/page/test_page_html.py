"""The page as a file: it asks for nothing, and every text in it stays text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from page_runs import EVIL, small_run

from refutable.reports.formats.index_html import MOST_BYTES, MOST_FIGURES, page_html, write
from refutable.reports.journal import RunResult
from refutable.reports.page.data import unpacked
from refutable.reports.page.render import html
from refutable.traces.store import Store


class Tags(HTMLParser):
    """Collects what a page contains: scripts, ids, and everything that would be loaded."""

    def __init__(self, text):
        super().__init__()
        self.scripts, self.ids, self.loads, self.handlers = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.scripts += [given.get("type", "")] if tag == "script" else []
        self.ids += [given["id"]] if "id" in given else []
        self.handlers += [name for name in given if name.startswith("on")]
        if tag in ("img", "script", "link", "iframe", "object", "embed", "source"):
            self.loads += [given[name] for name in ("src", "href", "data") if name in given]


def test_a_hostile_claim_stays_text(tmp_path):
    text = page_html(small_run(), Store(tmp_path))
    assert EVIL not in text
    assert "&lt;/script&gt;&lt;script&gt;window.evil = 1" in text
    assert "49" not in re.findall(r"\{\{ 7 \* 7 \}\}|49(?= &amp; )", text)
    tags = Tags(text)
    assert tags.scripts == ["application/octet-stream", ""]
    assert tags.handlers == []


def test_nothing_is_loaded_from_anywhere(tmp_path):
    text = page_html(small_run(), Store(tmp_path))
    assert [url for url in Tags(text).loads if not url.startswith("data:")] == []
    style = re.search(r"<style>(.*?)</style>", text, re.S)[1]
    assert "url(" not in style
    assert "@import" not in style
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src &#39;none&#39;;")


def test_ids_are_unique_and_the_pages_own_are_no_claims(tmp_path):
    ids = Tags(page_html(small_run(), Store(tmp_path))).ids
    assert len(ids) == len(set(ids))
    claims = {row.claim for row in small_run().rows}
    assert claims <= set(ids)
    assert all(name.startswith("_") for name in set(ids) - claims)


def test_what_matters_is_there_without_a_script(tmp_path):
    text = page_html(small_run(), Store(tmp_path))
    plain = re.sub(r"<script.*?</script>", "", text, flags=re.S)
    assert 'aria-label="REFUTED on gpt2 (measured): 1.1 [1.05, 1.2], predicted &lt; 1"' in plain  # the matrix
    assert "6 claims tried on 3 models" in plain
    assert "pytest --model opt" in plain
    assert "Parallel attention dampens." in plain


def test_figures_beside_the_page_are_in_it_as_images(tmp_path):
    (tmp_path / "figures").mkdir()
    for name in ("gain-by-model", "zz"):
        (tmp_path / "figures" / f"{name}.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (tmp_path / "figures" / "large.svg").write_text("x" * (MOST_BYTES + 1))
    for at in range(MOST_FIGURES + 2):
        (tmp_path / "figures" / f"a{at}.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    write(small_run(), Store(tmp_path / "cache"), tmp_path)
    text = (tmp_path / "index.html").read_text()
    assert text.count('src="data:image/svg+xml;base64,') == MOST_FIGURES
    assert 'alt="large"' not in text


def test_a_run_without_verdicts_has_a_page(tmp_path):
    text = page_html(RunResult({}, (), complete=False), Store(tmp_path))
    assert "0 cases selected, and none was looked at." in text
    assert "Cut short" in text


def test_a_page_without_scripts_may_run_none():
    text = html("runs.html", scripted=False, place="runs", runs=[])
    assert "script-src &#39;none&#39;" in text
    assert "<script" not in text


def test_200_claims_on_25_models_stay_below_5_mb(large_file):
    text = large_file.read_text()
    assert large_file.stat().st_size < 5_000_000
    data = unpacked(re.search(r'id="_data">([^<]*)<', text)[1])
    assert (len(data["claims"]), len(data["answers"])) == (200, 5000)
    assert all(len(answer["x"]) == 12 for answer in data["answers"])
