"""``--adapter``, and folders of packed weights, as users run them: every output names what the weights are."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest
from quantised_files import store_one

from refutable.models.registry import load_registry

from .conftest import Result, Suite

needs_peft = pytest.mark.skipif(importlib.util.find_spec("peft") is None, reason="the package peft is not installed")
CLAIMS = """\
schema: 1
claims:
  - id: mine-shrinks
    statement: A tiny model's last block shrinks the stream.
    evidence: measured
    models: [mine]
    controls: [initialization]
    test: {statistic: mean, of: last_gain, predicts: "< 1"}
  - id: theirs-shrinks
    statement: A tiny model's last block shrinks the stream.
    evidence: measured
    models: [tiny-gpt2]
    test: {statistic: mean, of: last_gain, predicts: "< 1"}
"""
MAKE = """
import sys, torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM
network = AutoModelForCausalLM.from_pretrained(sys.argv[1])
adapted = get_peft_model(network, LoraConfig(r=2, lora_alpha=8, target_modules=["c_proj"], fan_in_fan_out=True))
torch.manual_seed(0)
for name, parameter in adapted.named_parameters():
    if "lora_B" in name:
        torch.nn.init.normal_(parameter, std=0.5)
adapted.save_pretrained(sys.argv[2])
"""


@pytest.fixture
def mine(suite: Suite) -> Suite:
    """Return a suite with a folder `w` of a tiny model's weights, which its row `mine` describes."""
    drawn = suite.refutable("draw", "tiny-gpt2", "--out", "w", "--device", "cpu")
    assert drawn.status == 0, drawn.text
    row = load_registry()["tiny-gpt2"].model_dump(include={"family", "parameters", "config"})
    models = {"models": {"mine": {"title": "Mine", "organisation": "me", "licence": "none", **row}}}
    suite.write("models.yaml", json.dumps(models))
    suite.write("pytest.ini", (suite.folder / "pytest.ini").read_text() + "refutable_models = models.yaml\n")
    suite.write("claims.yaml", CLAIMS)
    return suite


@pytest.fixture
def adapted(mine: Suite) -> Suite:
    """Return that suite with an adapter in the folder `my-lora`."""
    made = mine.run("-c", MAKE, "w", "my-lora")
    assert made.status == 0, made.text
    return mine


def of_mine(run: Result) -> dict[str, dict[str, object]]:
    return {row["claim"]: row for row in run.json["verdicts"]}


@needs_peft
def test_a_verdict_on_adapted_weights_says_so_in_every_output(adapted: Suite) -> None:
    asked = ("--model", "mine", "--weights", "w", "--adapter", "my-lora")
    run = adapted.pytest(*asked)
    row, other = of_mine(run)["mine-shrinks"], of_mine(run)["theirs-shrinks"]
    assert row["weights"]["weights_kind"] == "with adapter", row["why"]
    detail = row["weights"]["weights_detail"]
    assert detail.startswith("adapter my-lora (SHA-256 ")
    assert re.search(r"into local weights: safetensors, hash [0-9a-f]{12} not registered: unverified", detail)
    assert "pretrained" not in str(row["weights"])
    assert row["estimate"]["n"] == 5
    assert other["weights"]["weights_kind"] == "initialisation"
    assert row["controls"], "freshly drawn weights are measured beside it"
    assert f"weights: mine: with adapter ({detail})" in run.text
    assert "weights a local path with adapter my-lora" in run.text
    assert {p.get("value") for p in run.junit.iter("property") if p.get("name") == "weights_kind"} >= {"with adapter"}
    assert ",with adapter," in (adapted.folder / "reports" / "measurements.csv").read_text()
    assert run.json["provenance"]["options"]["adapter"] == "my-lora"
    assert str(adapted.folder) not in json.dumps(run.json["verdicts"])

    again = of_mine(adapted.pytest(*asked, "-n", "2"))["mine-shrinks"]
    assert (again["weights"], again["traces"], again["estimate"]) == (row["weights"], row["traces"], row["estimate"])

    config = adapted.folder / "my-lora" / "adapter_config.json"
    config.write_text(config.read_text().replace('"lora_alpha": 8', '"lora_alpha": 16'))
    another = of_mine(adapted.pytest(*asked, "-k", "mine"))["mine-shrinks"]
    assert another["traces"][0] != row["traces"][0]
    assert another["traces"][1:] == row["traces"][1:], "drawn controls carry no adapter"
    assert another["estimate"]["value"] != row["estimate"]["value"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "an adapter belongs to one model; name it with one --model (0 are named)"),
        (("--model", "gptj", "--weights", "init"), "freshly drawn weights carry no adapter"),
        (("--model", "gptj", "--measurements", "t.csv"), "--adapter changes what is measured"),
    ],
)
def test_what_cannot_carry_an_adapter_ends_the_run_with_one_line(
    arguments: tuple[str, ...], message: str, suite: Suite
) -> None:
    suite.write("t.csv", "Model,Category,Last_Gain\nGPT-J-6B,Factual,1.0\n")
    suite.write("my-lora/adapter_config.json", '{"peft_type": "LORA"}')
    suite.write("my-lora/adapter_model.safetensors", b"\2\0\0\0\0\0\0\0{}")
    run = suite.pytest("--adapter", "my-lora", *arguments)
    assert run.status == 4, run.text
    (line,) = (line for line in run.text.splitlines() if message in line)
    assert line.startswith("ERROR: ")
    assert "Traceback" not in run.text


def test_packed_weights_without_their_package_or_a_gpu_are_not_measured(mine: Suite) -> None:
    config = mine.folder / "w" / "config.json"
    packed = {"quantization_config": {"quant_method": "awq", "bits": 4}}
    store_one(mine.folder / "w", "int8")
    config.write_text(json.dumps({**json.loads(config.read_text()), **packed}))
    run = mine.pytest("--model", "mine", "--weights", "w", "-k", "mine")
    row = of_mine(run)["mine-shrinks"]
    assert row["verdict"] == "NOT_MEASURED"
    assert "refutable[awq]" in row["why"] or "are run on a CUDA device" in row["why"]
    assert run.status == 0
    assert Path(run.folder / "reports" / "junit.xml").is_file()
