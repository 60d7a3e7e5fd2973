"""Bad input ends in one clean message: where, what, what is allowed, the fix. Never a traceback."""

from __future__ import annotations

import struct

import pytest

from .conftest import CLAIMS, Result, Suite


def _clean(run: Result, *parts: str, status: int = 4) -> None:
    assert run.status == status, run.text
    assert "Traceback" not in run.text
    assert "INTERNALERROR" not in run.text
    for part in parts:
        assert part in run.text, run.text


BAD_CLAIMS = {
    "unknown metric": (
        "of: last_gain",
        "of: last_gian",
        ["claims.yaml:", "unknown metric 'last_gian'", "Did you mean 'last_gain'?"],
    ),
    "unknown statistic": ("statistic: mean", "statistic: maen", ["unknown statistic 'maen'", "Did you mean 'mean'?"]),
    "unknown model": (
        "[opt-6.7b]",
        "[opt-67b]",
        ["claims.yaml:28 claims[4].models[0]: unknown model 'opt-67b'", "Did you mean 'opt-6.7b'?"],
    ),
    "unknown key": (
        "statement: GPT-J dampens.",
        "statment: GPT-J dampens.",
        ["unknown key 'statment'", "Did you mean 'statement'?"],
    ),
    "wrong type": ("seeds: [0, 1, 2, 3, 4, 5]", "seeds: many", ["seeds"]),
    "bad prediction": ('predicts: "> 1"', 'predicts: "about 1"', ["cannot read 'about 1'", "within [a, b]"]),
    "duplicate id": ("id: gptj-dampens", "id: triangle", ["'triangle' is already the id at claims.yaml:"]),
    "duplicate key": (
        "    statement: GPT-J dampens.\n",
        "    statement: a\n    statement: b\n",
        ["repeats the key 'statement'"],
    ),
    "blank proof": ("proof: Cauchy and Schwarz", 'proof: " "', ["].proof: is blank"]),
    "fact of the other kind": ('predicts: "within [0.25, 0.25]"', "equals: 0.25x", ["'rotary_fraction' is a number"]),
    "repeated seed": ("seeds: [0, 1, 2, 3, 4, 5]", "seeds: [0, 0, 1]", ["each seed is one replicate"]),
    "record of an unknown model": ("record: {tiny-gpt2:", "record: {tiny-gtp2:", ["Did you mean 'tiny-gpt2'?"]),
    "no model": ("models: [opt-6.7b]", "models: []", ["names no model"]),
    "missing prompts": (
        "models: [tiny-gpt2]\n",
        "models: [tiny-gpt2]\n    prompts: none.yaml\n",
        ["none.yaml: no such"],
    ),
    "proof that is not there": ("proof: Cauchy and Schwarz", "proof: none.md", ["].proof: no file none.md beside"]),
    "not YAML": ("claims:\n", "claims: [\n", ["claims.yaml:", "is not YAML"]),
}


@pytest.mark.parametrize("name", BAD_CLAIMS)
def test_a_bad_claims_file(suite: Suite, name: str) -> None:
    old, new, parts = BAD_CLAIMS[name]
    assert old in CLAIMS
    suite.write("claims.yaml", CLAIMS.replace(old, new, 1))
    _clean(suite.pytest(), *parts)


def test_a_yaml_bomb(suite: Suite) -> None:
    levels = "".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]\n" for i in range(1, 9))
    suite.write("claims.yaml", f"l0: &l0 [lol]\n{levels}")
    _clean(suite.pytest(), "claims.yaml:1 uses an anchor or alias")


def test_a_missing_claims_file(suite: Suite) -> None:
    _clean(suite.pytest("--claims", "absent.yaml"), "absent.yaml: no such file")


def test_a_claims_file_without_claims(suite: Suite) -> None:
    suite.write("claims.yaml", "schema: 1\nclaims: []\n")
    _clean(suite.pytest(), "must be a list of at least one claim")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--model", "gtpj"], "unknown model 'gtpj'"),
        (["--dtype", "float12"], "unknown dtype"),
        (["--device", "gpu"], "unknown device"),
        (["--device", "cuda"], "0 CUDA device(s)"),
        (["--weights", "absent", "--model", "gptj"], "no such file or directory"),
        (["--weights", "absent"], "a path belongs to one model"),
        (["--revision", "main"], "a revision belongs to a model"),
        (["--measurements", "absent.csv"], "no such file"),
        (["--baseline", "absent.json"], "no such file"),
        (["--baseline", "claims.yaml"], "not JSON"),
        (["--measurements", "claims.yaml"], "its header must name Model"),
        (["--measurements-map", "claims.yaml"], "give the table: --measurements FILE"),
        (["--prompts", "absent.txt"], "no such file"),
        (["--prompts", "pytest.ini", "--measurements", "claims.yaml"], "give one of them"),
    ],
)
def test_a_bad_option(suite: Suite, arguments: list[str], part: str) -> None:
    _clean(suite.pytest(*arguments), part)


def _tiny_weights(suite: Suite) -> bytes:
    drawn = suite.refutable("draw", "tiny-gpt2", "--out", "w", "--device", "cpu")
    assert drawn.status == 0, drawn.text
    return (suite.folder / "w" / "model.safetensors").read_bytes()


def _gpt2_claim(suite: Suite) -> None:
    suite.write("claims.yaml", CLAIMS.replace("models: [tiny-gpt2]", "models: [gpt2]"))


def test_truncated_safetensors_are_refused_before_anything_runs(suite: Suite) -> None:
    suite.write("w/model.safetensors", _tiny_weights(suite)[:-1000])
    _gpt2_claim(suite)
    _clean(suite.pytest("-k", "shrinks", "--model", "gpt2", "--weights", "w"), "truncated: its header promises")


def test_safetensors_of_another_shape_are_an_error_and_not_random_weights(suite: Suite) -> None:
    _tiny_weights(suite)
    (suite.folder / "w" / "config.json").unlink()
    _gpt2_claim(suite)
    run = suite.pytest("-k", "shrinks", "--model", "gpt2", "--weights", "w")
    _clean(run, status=1)
    assert set(run.verdicts.values()) == {"ERROR"}


def test_a_gguf_of_an_unknown_architecture_says_which(suite: Suite) -> None:
    key, value = b"general.architecture", b"quux"
    body = struct.pack("<Q", len(key)) + key + struct.pack("<I", 8) + struct.pack("<Q", len(value)) + value
    suite.write("m.gguf", b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + body)
    _gpt2_claim(suite)
    _clean(suite.pytest("-k", "shrinks", "--model", "gpt2", "--weights", "m.gguf"), "architecture 'quux'")


def test_a_bad_registry_file(suite: Suite) -> None:
    suite.write("models.yaml", "models:\n  gptj: {familly: gptj}\n")
    suite.write("pytest.ini", (suite.folder / "pytest.ini").read_text() + "refutable_models = models.yaml\n")
    _clean(suite.pytest(), "models.yaml:2", "'familly'")


@pytest.mark.parametrize(
    "command",
    [["check", "absent.yaml"], ["report", "absent.jsonl"], ["draw", "gtpj", "--out", "x"], ["publish", "absent"]],
)
def test_a_bad_command(suite: Suite, command: list[str]) -> None:
    _clean(suite.refutable(*command))
