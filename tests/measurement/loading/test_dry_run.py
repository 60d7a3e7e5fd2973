"""A dry run: every row of the registry builds and has every module that a tap needs; a wrong name or number is told."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from places import ROOT
from typer.testing import CliRunner

from refutable.cli import app
from refutable.measurement.loading.dry_run import DryRun, try_dry
from refutable.models import families
from refutable.models.device import Device
from refutable.models.file_hashes import FileHashes
from refutable.models.registry import load_registry
from refutable.models.weights import Finder

REGISTRY = load_registry(ROOT / "fixtures" / "models.yaml")


def tried(tmp_path: Path, name: str, **changes: Any) -> DryRun:
    row = REGISTRY[name].model_copy(update=changes)
    return try_dry(row, "bfloat16", Finder(FileHashes(tmp_path), Device("cuda", "a GPU", 20 << 30), offline=True))


@pytest.mark.parametrize("name", [row.name for row in REGISTRY])
def test_every_model_of_the_registry_would_load_and_nothing_is_fetched(tmp_path, monkeypatch, name):
    def refuse(*where: Any) -> None:
        raise AssertionError(f"the network was asked: {where}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    found = tried(tmp_path, name)
    assert found.faults == ()
    assert any("GB" in note for note in found.notes)


@pytest.mark.parametrize("tap", ["attention", "mlp", "attention_update", "mlp_update"])
def test_a_wrong_name_of_a_tap_is_told_with_the_blocks_that_lack_it(tmp_path, monkeypatch, tap):
    wrong = families._llama_like("llama", **{tap: "self_atn"})
    monkeypatch.setitem(families.FAMILIES._things, "llama", wrong)
    assert tried(tmp_path, "smollm2").faults == (f"tap {tap}: no module 'self_atn' in 30 of 30 blocks, first in 1",)


def test_a_wrong_path_of_the_blocks_is_told(tmp_path, monkeypatch):
    wrong = families._llama_like("llama", blocks="model.h")
    monkeypatch.setitem(families.FAMILIES._things, "llama", wrong)
    assert tried(tmp_path, "smollm2").faults == ("no blocks at 'model.h'",)


@pytest.mark.parametrize(("by", "fault"), [(1.0, False), (1.00001, True), (0.5, True)])
def test_another_number_of_parameters_is_told(tmp_path, by, fault):
    found = tried(tmp_path, "gpt2", parameters=round(REGISTRY["gpt2"].parameters * by))
    assert [text.partition(":")[0] for text in found.faults] == (
        [f"124,439,808 parameters, and the row says {round(REGISTRY['gpt2'].parameters * by):,}"] if fault else []
    )


def test_a_configuration_that_cannot_be_built_is_a_fault_and_no_crash(tmp_path):
    found = tried(tmp_path, "smollm2", config={**REGISTRY["smollm2"].config, "hidden_act": "no-such"})
    assert len(found.faults) == 1
    assert found.faults[0].startswith("cannot be built: KeyError")


def test_what_is_needed_is_said_against_the_device(tmp_path):
    notes = tried(tmp_path, "gpt-neox-20b").notes
    fix = "pytest --model gpt-neox-20b on a larger device"
    assert f"bfloat16 43.7 GB does NOT fit a GPU (21.5 GB); to measure: {fix}" in notes
    assert any(note.endswith("GATED: accept its licence first") for note in tried(tmp_path, "llama-3.1-8b").notes)
    assert "no tokenizer: stand-in tokens" in tried(tmp_path, "tiny-gptj").notes


def test_a_model_is_said_to_fit_only_where_pytest_would_try_it(tmp_path):
    cpu = Device("cpu", "CPU, 8 cores", 64 << 30)
    unasked, asked = (
        try_dry(REGISTRY["gptj"], "bfloat16", Finder(FileHashes(tmp_path), cpu, offline=True, cpu_asked=asked)).notes[2]
        for asked in (False, True)
    )
    assert unasked.startswith("bfloat16 13.2 GB is NOT tried on CPU, 8 cores (68.7 GB): no GPU can be used here")
    assert "add --device cpu" in unasked
    assert asked == "bfloat16 13.2 GB fits CPU, 8 cores (68.7 GB)"


def test_the_command_prints_one_line_a_model_and_exits_1_on_a_fault(monkeypatch):
    monkeypatch.chdir(ROOT)
    told = CliRunner().invoke(app, ["dry-run", "tiny-*", "gpt2", "--device", "cpu"])
    assert told.exit_code == 0, told.output
    lines = told.output.splitlines()
    assert len(lines) == 1 + 1 + sum(row.name.startswith("tiny-") for row in REGISTRY)
    assert lines[-1].endswith("models, 0 with a fault")
    wrong = families._gpt_like("gpt2", mlp="feed_forward")
    monkeypatch.setitem(families.FAMILIES._things, "gpt2", wrong)
    told = CliRunner().invoke(app, ["dry-run", "gpt2", "--device", "cpu"])
    assert told.exit_code == 1
    assert "gpt2: tap mlp: no module 'feed_forward' in 12 of 12 blocks" in told.output


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ([], "name models, or write --all"),
        (["gptj", "--all"], "name models, or write --all"),
        (["gtpj"], "Did you mean 'gptj'"),
        (["gptj", "--dtype", "int8"], "unknown dtype"),
    ],
)
def test_a_wrong_command_is_refused_in_words(asked, said):
    told = CliRunner().invoke(app, ["dry-run", *asked])
    assert told.exit_code == 4
    assert said in told.output
