"""The library beside a run of pytest: the same claims on the same models come to the same verdicts; nothing heavy."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

import refutable
from refutable.claims import BaseClaim
from refutable.errors import BadInput
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Verdict

from .conftest import Suite

CLAIMS = """\
schema: 1
claims:
  - id: shrinks
    statement: A tiny model's last block shrinks the stream.
    evidence: measured
    models: [tiny-gpt2]
    test: {statistic: mean, of: last_gain, predicts: "< 1"}
    record: {tiny-gpt2: {value: 0.8, n: 25, dtype: float16}}
  - id: varied
    statement: The same under what may be varied.
    evidence: measured
    models: [tiny-gpt2, tiny-llama]
    test: {statistic: mean, of: last_gain, predicts: "> 1"}
    controls: [any-data]
    multiverse: {norm: [raw, centred], position: [last, all], statistic: [mean, geometric_mean]}
  - id: followed
    statement: Gain and output entropy go together.
    evidence: measured
    models: [tiny-gpt2]
    test: {statistic: pearson, of: [last_gain, output_entropy], predicts: "within [-0.1, 0.1]"}
    controls: [permuted]
  - id: by-layer
    statement: Attention adds less than it reads in every layer.
    evidence: measured
    models: [tiny-gpt-neox]
    test: {statistic: layers_passing, of: attention_gain, holds: "< 1", predicts: ">= 0.9"}
  - id: without-the-mlp
    statement: The MLP lengthens the stream.
    evidence: intervention
    models: [tiny-llama]
    test: {statistic: mean, of: last_gain, under: ablate-mlp, blocks: last, against: plain, predicts: "< 0"}
  - id: grows
    statement: Small changes grow.
    evidence: dynamical
    models: [tiny-gpt2]
    test: {statistic: mean, of: noise_gain, layer: mean, predicts: "> 0"}
  - id: is-of-drawn-weights
    statement: At initialisation the last block lengthens the stream.
    evidence: initialization
    models: [tiny-gpt2]
    test: {statistic: mean, of: last_gain, predicts: "> 1"}
  - id: together
    statement: Both shrink the stream.
    evidence: measured
    models: [tiny-gpt2, tiny-llama]
    for: all
    test: {statistic: mean, of: last_gain, predicts: "< 1"}
"""
PASSES: dict[str, tuple[dict[str, Any], ...]] = {
    "without-the-mlp": (
        {"under": "ablate-mlp", "blocks": "last"},
        {},
        {"under": "ablate-mlp", "blocks": "last", "first_token": "without"},
    ),
    "grows": ({"run": "perturbation"},),
}
TOLD = ("verdict", "predicts", "why", "labels", "estimate", "variations", "controls", "details")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory, suite_cache: Path) -> dict[str, Any]:
    """Return the rows of a run of pytest, by id."""
    suite = Suite(tmp_path_factory.mktemp("suite"), suite_cache)
    suite.write("claims.yaml", CLAIMS)
    run = suite.pytest("--device", "cpu")
    return {row["id"]: row for row in run.json["verdicts"]}


@pytest.fixture
def claims(tmp_path: Path, suite_cache: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, BaseClaim]:
    monkeypatch.setenv("REFUTABLE_CACHE", str(suite_cache))
    file = tmp_path / "claims.yaml"
    file.write_text(CLAIMS)
    return {claim.id: claim for claim in refutable.load_claims(str(file))}


@pytest.mark.parametrize(
    ("claim", "model"),
    [
        ("shrinks", "tiny-gpt2"),
        ("varied", "tiny-gpt2"),
        ("varied", "tiny-llama"),
        ("followed", "tiny-gpt2"),
        ("by-layer", "tiny-gpt-neox"),
        ("without-the-mlp", "tiny-llama"),
        ("grows", "tiny-gpt2"),
    ],
)
def test_a_claim_is_judged_as_pytest_judges_it(
    claim: str, model: str, rows: dict[str, Any], claims: dict[str, BaseClaim]
) -> None:
    traces = [refutable.measure(model, device="cpu", **options) for options in PASSES.get(claim, ({},))]
    found = refutable.judge(claims[claim], *traces)
    expected = rows[f"{claim}-{model}"]
    as_row = VerdictRow(
        **{one.name: getattr(found, one.name) for one in fields(found)},
        **{"id": "-", "claim": claim, "subject": model, "about": {}, "recorded": {}, "weights": {}, "traces": ()},
        seconds=0.0,
    )
    as_json = json.loads(json.dumps(as_row.as_dict()))
    assert {name: as_json[name] for name in TOLD} == {name: expected[name] for name in TOLD}
    assert found.verdict.looked


def test_what_takes_another_pass_is_said(claims: dict[str, BaseClaim]) -> None:
    under = refutable.measure("tiny-llama", device="cpu", under="ablate-mlp", blocks="last")
    alone = refutable.judge(claims["without-the-mlp"], under)
    assert alone.verdict is Verdict.NOT_MEASURED
    assert "this takes the pass 'forward' of tiny-llama in float32 on grand-unified-25" in alone.why
    plain = refutable.measure("tiny-llama", device="cpu")
    of_dtype = claims["shrinks"].model_copy(
        update={"multiverse": claims["shrinks"].multiverse.model_copy(update={"dtype": ("bfloat16",)})}
    )
    variation = refutable.judge(of_dtype, plain).variations["dtype bfloat16"]
    assert variation.verdict is Verdict.NOT_MEASURED
    assert "no such trace was given" in variation.why
    half = refutable.measure("tiny-llama", device="cpu", dtype="bfloat16")
    variation = refutable.judge(of_dtype, plain, half).variations["dtype bfloat16"]
    assert variation.verdict.looked


def test_in_what_the_claim_as_tried_departs_from_the_claim_is_said(claims: dict[str, BaseClaim]) -> None:
    trace = refutable.measure("tiny-gpt-neox", prompts=["One text", "Another one", "A third"], device="cpu")
    details = refutable.judge(claims["together"], trace).details
    assert details["other prompts"] == "the trace is of texts, the claim of grand-unified-25"
    assert details["one model"] == "the claim is of its models together (for: all); this is of one"
    assert details["another model"] == "the claim does not select tiny-gpt-neox"


def test_a_claim_that_no_trace_decides_is_refused(claims: dict[str, BaseClaim]) -> None:
    trace = refutable.measure("tiny-gpt2", device="cpu")
    with pytest.raises(BadInput, match="evidence 'initialization' is not decided by traces"):
        refutable.judge(claims["is-of-drawn-weights"], trace)


def test_traces_that_cannot_be_told_apart_are_refused(claims: dict[str, BaseClaim]) -> None:
    plain, other = (refutable.measure("tiny-llama", prompts=[a, "A second"], device="cpu") for a in ("One", "Another"))
    under = refutable.measure(
        "tiny-llama", prompts=["One", "A second"], under="ablate-mlp", blocks="last", device="cpu"
    )
    claim = claims["without-the-mlp"]
    assert refutable.judge(claim, under, plain).verdict.looked
    with pytest.raises(BadInput, match="the prompt set 'texts' is not the same in all traces"):
        refutable.judge(claim, under, other)
    with pytest.raises(BadInput, match="two traces are of the pass 'forward' of tiny-llama; give one"):
        refutable.judge(claim, plain, replace(plain, key="another"))
    trained = {"weights_kind": "local", "weights": "one"}
    one, two = (replace(of, meta={**of.meta, **trained}) for of in (under, plain))
    assert refutable.judge(claim, one, two).verdict.looked
    with pytest.raises(BadInput, match="the model 'tiny-llama' is not the same in all traces"):
        refutable.judge(claim, one, replace(two, meta={**two.meta, "weights": "two"}))


def test_a_seeds_trace_is_the_control_of_fresh_weights(claims: dict[str, BaseClaim]) -> None:
    plain = refutable.measure("tiny-gpt2", device="cpu")
    seeds = [replace(plain, key=f"seed {seed}", meta={**plain.meta, "seed": seed}) for seed in range(5)]
    trained = replace(plain, key="trained", meta={**plain.meta, "weights_kind": "local", "seed": None})
    claim = claims["shrinks"].model_copy(update={"controls": ("initialization",)})
    control = refutable.judge(claim, trained, *seeds).controls["initialization"]
    assert control.verdict.looked
    assert list(control.parts) == [f"seed {seed}" for seed in range(5)]
    control = refutable.judge(claim, trained, seeds[1]).controls["initialization"]
    assert [part.verdict.looked for part in control.parts.values()] == [False, True, False, False, False]


def test_a_run_is_read_as_a_frame_with_a_row_a_verdict(
    rows: dict[str, Any], tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, suite_cache: Path
) -> None:
    suite = Suite(tmp_path, suite_cache)
    suite.write("claims.yaml", CLAIMS)
    run = suite.pytest("--device", "cpu")
    for path in ("reports", "reports/verdicts.json", "reports/journal.jsonl"):
        frame = refutable.read_run(str(tmp_path / path))
        assert dict(zip(frame["id"], frame["verdict"], strict=True)) == run.verdicts
    shrinks = frame.set_index("id").loc["shrinks-tiny-gpt2"]
    expected = rows["shrinks-tiny-gpt2"]
    assert (shrinks["value"], shrinks["low"], shrinks["n"]) == tuple(
        expected["estimate"][name] for name in ("value", "low", "n")
    )
    assert shrinks["weights_kind"] == "initialisation"
    assert shrinks["labels"] == ", ".join(expected["labels"])
    with pytest.raises(BadInput, match="no such file"):
        refutable.read_run(tmp_path)


WITHOUT_TORCH = """\
import sys
import refutable
from refutable.traces.store import Store, cache_folder
claim = refutable.load_claims("claims.yaml")[0]
store = Store(cache_folder())
trace = store.get(refutable.read_run("reports").pipe(lambda frame: sys.argv[1]))
refutable.metric("last_gain", trace), trace.to_pandas()
print(refutable.judge(claim, trace).verdict.value, "torch" in sys.modules, "transformers" in sys.modules)
"""


def python(suite: Suite, *arguments: str) -> str:
    done = suite.run(*arguments)
    assert done.status == 0, done.text
    return done.printed.strip()


def test_torch_is_imported_by_measure_alone(suite: Suite) -> None:
    suite.write("claims.yaml", CLAIMS)
    run = suite.pytest("--device", "cpu", "-k", "shrinks")
    (row,) = run.json["verdicts"]
    suite.fresh = True
    assert python(suite, "-c", WITHOUT_TORCH, row["traces"][0]) == f"{row['verdict']} False False"


def test_the_extensions_that_the_ini_file_names_are_known_to_load_claims(suite: Suite) -> None:
    suite.write("mine.py", MINE)
    suite.write("pytest.ini", (suite.folder / "pytest.ini").read_text() + "refutable_extensions = mine\n")
    suite.write("claims.yaml", CLAIMS.replace("of: last_gain, predicts", "of: twice_the_gain, predicts", 1))
    told = python(suite, "-c", "import refutable; print(refutable.load_claims('claims.yaml')[0].test.of[0])")
    assert told == "twice_the_gain"


MINE = '''\
from refutable.metrics import metric
from refutable.metrics.gain import last_gain


@metric("ratio", "block_output of the last two layers", invariant=())
def twice_the_gain(view):
    """Return it twice."""
    return 2 * last_gain.compute(view)


def pytest_refutable_extend(extensions):
    extensions.metrics.add(twice_the_gain)
'''
