"""What there is to measure with, and what a run without options would skip."""

from __future__ import annotations

import socket

import pytest

CLAIMS = """\
schema: 1
claims:
  - id: last-gain
    statement: s
    evidence: measured
    models: [tiny-gpt2, gptj]
    test: {statistic: mean, of: last_gain, predicts: "> 1"}
  - {id: layers, statement: s, evidence: architecture, models: gptj, test: {fact: layers, predicts: ">= 28"}}
  - {id: trained, statement: s, evidence: causal, needs: twins}
  - {id: beautiful, statement: s, evidence: none, reason: no measure}
  - {id: wired, statement: s, evidence: wiring, models: gptj, test: {probe: mlp_reads_attention, equals: parallel}}
"""


@pytest.fixture
def offline(monkeypatch):
    def refuse(*_):
        raise AssertionError("nothing was to be asked of the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_it_says_what_there_is_and_what_would_be_skipped_without_any_network(called, tmp_path, offline):
    (tmp_path / "here" / "claims.yaml").write_text(CLAIMS)
    told = called("doctor")
    assert told.exit_code == 0, told.output
    for line in (
        "refutable 0.",
        "transformers ",
        "cpu: CPU, ",
        f"measurements: {tmp_path / 'cache'} (0 traces 0 B",
        "hub: not asked (--online asks",
        "6 cases: 3 tried, 3 skipped",
        "1 skipped: it was not selected; to measure: pytest --model NAME (1 model: gptj)",
        "1 skipped: it needs an experiment that has not been made",
        "1 skipped: it cannot be tested",
    ):
        assert line in told.output, told.output


def test_a_folder_without_claims_is_told_how_to_begin(called, offline):
    told = called("doctor")
    assert told.exit_code == 0
    assert "claims: no claims.yaml here" in told.output
    assert "refutable init FOLDER" in told.output


def test_claims_that_cannot_be_tried_end_in_exit_status_1_with_the_reason(called, tmp_path, offline):
    (tmp_path / "here" / "claims.yaml").write_text(CLAIMS.replace("last_gain", "last_gian"))
    told = called("doctor")
    assert told.exit_code == 1
    assert "ends at once, since\n" in told.output
    assert "Did you mean 'last_gain'" in told.output


def test_the_hub_is_asked_only_with_online_and_its_silence_is_no_error(called, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    asked = []

    def refuse(*_, **__):
        asked.append("hub")
        raise OSError("no route")

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", refuse)
    told = called("doctor", "--online")
    assert told.exit_code == 0
    assert asked == ["hub"]
    assert "hub: does not answer (OSError: no route)" in told.output
