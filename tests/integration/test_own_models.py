"""Models without a row, as users run them: two of one name are two, and one that cannot be read stops only itself."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from .conftest import Suite

CLAIMS = """\
schema: 1
claims:
  - id: grows
    statement: The last block lengthens the stream.
    evidence: measured
    test: {statistic: mean, of: last_gain, predicts: "> 1"}
  - id: deep
    statement: It has three layers.
    evidence: architecture
    test: {fact: layers, predicts: "within [3, 3]"}
  - id: parallel
    statement: Attention and MLP run in parallel.
    evidence: wiring
    test: {probe: mlp_reads_attention, equals: parallel}
"""


@pytest.fixture
def own(suite: Suite) -> Suite:
    """Return a suite whose claims are about every model, and the folders run1/mine, run2/mine and run3/mine."""
    suite.write("claims.yaml", CLAIMS)
    for folder, row, seed in (("run1", "tiny-gpt2", "0"), ("run2", "tiny-gpt2", "1"), ("run3", "tiny-gptj", "0")):
        drawn = suite.refutable("draw", row, "--out", f"{folder}/mine", "--device", "cpu", "--seed", seed)
        assert drawn.status == 0, drawn.text
    return suite


def rows(suite: Suite) -> dict[str, Any]:
    return {row["id"]: row for row in json.loads((suite.folder / "reports" / "verdicts.json").read_text())["verdicts"]}


@pytest.mark.parametrize(("folder", "others"), [("run2", {"grows"}), ("run3", {"grows", "deep", "parallel"})])
def test_verdicts_on_two_folders_of_one_name_are_no_change(folder: str, others: set[str], own: Suite) -> None:
    first = own.pytest("--model", "run1/mine", "-k", "mine")
    assert {"grows-mine", "deep-mine", "parallel-mine"} == {*first.verdicts}
    before = own.folder / "before.json"
    shutil.copy(own.folder / "reports" / "verdicts.json", before)
    turned = json.loads(before.read_text())
    for row in turned["verdicts"]:  # whatever the verdict is, it was another one
        row["verdict"] = "REFUTED" if row["verdict"] != "REFUTED" else "SUPPORTED"
    before.write_text(json.dumps(turned))
    same = own.pytest("--model", "run1/mine", "-k", "mine", "--baseline", str(before))
    assert (same.status, same.text.count("CHANGED against the baseline")) == (1, 3)
    other = own.pytest("--model", f"{folder}/mine", "-k", "mine", "--baseline", str(before))
    for claim in ("grows", "deep", "parallel"):
        assert (f"not compared, other weights than the baseline's: {claim}-mine" in other.text) is (claim in others)
        assert (f"CHANGED against the baseline: {claim}-mine" in other.text) is (claim not in others)
    told = own.refutable("diff", str(before), "reports/verdicts.json")
    assert (told.text.count("other weights"), told.status) == (len(others) + 1, 1)
