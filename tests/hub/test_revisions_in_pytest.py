"""Revisions from the hub to the verdict, and a stand-in hub whose branches are checkpoints: one run of pytest, and some
in this process.
"""

from __future__ import annotations

import csv
import json
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from stand_in import Fault, Origins, serving
from test_hub import repository
from test_hub_in_pytest import LOOKED, User

from refutable.cli import app
from refutable.errors import BadInput
from refutable.options import Options
from refutable.session import Session
from refutable.verdicts.row import VerdictRow

CLAIMS = """\
schema: 1
claims:
  - id: plain
    statement: The last block lengthens the stream.
    evidence: measured
    models: [tiny]
    test: {statistic: mean, of: last_gain, predicts: "> 0.5"}
  - id: said
    statement: The last block lengthens the stream at these checkpoints.
    evidence: measured
    models: {names: [tiny], revisions: [step0, "step1*", main]}
    test: {statistic: mean, of: last_gain, predicts: "> 0.5"}
  - id: rises
    statement: The last gain rises in training.
    evidence: measured
    models: {names: [tiny], revisions: ["step*"]}
    test: {statistic: trend, of: last_gain, fact: step, predicts: "> 0"}
  - id: settles
    statement: From step 10 on the last gain is what it is at the end.
    evidence: measured
    models: {names: [tiny], revisions: ["step*"]}
    test: {statistic: boundary, of: last_gain, fact: step, against: {revision: step12}, holds: "within [-0.5, 0.5]",
      predicts: "<= 10"}
  - id: changed
    statement: The last gain at the end is larger than at the start.
    evidence: measured
    models: {names: [tiny], revisions: [step12]}
    test: {statistic: mean, of: last_gain, against: {revision: step0}, predicts: "> 0"}
"""
GROWTH = {"step0": 1.0, "step2": 4.0, "step10": 16.0, "step12": 16.1}  # of what the last block adds


@pytest.fixture
def user(tmp_path: Path, origins: Origins, hub_home: Path) -> Iterator[User]:
    """Serve a model whose last block adds more and more in training, and settles at step 10."""
    whole = repository(tmp_path / "repos", "tiny")
    weights = load_file(whole / "model.safetensors")
    last = max(int(name.split(".")[2]) for name in weights if ".layers." in name)
    for branch, factor in GROWTH.items():
        folder = whole / "branches" / branch
        shutil.copytree(whole, folder, ignore=shutil.ignore_patterns("branches"))
        added = (f"layers.{last}.self_attn.o_proj", f"layers.{last}.mlp.down_proj")
        grown = {name: part * factor if any(one in name for one in added) else part for name, part in weights.items()}
        save_file(grown, folder / "model.safetensors", {"format": "pt"})
    with serving(tmp_path / "repos", origins) as hub:
        someone = User(tmp_path / "user", hub, hub_home)
        (someone.folder / "claims.yaml").write_text(CLAIMS)
        yield someone


Rows = dict[str, VerdictRow]
Try = Callable[..., Rows]


@pytest.fixture
def attempt(user: User, monkeypatch: pytest.MonkeyPatch) -> Try:
    """Try the claims in this process, with an empty cache of the hub and an empty one of traces."""
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, user.hub.endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "ENDPOINT", user.hub.endpoint)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(user.folder / "hf"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.setenv("REFUTABLE_CACHE", str(user.folder / "cache"))

    def trying(*revisions: str, only: str = "", offline: bool = False, **given: Any) -> Rows:
        options = Options(
            user.folder / "claims.yaml",
            user.folder / "models.yaml",
            models=("tiny",),
            revisions=revisions,
            device="cpu",
            offline=offline,
            **given,
        )
        session = Session.prepare(options)
        cases = [case for case in session.cases if case.claim.id in only.split() or not only]
        session.check_named(cases)
        session.plan_for(cases)
        return {case.id: session.try_case(case) for case in cases}

    return trying


def test_revisions_are_fetched_once_tried_as_subjects_and_read_back_from_their_table(user: User, attempt: Try) -> None:
    asked = ("--model", "tiny", "--revision", "step*", "--revision", "main")
    text = user.pytest(*asked, "-n", "2")
    steps = ("step0", "step2", "step10", "step12")
    assert {*user.rows} == {
        *(f"plain-tiny-{step}" for step in (*steps, "main")),
        *(f"said-tiny-{step}" for step in ("step0", "step10", "step12", "main")),
        *("rises-tiny", "settles-tiny", "changed-tiny-step12"),
    }, text
    before = user.rows
    assert {row["verdict"] for row in before.values()} == {"SUPPORTED"}, text
    assert before["plain-tiny-step2"]["subject"] == "tiny@step2"
    assert before["rises-tiny"]["details"]["checkpoints"] == "4 of tiny (step0, step2, step10, step12)"
    assert before["settles-tiny"]["estimate"]["value"] == 10
    sent = [one for one in user.hub.requests if one.line.startswith("GET /cdn") and one.status == 200]
    assert len(sent) == 4  # step0 and main have the same weights
    cases = ElementTree.parse(user.folder / "reports" / "junit.xml").iter("testcase")
    told = {case.attrib["name"]: {p.attrib["name"]: p.attrib["value"] for p in case.iter("property")} for case in cases}
    (properties,) = (found for name, found in told.items() if "said-tiny-step10" in name)
    assert properties["revision"] == user.hub.commit("owner/tiny", "step10")
    assert properties["subject"] == "tiny@step10"

    table = user.folder / "numbers.csv"
    shutil.copy(user.folder / "reports" / "measurements.csv", table)
    assert {line["Model"] for line in csv.DictReader(table.read_text().splitlines())} == {
        f"Tiny@{step}" for step in (*steps, "main")
    }
    rows = attempt("step*", "main", offline=True, measurements=table)
    read = {name: (row.verdict.value, row.estimate and row.estimate.value) for name, row in rows.items()}
    assert read == {name: (row["verdict"], pytest.approx(row["estimate"]["value"])) for name, row in before.items()}


def test_what_is_not_at_hand_is_not_measured_and_says_the_command(attempt: Try) -> None:
    rows = attempt("step2", only="plain said rises")
    assert rows["plain-tiny-step2"].verdict == "SUPPORTED"
    assert rows["said-tiny-step0"].verdict == "NOT_MEASURED"
    assert rows["said-tiny-step0"].why.endswith("To measure: pytest --model tiny --revision step0")
    rows = attempt(only="said rises", offline=True)
    assert rows.keys() == {"said-tiny-step0", "said-tiny-step1", "said-tiny-main", "rises-tiny"}
    assert "matches step1*" in rows["said-tiny-step1"].why
    assert "at least 2 checkpoints, here 1" in rows["rises-tiny"].why


def test_without_the_hub_a_glob_of_a_claim_means_what_is_at_hand(user: User, attempt: Try) -> None:
    before = attempt("step*")
    user.hub.requests.clear()
    rows = attempt(offline=True, only="said rises settles changed")
    assert user.hub.requests == []
    assert {row.verdict.value for name, row in rows.items() if name != "said-tiny-main"} == {"SUPPORTED"}
    assert rows["said-tiny-main"].verdict == "NOT_MEASURED"
    assert rows["settles-tiny"].why == before["settles-tiny"].why


def test_a_trajectory_of_some_checkpoints_is_no_trajectory_of_all(user: User, attempt: Try) -> None:
    text = CLAIMS.replace('revisions: ["step*"]', "revisions: [step0, step2, step10, step12]")
    (user.folder / "claims.yaml").write_text(text)
    row = attempt("step0", "step2", only="rises plain")["rises-tiny"]
    assert row.verdict == "NOT_MEASURED"
    assert "2 of 4 checkpoints of tiny cannot be read (step10, step12)" in row.why
    assert row.why.endswith("To measure: pytest --model tiny --revision step10 --revision step12")


@pytest.mark.parametrize(
    ("word", "told"),
    [
        (
            "step11",
            "step11: tiny has no revision 'step11'; it has main, step0, step2, step10, step12. Did you mean 'step1",
        ),
        ("stage*", "stage*: no revision of tiny matches 'stage*'; it has main, step0, step2, step10, step12."),
        (" ", "is empty; write a branch"),
    ],
)
def test_a_word_that_is_no_revision_is_refused_with_the_near_ones(
    user: User, attempt: Try, word: str, told: str
) -> None:
    with pytest.raises(BadInput) as error:
        attempt(word, only="plain")
    assert told in str(error.value)
    assert not user.hub.fetched()


def test_a_revision_that_no_claim_is_about_is_refused(attempt: Try) -> None:
    with pytest.raises(BadInput, match="--revision step2: no selected claim is about it"):
        attempt("step2", only="said")


def test_one_commit_under_two_names_is_one_subject_and_one_trace(user: User, attempt: Try) -> None:
    commit = user.hub.commit("owner/tiny", "step2")
    by_name = attempt("step2", commit, only="plain")
    assert [*by_name] == ["plain-tiny-step2"]
    user.hub.requests.clear()
    by_commit = attempt(commit, only="plain", offline=True)
    assert [*by_commit] == [f"plain-tiny-{commit}"]
    assert by_commit[f"plain-tiny-{commit}"].traces == by_name["plain-tiny-step2"].traces
    assert by_commit[f"plain-tiny-{commit}"].weights["models"] == f"tiny@{commit}"


def test_a_hub_that_does_not_list_its_revisions_stops_nothing(user: User, attempt: Try) -> None:
    attempt("step2", only="plain")
    user.hub.faults.append(Fault("GET .*/refs", status=404))
    rows = attempt("step*", only="plain")
    assert [*rows] == ["plain-tiny-step2"]
    assert rows["plain-tiny-step2"].verdict in LOOKED
    rows = attempt("step10", only="plain")
    assert rows["plain-tiny-step10"].verdict in LOOKED


def test_a_dry_run_at_revisions_reads_the_configuration_of_each(
    user: User, attempt: Try, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = user.hub.root / "owner" / "tiny" / "branches" / "step2" / "config.json"
    config = json.loads(odd.read_text())
    odd.write_text(json.dumps({**config, "num_hidden_layers": config["num_hidden_layers"] + 1}))
    words = ["dry-run", "tiny", "--models", str(user.folder / "models.yaml"), "--device", "cpu"]
    with pytest.raises(SystemExit) as ended:
        app([*words, "--revision", "step*", "--revision", "main"])
    lines = capsys.readouterr().out.splitlines()
    assert ended.value.code == 1
    assert [line.split(": ")[0] for line in lines[:-1]] == [f"tiny@{one}" for one in (*GROWTH, "main")]
    assert [": ready (" in line for line in lines[:-1]] == [True, False, True, True, True]
    assert "layers" in lines[1]
    assert lines[-1] == "5 models at revisions, 1 with a fault"
    assert user.hub.fetched() == {"config.json"}
    with pytest.raises(SystemExit) as ended:
        app([*words, "--revision", "step11"])
    assert ended.value.code == 4
    assert "tiny has no revision 'step11'" in capsys.readouterr().err
