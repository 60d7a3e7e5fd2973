"""`refutable measure`: what it says, what it leaves, and that pytest afterwards only judges."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Suite

CLAIMS = """\
schema: 1
claims:
  - id: grows
    statement: The last block lengthens the stream.
    evidence: measured
    models: [tiny-gpt2, tiny-llama, tiny-opt]
    for: each
    test: {statistic: mean, of: last_gain, predicts: "> 1"}
  - id: slow-one
    statement: Without its MLPs it lengthens the stream more.
    evidence: intervention
    slow: true
    for: each
    models: [tiny-gpt2]
    test: {statistic: mean, of: last_gain, under: ablate-mlp, against: plain, predicts: "> 0"}
"""
FORBIDDEN = """\
import pytest
from refutable.measurement.loading import load

def refuse(*given, **named):
    raise AssertionError("a model was loaded")

load.load_model = load.draw = refuse
import refutable.measurement.session as session
session.load_model = session.draw = refuse
"""


@pytest.fixture
def own(suite: Suite, tmp_path: Path) -> Suite:
    suite.environment["REFUTABLE_CACHE"] = str(tmp_path / "own-cache")
    suite.write("claims.yaml", CLAIMS)
    return suite


def test_pytest_after_measure_loads_nothing_and_the_plan_says_what_is_stored(own: Suite) -> None:
    told = own.refutable("measure", "--json", "out.json", "-m", "not slow")
    assert told.status == 0, told.text
    assert "plan: 3 units in 3 jobs, 3 to measure" in told.printed
    assert "3 measured; 3 loads, 0 B read in" in told.printed
    assert not (own.folder / "reports").exists()  # nothing was judged
    left = json.loads((own.folder / "out.json").read_text())
    assert left["counts"] == {"stored": 0, "measured": 3, "not measured": 0, "error": 0, "lost": 0}
    assert left["complete"]
    assert all(unit["key"] and unit["seconds"] > 0 for job in left["jobs"] for unit in job["units"])

    own.write("conftest.py", FORBIDDEN)
    judged = own.pytest("-m", "not slow")
    assert judged.status in (0, 1), judged.text
    assert set(judged.verdicts.values()) <= {"SUPPORTED", "REFUTED", "INCONCLUSIVE"}
    unmeasured = own.pytest("-k", "slow-one")
    assert unmeasured.verdicts == {"slow-one-tiny-gpt2": "ERROR"}  # the conftest does forbid loading
    (own.folder / "conftest.py").unlink()

    plan = own.refutable("measure", "--plan")
    assert plan.status == 0
    assert "plan: 5 units in 3 jobs, 2 to measure" in plan.printed
    again = own.refutable("measure", "-m", "not slow")
    assert again.status == 0
    assert "3 stored; 0 loads, 0 B read in 0 s" in again.printed


def test_shards_are_the_plan_and_a_model_that_was_named_and_is_not_there_fails(own: Suite) -> None:
    found = [own.refutable("measure", "--plan", "--shard", f"{i}/2", "-m", "not slow").printed for i in (1, 2)]
    models = [{line.split()[0] for line in text.splitlines() if line.startswith("tiny")} for text in found]
    assert models[0].isdisjoint(models[1])
    assert models[0] | models[1] == {"tiny-gpt2", "tiny-llama", "tiny-opt"}
    own.write("claims.yaml", CLAIMS.replace("tiny-opt", "gpt2"))
    absent = own.refutable("measure", "--offline", "--model", "gpt2", "-k", "grows-gpt2")
    assert absent.status == 1
    (line,) = [line for line in absent.printed.splitlines() if line.startswith("NOT_MEASURED")]
    assert line.startswith("NOT_MEASURED gpt2: forward over grand-unified-25: ")
    assert "--offline" in line
    assert absent.printed.splitlines()[-1].startswith("1 not measured; 0 loads")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--shard", "3/2"), "--shard 3/2: write which part of how many"),
        (("--on", "dask"), "--on dask: unknown engine"),
        (("-k", "nothing-of-that-name"), "no claim is selected"),
        (("--devices", "cuda:all"), "0 CUDA device(s) can be used here"),
        (("--model", "no-such-model"), "no-such-model"),
        (("--claims", "absent.yaml"), "absent.yaml"),
    ],
)
def test_unusable_words_are_refused_in_one_message(own: Suite, words: tuple[str, ...], reason: str) -> None:
    told = own.refutable("measure", *words)
    assert told.status == 4
    assert reason in told.text
    assert "Traceback" not in told.text


def test_without_claims_there_is_nothing_to_measure(own: Suite) -> None:
    (own.folder / "pytest.ini").write_text("[pytest]\n")
    told = own.refutable("measure")
    assert told.status == 4
    assert "ERROR: no claims file: give --claims FILE" in told.text
    assert "Traceback" not in told.text


def test_a_test_that_cannot_be_collected_is_told(own: Suite) -> None:
    own.write("test_own.py", "import no_such_module\n")
    told = own.refutable("measure", "test_own.py")
    assert told.status == 4
    assert "test_own.py: cannot be collected" in told.text
    assert "no_such_module" in told.text
