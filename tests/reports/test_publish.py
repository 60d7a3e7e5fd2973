"""What may be published: verdicts on weights that others can have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from refutable.errors import BadInput
from refutable.reports.formats.verdicts_json import json_text
from refutable.reports.journal import RunResult
from refutable.reports.publish import publish_run
from refutable.verdicts.judge import Judgement
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Verdict


def written(folder: Path, kind: str) -> Path:
    about = {"statement": "s", "evidence": "measured", "alpha": 0.05}
    judged = Judgement(Verdict.SUPPORTED, "> 1", "why")
    row = VerdictRow.of(judged, case="c-m", claim="c", subject="m", about=about, weights={"weights_kind": kind})
    path = folder / "verdicts.json"
    path.write_text(json_text(replace(RunResult({"started": "now"}, (row,)), complete=True)))
    return path


@pytest.mark.parametrize("kind", ["pretrained", "dequantised", "initialisation", "dequantised, pretrained"])
def test_weights_that_others_can_have_are_published(kind: str, tmp_path: Path) -> None:
    publish_run(written(tmp_path, kind), tmp_path / "published.json")
    assert (tmp_path / "published.json").is_file()


@pytest.mark.parametrize(
    "kind", ["local", "quantised (gptq, 4 bit)", "hub, unverified", "with adapter", "pretrained, local"]
)
def test_others_are_refused(kind: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="1 verdicts are on unverified weights"):
        publish_run(written(tmp_path, kind), tmp_path / "published.json")
