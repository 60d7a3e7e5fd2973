"""Looking again on more prompts, as a user does who follows the advice on how many would decide."""

from __future__ import annotations

import json

import pytest

from .conftest import Suite

CLAIM = """\
schema: 1
claims:
  - id: shrinks
    statement: A tiny model's last block shrinks the stream.
    evidence: measured
    models: [tiny-gpt2]
    test: {statistic: STATISTIC, of: last_gain, predicts: "< 1.087"}
"""
TABLE = "Model,Prompt,Category,Last_Gain\n" + "".join(f"tiny-gpt2,prompt {i},,{1 + i / 100}\n" for i in range(8))
TEXTS = [f"This is text number {i} of a few" for i in range(8)]


@pytest.mark.parametrize(
    ("statistic", "label", "workers"), [("mean", "look 2", ()), ("mean_anytime", "look 2 (anytime)", ("-n", "2"))]
)
def test_a_second_look_on_more_prompts_says_so(
    suite: Suite, statistic: str, label: str, workers: tuple[str, ...]
) -> None:
    suite.write("claims.yaml", CLAIM.replace("STATISTIC", statistic))
    suite.write("few.txt", "\n".join(TEXTS[:5]))
    suite.write("more.txt", "\n".join(TEXTS))
    looked = {}
    for file in ("few.txt", "more.txt", "more.txt"):
        (row,) = suite.pytest("--prompts", file, *workers).json["verdicts"]
        looked.setdefault(file, []).append([one for one in row["labels"] if one.startswith("look")])
    assert looked == {"few.txt": [[]], "more.txt": [[label], [label]]}
    assert [look["prompts"] for look in row["looks"]] == [5, 8]
    e = row["estimate"]["e"]
    assert (e is not None) == (statistic == "mean_anytime")
    suite.pytest("--prompts", "more.txt", "--reports", "other", "--baseline", "reports/verdicts.json")
    (row,) = json.loads((suite.folder / "other" / "verdicts.json").read_text())["verdicts"]
    assert label in row["labels"]  # known from the baseline


OTHER = """\
  - id: other
    statement: Another claim about the same model.
    evidence: measured
    models: [tiny-gpt2]
    test: {statistic: mean, of: last_gain, predicts: "< 2"}
"""


def test_a_run_that_leaves_a_claim_out_forgets_none_of_its_looks(suite: Suite) -> None:
    suite.write("claims.yaml", CLAIM.replace("STATISTIC", "mean_anytime") + OTHER)
    suite.write("one.txt", TEXTS[0])
    suite.write("few.txt", "\n".join(TEXTS[:5]))
    suite.write("more.txt", "\n".join(TEXTS))
    suite.pytest("--prompts", "few.txt")
    suite.pytest("--prompts", "few.txt", "-k", "other")  # not selected
    suite.pytest("--prompts", "one.txt", "--skip-hopeless")  # not measured; the first run's journal is gone by now
    rows = {row["claim"]: row for row in suite.pytest("--prompts", "more.txt").json["verdicts"]}
    assert "look 2 (anytime)" in rows["shrinks"]["labels"]
    assert "look 2" in rows["other"]["labels"]
    first, second = rows["shrinks"]["looks"]
    assert first["hypothesis"] == second["hypothesis"] != rows["other"]["looks"][0]["hypothesis"]
    assert first["statistic"] == second["statistic"] == "mean_anytime 1"


def test_a_table_is_no_look_at_the_prompts_of_the_claim(suite: Suite) -> None:
    suite.write("claims.yaml", CLAIM.replace("STATISTIC", "mean"))
    suite.write("t.csv", TABLE)
    (row,) = suite.pytest("--measurements", "t.csv").json["verdicts"]
    assert (row["estimate"]["n"], row["looks"]) == (8, [])
