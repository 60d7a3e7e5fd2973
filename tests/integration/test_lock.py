"""`refutable lock` and what a run says of claims that were locked, or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Suite

CLAIMS = """\
schema: 1
claims:
  - id: tiny-gain
    statement: A tiny model's last block shrinks the stream.
    evidence: measured
    models: tiny-gpt2
    test: {statistic: mean, of: last_gain, predicts: "< 1"}
  - id: gptj-rotary-quarter
    statement: GPT-J turns a quarter of each head.
    evidence: architecture
    models: gptj
    test: {fact: rotary_fraction, predicts: "within [0.25, 0.25]"}
"""


def registration(result, claim="tiny-gain"):
    about = next(row["about"] for row in result.json["verdicts"] if row["claim"] == claim)
    return about["registration"], about.get("registration_reason")


@pytest.mark.slow
def test_a_claim_is_confirmatory_when_locked_before_it_is_measured_and_never_after(
    suite: Suite, tmp_path_factory
) -> None:
    suite.environment["REFUTABLE_CACHE"] = str(tmp_path_factory.mktemp("fresh"))
    suite.write("claims.yaml", CLAIMS)
    assert suite.refutable("lock", "--check").status == 1
    assert not (suite.folder / "claims.lock").exists()

    locked = suite.refutable("lock")
    assert locked.status == 0, locked.text
    assert "2 new, 0 changed, 0 removed, 0 unchanged" in locked.text
    first = (suite.folder / "claims.lock").read_text()
    run = suite.pytest("-q")
    assert registration(run) == ("confirmatory", None)
    assert registration(run, "gptj-rotary-quarter") == ("-", None)  # a fact is looked up: nothing was measured
    assert "registration: 1 confirmatory, 0 exploratory" in run.text
    properties = {p.get("name"): p.get("value") for p in run.junit.iter("property")}
    assert {"claim_hash", "locked", "registration"} <= set(properties)
    assert suite.refutable("lock", "--check").status == 0

    # a prediction that was moved after the numbers were there
    suite.write("claims.yaml", CLAIMS.replace('"< 1"', '"> 1"'))
    moved = suite.pytest("-q", "-k", "tiny-gain")
    status, why = registration(moved)
    assert status == "exploratory"
    assert why.startswith("changed since 20")
    checked = suite.refutable("lock", "--check")
    assert checked.status == 1
    assert "changed since 20" in checked.text
    assert "tiny-gain (seen already: tiny-gpt2@drawn)" in checked.text

    # locking it now does not make it confirmatory, not even where it is measured again
    assert suite.refutable("lock").status == 0
    second = (suite.folder / "claims.lock").read_text()
    assert "seen: [tiny-gpt2@drawn]" in second
    assert "history: [{hash:" in second
    unchanged = [line for line in first.splitlines() if "rotary" in line]
    assert unchanged == [line for line in second.splitlines() if "rotary" in line]
    assert registration(suite.pytest("-q", "-k", "tiny-gain")) == ("exploratory", "measured before it was locked")
    suite.environment["REFUTABLE_CACHE"] = str(tmp_path_factory.mktemp("fresh"))
    again = suite.pytest("-q", "-k", "tiny-gain")
    why = "had been measured on these prompts when it was locked: tiny-gpt2@drawn"
    assert registration(again) == ("exploratory", why)


def test_without_a_lock_every_verdict_is_exploratory_and_the_summary_is_silent(suite: Suite) -> None:
    suite.write("claims.yaml", CLAIMS)
    run = suite.pytest("-q", "-k", "tiny-gain")
    assert registration(run) == ("exploratory", "not locked")
    assert "registration:" not in run.text


def test_a_spoilt_lock_is_told_by_its_line_before_anything_runs(suite: Suite) -> None:
    suite.write("claims.yaml", CLAIMS)
    suite.write("claims.lock", "schema: 1\nclaims:\n  tiny-gain: {hash: x}\n")
    for result in (suite.pytest("-q"), suite.refutable("lock")):
        assert result.status == 4
        assert "claims.lock:3 claims.tiny-gain.hash: 'x' does not match" in result.text
        assert "Traceback" not in result.text
    assert not (Path(suite.folder) / "reports" / "verdicts.json").exists()
