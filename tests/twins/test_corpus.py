from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from refutable.twins.corpus.baselines import KneserNey, unigram_loss
from refutable.twins.corpus.extract import READERS, cleaned, is_english
from refutable.twins.corpus.tokens import load_tokens, tokenise
from refutable.twins.errors import TwinsError

PROSE = "It is the first of the things that a reader will look for in a text of this kind, and it is not there."


def test_a_kneser_ney_model_gives_probabilities_that_sum_to_one() -> None:
    text = np.random.default_rng(0).integers(0, 7, 500).astype(np.uint16)
    model = KneserNey(text, vocabulary=7, order=3)
    for history in ((1, 2), (6, 6), (0, 5)):
        grams = np.array([(history[0] << 6) | (history[1] << 3) | token for token in range(7)], np.uint64)
        assert model.probabilities(grams).sum() == pytest.approx(1)


def test_a_kneser_ney_model_learns_what_a_unigram_model_cannot() -> None:
    text = (np.arange(4000) % 11).astype(np.uint16)
    assert KneserNey(text, 11).loss(text) < 0.05
    assert unigram_loss(text, text, 11) == pytest.approx(np.log(11), abs=1e-3)


def test_prose_is_kept_and_code_is_not() -> None:
    assert is_english(PROSE)
    assert not is_english("for (int i = 0; i < n; ++i) { total += values[i]; } return total;")
    assert cleaned("\u201cIt\u2019s\u201d\u00a0\u2014 so") == '"It\'s" - so'


def test_markup_is_read_without_code_and_navigation(tmp_path: Path) -> None:
    page = tmp_path / "a.html"
    page.write_text(f"<html><nav><p>Home</p></nav><p>{PROSE}</p><pre>x = 1</pre><script>y()</script></html>")
    ((name, paragraphs),) = READERS["html"](page)
    assert name == "a.html"
    assert [one for one in paragraphs if one] == [PROSE]


def test_tokens_are_cut_into_windows_within_a_source_and_read_back(tmp_path: Path) -> None:
    for part, count in (("train", 30), ("held-out", 5)):
        lines = [json.dumps({"source": s, "text": f"{PROSE} {i}"}) for s in ("a", "b") for i in range(count)]
        (tmp_path / f"{part}.jsonl").write_text("\n".join(lines))
    (tmp_path / "corpus.json").write_text('{"sha256": {}}')
    about = tokenise(tmp_path, tmp_path / "300", 300, limit=1000, prompts=["the first"])
    tokens = load_tokens(tmp_path / "300")
    assert about["train"]["tokens"] == len(tokens.train) <= 1000
    assert tokens.train.max() < 300
    spans = sorted(tokens.spans.values())
    for start in tokens.windows(16):
        assert any(a <= start and start + 16 < b for a, b in spans)
    assert tokens.held_out_windows(16, 3).shape == (3, 17)
    (tmp_path / "300" / "train.bin").write_bytes(b"\0\0")
    with pytest.raises(TwinsError, match="tokenise again"):
        load_tokens(tmp_path / "300")
