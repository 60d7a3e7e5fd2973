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


@pytest.mark.parametrize(
    "between",
    [("--prompts", "few.txt", "-k", "other"), ("--prompts", "one.txt", "--skip-hopeless")],
    ids=["not selected", "not measured"],
)
def test_a_run_that_leaves_a_claim_out_forgets_none_of_its_looks(suite: Suite, between: tuple[str, ...]) -> None:
    suite.write("claims.yaml", CLAIM.replace("STATISTIC", "mean_anytime") + OTHER)
    suite.write("one.txt", TEXTS[0])
    suite.write("few.txt", "\n".join(TEXTS[:5]))
    suite.write("more.txt", "\n".join(TEXTS))
    suite.pytest("--prompts", "few.txt")
    for _ in range(2):  # the second moves the first run's journal out of the folder
        suite.pytest(*between)
    labels = {row["claim"]: row["labels"] for row in suite.pytest("--prompts", "more.txt").json["verdicts"]}
    assert "look 2 (anytime)" in labels["shrinks"]
    assert "look 2" in labels["other"]


def test_a_look_at_a_table_is_at_its_own_prompts(suite: Suite) -> None:
    """One of 25 prompts, those of the claim, was recorded whatever the table held, so no second one was seen."""
    suite.write("claims.yaml", CLAIM.replace("STATISTIC", "mean_anytime").replace("tiny-gpt2", "gpt2"))
    seen = []
    for first, last in ((0, 5), (0, 8), (1, 9)):
        lines = [f"gpt2,prompt {i},{1 + i / 50}" for i in range(first, last)]
        suite.write("table.csv", "\n".join(["Model,Prompt,Last_Gain", *lines]))
        (row,) = suite.pytest("--measurements", "table.csv").json["verdicts"]
        seen.append([one for one in row["labels"] if one.startswith("look")])
    assert seen == [[], ["look 2 (anytime)"], ["look 2"]]  # the last does not begin with the first five
    assert [look["prompts"] for look in row["looks"]] == [5, 8, 8]


def test_a_value_without_replicates_is_no_look(suite: Suite) -> None:
    suite.write("claims.yaml", CLAIM.replace("STATISTIC", "mean").replace("tiny-gpt2", "gpt2"))
    suite.write("table.csv", "Model,Last_Gain\ngpt2,1.05\n")
    (row,) = suite.pytest("--measurements", "table.csv").json["verdicts"]
    assert row["estimate"]["unit"] == "census"
    assert row["looks"] == []


def test_a_table_that_lacks_a_value_of_a_model_is_looked_at_on_the_others(suite: Suite) -> None:
    models = "models: [gpt2, gpt2-medium]\n    for: any"
    suite.write("claims.yaml", CLAIM.replace("STATISTIC", "mean").replace("models: [tiny-gpt2]", models))
    lines = ["gpt2,prompt 0,", "gpt2,prompt 1,", *(f"gpt2-medium,prompt {i},{0.5 + i / 50}" for i in range(4))]
    suite.write("table.csv", "\n".join(["Model,Prompt,Last_Gain", *lines]))
    (row,) = suite.pytest("--measurements", "table.csv").json["verdicts"]
    assert row["verdict"] == "SUPPORTED", row["why"]
    assert [look["prompts"] for look in row["looks"]] == [4]
