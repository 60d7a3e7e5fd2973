"""One claim of each kind that a pass decides, run as a user runs it."""

from __future__ import annotations

import csv

from .conftest import Suite

PASSES = """\
schema: 1
claims:
  - id: parallel-wiring-changes-the-gain
    statement: A block re-wired to parallel has another gain.
    evidence: intervention
    models: [tiny-gpt2]
    test: {statistic: mean, of: last_gain, under: rewire-parallel, against: plain, predicts: "within [-1, 1]"}
  - id: as-it-is
    statement: A sequential model is re-wired to sequential.
    evidence: intervention
    models: [tiny-gpt2]
    test: {statistic: mean, of: last_gain, under: rewire-sequential, predicts: "< 1"}
  - id: ablated-mlps-leave-attention
    statement: Without MLPs the stream hardly grows.
    evidence: intervention
    models: [tiny-gpt2]
    test: {statistic: mean, of: total_amplification, under: ablate-mlp, predicts: "< 1000"}
    multiverse: {norm: [centred]}
  - id: noise-is-not-taken-down
    statement: The last block takes noise down.
    evidence: dynamical
    models: [tiny-llama]
    test: {statistic: mean, of: noise_gain, layer: last, predicts: "< 0.5"}
    controls: [initialization]
  - id: no-block-tears
    statement: The last block's derivative stretches nothing by 100.
    evidence: dynamical
    models: [tiny-gpt2]
    test: {statistic: mean, of: jacobian_norm, layer: last, predicts: "< 100"}
  - id: heads-differ
    statement: Heads do not all add the same.
    evidence: measured
    models: [tiny-gpt2]
    test: {statistic: mean, of: head_coherence, layer: mean, predicts: "< 0.9"}
  - id: rotation-reaches-the-pattern-alone
    statement: With attention's probabilities held, rotation changes nothing that is added.
    evidence: wiring
    models: [pythia-70m, gpt2-medium]
    test: {probe: stream_reads_rotation, equals: pattern}
  - id: loss-rises
    statement: Its loss rises.
    evidence: intervention
    needs: text that nobody has read
"""


def test_each_pass_decides_its_claims_and_is_stored(suite: Suite) -> None:
    suite.write("claims.yaml", PASSES)
    first = suite.pytest()
    assert first.verdicts == {
        "parallel-wiring-changes-the-gain-tiny-gpt2": "SUPPORTED",
        "as-it-is-tiny-gpt2": "NOT_MEASURED",
        "ablated-mlps-leave-attention-tiny-gpt2": "SUPPORTED",
        "noise-is-not-taken-down-tiny-llama": "REFUTED",
        "no-block-tears-tiny-gpt2": "SUPPORTED",
        "heads-differ-tiny-gpt2": "SUPPORTED",
        "rotation-reaches-the-pattern-alone-pythia-70m": "SUPPORTED",
        "rotation-reaches-the-pattern-alone-gpt2-medium": "NOT_MEASURED",
        "loss-rises": "NOT_MEASURED",
    }, first.text
    assert "is wired sequential as it is" in first.text
    assert "gpt2 has learned positions: there is no rotation to switch off" in first.text
    rows = {row["id"]: row for row in first.json["verdicts"]}
    told = rows["parallel-wiring-changes-the-gain-tiny-gpt2"]
    assert told["weights"]["passes"] == "forward under rewire-parallel of every block, forward"
    assert len(told["traces"]) == 3, "under the change, as it is, and with the first token spared the change"
    assert told["variations"]["first_token without"]["verdict"] in ("SUPPORTED", "INCONCLUSIVE", "REFUTED")
    assert told["details"]["first token"] == "changed like the others"
    assert rows["no-block-tears-tiny-gpt2"]["weights"]["passes"] == "jacobian"
    assert "ERROR" not in first.verdicts.values()

    again = suite.pytest()
    assert again.verdicts == first.verdicts
    assert not any(row["live"] for row in again.json["verdicts"] if "live" in row)
    with (suite.folder / "reports" / "measurements.csv").open(newline="") as file:
        measured = list(csv.DictReader(file))
    plain = [row["Trace"] for row in measured if row["Pass"] == "forward"]
    assert len(plain) == 25, "the plain pass alone: what an intervention left is no measurement of the model"
    assert len(set(plain)) == 1
    assert set(plain) < set(told["traces"])
    of_claims = {key for row in first.json["verdicts"] for key in row["traces"]}
    assert {row["Trace"] for row in measured} <= of_claims
    assert {row["Role"] for row in measured} == {"Subject"}


def test_a_claim_of_the_wrong_kind_is_refused_before_anything_runs(suite: Suite) -> None:
    suite.write("claims.yaml", PASSES.replace("evidence: dynamical", "evidence: measured"))
    result = suite.pytest()
    assert result.status == 4
    assert "follows changes, not prompts alone; write `evidence: dynamical`" in result.text
    assert "Traceback" not in result.text
