"""Models without a row, as users run them: two of one name are two, and one that cannot be read stops only itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
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
INI = (
    "[pytest]\nrefutable_claims = claims.yaml\naddopts = --pyargs\ntestpaths = refutable.suite\n"
    "refutable_figures = none\n"
)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with run1/mine, run2/mine (of another seed) and run3/mine (of another model)."""
    suite = Suite(tmp_path_factory.mktemp("drawn"), tmp_path_factory.mktemp("cache"))
    for folder, row, seed in (("run1", "tiny-gpt2", "0"), ("run2", "tiny-gpt2", "1"), ("run3", "tiny-gptj", "0")):
        done = suite.refutable("draw", row, "--out", f"{folder}/mine", "--device", "cpu", "--seed", seed)
        assert done.status == 0, done.text
    return suite.folder


@pytest.fixture
def own(suite: Suite, drawn: Path) -> Suite:
    """Return a suite whose claims are about every model, with the drawn folders."""
    shutil.copytree(drawn, suite.folder, dirs_exist_ok=True)
    suite.write("claims.yaml", CLAIMS)
    suite.write("pytest.ini", INI)
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


def test_what_cannot_be_described_stops_only_itself(own: Suite) -> None:
    own.write("broken/config.json", "{")
    own.write("strange/config.json", '{"model_type": "bert"}')
    asked = ("run1/mine", "owner/absent", "broken", "./strange", "./nowhere")
    named = [word for given in asked for word in ("--model", given)]
    run = own.pytest(*named, "--offline", "-k", "not tiny and not smollm2")
    assert run.status in (0, 1), run.text
    found = rows(own)
    assert found["grows-mine"]["verdict"] in ("SUPPORTED", "REFUTED", "INCONCLUSIVE")
    for name, why in (
        ("absent", "its config.json is not in the hub's cache"),
        ("broken", "config.json: not JSON"),
        ("strange", "unknown architecture 'bert'"),
        ("nowhere", "no such folder or file"),
    ):
        for claim in ("grows", "deep", "parallel"):
            row = found[f"{claim}-{name}"]
            assert (row["verdict"], why in row["why"]) == ("NOT_MEASURED", True), row["why"]
        assert sum(f"{name} is not tried: " in line and why in line for line in run.text.splitlines()) == 1


def test_a_row_of_an_unknown_family_stops_only_itself(own: Suite) -> None:
    row = {"title": "M", "family": "mamba", "parameters": 1, "organisation": "me", "licence": "mit", "config": {}}
    own.write("models.yaml", json.dumps({"models": {"mamba-130m": row}}))
    own.write("pytest.ini", (own.folder / "pytest.ini").read_text() + "refutable_models = models.yaml\n")
    run = own.pytest("--model", "run1/mine", "--model", "mamba-130m", "-k", "mine or mamba")
    assert run.status in (0, 1), run.text
    verdicts = {name: row["verdict"] for name, row in rows(own).items()}
    assert {verdicts[f"{claim}-mamba-130m"] for claim in ("grows", "deep", "parallel")} == {"NOT_MEASURED"}
    assert "NOT_MEASURED" not in {verdicts[f"{claim}-mine"] for claim in ("grows", "deep", "parallel")}
    alone = own.pytest("--model", "mamba-130m")
    assert (alone.status, "ERROR: --model mamba-130m: unknown architecture" in alone.text) == (4, True)


def test_a_model_alone_that_is_none_ends_the_run(own: Suite) -> None:
    own.write("broken/config.json", "{")
    run = own.pytest("--model", "broken")
    assert run.status == 4
    assert "config.json: not JSON" in run.text


def test_a_row_that_was_added_is_known_by_the_path_of_its_weights(own: Suite) -> None:
    own.write("models.yaml", "models: {}\n")
    own.write("pytest.ini", (own.folder / "pytest.ini").read_text() + "refutable_models = models.yaml\n")
    (own.folder / "link").symlink_to(own.folder / "run1")
    added = own.refutable("models", "add", "./run1/mine", "--name", "ours")
    assert added.status == 0, added.text
    for way in ("run1/mine", "./run1/mine/", "run2/../run1/mine", "link/mine", str(own.folder / "run1" / "mine")):
        again = own.refutable("models", "add", way)
        assert again.status == 4
        assert "it is the row ours" in again.text
    run = own.pytest("--model", "./link/mine", "--model", "run1/mine/", "-k", "grows-ours or grows-mine")
    assert run.verdicts.keys() == {"grows-ours"}, run.text
    assert run.verdicts["grows-ours"] != "NOT_MEASURED"
    assert own.refutable("dry-run", "run1/mine").text.startswith("ours: ready")


def test_one_folder_asked_for_in_two_ways_is_one_model(own: Suite) -> None:
    (own.folder / "link").symlink_to(own.folder / "run1")
    run = own.pytest("--model", "link/mine", "--model", "./run1/mine", "-k", "grows and mine")
    assert run.verdicts.keys() == {"grows-mine"}, run.text


def test_a_file_of_rows_that_is_not_there_stops_only_what_needs_it(own: Suite) -> None:
    own.write("pytest.ini", (own.folder / "pytest.ini").read_text() + "refutable_models = absent.yaml\n")
    told = "absent.yaml: no such file, which refutable_models in the ini file names; only packaged models are known"
    for command in (("draw", "tiny-gpt2", "--out", "drawn"), ("dry-run", "tiny-gpt2"), ("models",)):
        done = own.refutable(*command)
        assert (done.status, told in done.text) == (0, True), done.text
    for needing in (own.refutable("check"), own.refutable("lock"), own.pytest("--collect-only")):
        assert needing.status == 4
        assert "absent.yaml: no such file; check the path (refutable_models in the ini file" in needing.text
        assert "adding-a-claim.md" not in needing.text
    given = own.refutable("models", "--models", "elsewhere.yaml")
    assert (given.status, "elsewhere.yaml: no such file; check the path" in given.text) == (4, True)


def test_dry_run_takes_what_pytest_takes(own: Suite) -> None:
    own.write("broken/config.json", "{")
    done = own.refutable("dry-run", "./run1/mine", "run3/mine", "broken", "tiny-gpt2", "owner/absent", "--offline")
    assert done.status == 1, done.text
    lines = done.text.splitlines()
    for start in ("mine: ready", "run3-mine: ready", "tiny-gpt2: ready"):
        assert any(line.startswith(start) for line in lines), start
    assert any(line.startswith("broken: ") and "config.json: not JSON" in line for line in lines)
    assert any(line.startswith("absent: ") and "hub's cache" in line for line in lines)
    assert lines[-1] == "5 models, 2 with a fault"
