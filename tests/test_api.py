"""The library: a model in memory gives what the engine gives, is left as it was, and a claim is judged as in a run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import VARIANTS, tiny_model

import refutable
from refutable.errors import BadInput, NotMeasured
from refutable.measurement.loading.tokens import StandInTokens
from refutable.prompts.in_memory import prompts_from
from refutable.traces.trace import Trace
from refutable.verdicts.verdict import Verdict

FAMILIES = ("gpt2", "gpt_neox-parallel", "gptj", "llama", "gemma2", "bloom", "opt", "falcon-7b")
TEXTS = ["The capital of France is", "Once upon a time there was a king who", "Colourless green ideas sleep"]


def network_of(name: str) -> Any:
    return tiny_model(VARIANTS[name]).network


def ids_of(network: Any) -> list[list[int]]:
    vocabulary = int(network.get_input_embeddings().num_embeddings)
    return StandInTokens(vocabulary).encode(prompts_from(TEXTS).prompts)


def state_of(network: Any) -> dict[str, Any]:
    """Return all that measuring might leave changed."""
    return {
        "hooks": [
            (len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks)) for m in network.modules()
        ],
        "training": [m.training for m in network.modules()],
        "classes": [type(m) for m in network.modules()],
        "own forward": ["forward" in vars(m) for m in network.modules()],
        "gradients": [(p.requires_grad, None if p.grad is None else p.grad.clone()) for p in network.parameters()],
        "weights": [p.detach().clone() for p in network.parameters()],
        "config": network.config.to_dict(),
        "attention": network.config._attn_implementation,
    }


def assert_same(before: Any, after: Any) -> None:
    if isinstance(before, torch.Tensor):
        assert torch.equal(before, after)
    elif isinstance(before, dict):
        assert before.keys() == after.keys()
        for key in before:
            assert_same(before[key], after[key])
    elif isinstance(before, list | tuple):
        assert len(before) == len(after)
        for old, new in zip(before, after, strict=True):
            assert_same(old, new)
    else:
        assert before == after


@pytest.mark.parametrize("name", FAMILIES)
def test_a_model_in_memory_gives_every_primitive_that_its_folder_gives(name, tmp_path, monkeypatch):
    monkeypatch.setenv("REFUTABLE_CACHE", str(tmp_path / "cache"))
    network = network_of(name)
    network.save_pretrained(tmp_path / "model")
    stored = refutable.measure(tmp_path / "model", prompts=TEXTS, device="cpu")
    here = refutable.measure(network, None, ids_of(network))
    for column in stored.blocks.column_names:
        old, new = (trace.blocks[column].to_pandas().to_numpy() for trace in (stored, here))
        np.testing.assert_allclose(new, old, rtol=2e-5, atol=2e-6, err_msg=column)
    assert stored.meta["weights_kind"] == here.meta["weights_kind"] == "local"
    assert here.meta["weights_detail"] == "a model object in memory"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("run", ["forward", "perturbation", "reach"])
@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_a_model_is_afterwards_as_it_was(name, run, dtype):
    network = network_of(name).to(dtype).train()
    network.get_submodule(type(network).base_model_prefix).eval()  # a part of it may be in another mode
    next(network.parameters()).requires_grad_(False)
    list(network.parameters())[1].grad = torch.ones_like(list(network.parameters())[1])
    before = state_of(network)
    refutable.measure(network, None, ids_of(network), run=run)
    assert_same(before, state_of(network))


def test_a_model_is_as_it_was_where_the_pass_fails():
    network = network_of("llama").train()
    with torch.no_grad():
        network.model.layers[0].mlp.down_proj.weight.fill_(float("nan"))

    def planted(module: Any, args: Any, output: Any) -> None:
        raise RuntimeError("planted")

    handle = network.model.layers[1].mlp.register_forward_hook(planted)
    before = state_of(network)
    with pytest.raises(RuntimeError, match="planted"):
        refutable.measure(network, None, ids_of(network))
    after = state_of(network)
    before.pop("weights"), after.pop("weights")  # NaN is never equal to itself
    assert_same(before, after)
    handle.remove()


def test_texts_are_read_by_the_tokenizer_that_is_given():
    network = network_of("gpt2")

    class Letters:
        bos_token_id = None

        def __call__(self, text: str) -> dict[str, list[int]]:
            return {"input_ids": [ord(letter) % 50 for letter in text]}

        def decode(self, ids: list[int]) -> str:
            return str(ids)

    trace = refutable.measure(network, Letters(), TEXTS)
    assert trace.prompts["tokens"].to_pylist() == [len(text) for text in TEXTS]
    assert trace.prompts["text"].to_pylist() == TEXTS
    assert trace.meta["tokens"] == "own tokenizer"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda network: refutable.measure(network, None, TEXTS), "need the model's tokenizer"),
        (lambda network: refutable.measure(network, None, []), "none were given"),
        (lambda network: refutable.measure(network, None, [[1], []]), "greater than or equal to 1"),
        (lambda network: refutable.measure(network, None, [[1, -1]]), "whole numbers from 0 (got -1)"),
        (lambda network: refutable.measure(network, None, [[1, 10**6]]), "not in the model's vocabulary"),
        (lambda network: refutable.measure(network, None, [[1, 2], [1, 2]]), "stands twice"),
        (lambda network: refutable.measure(network.to("meta"), None, [[1, 2]]), "on the device 'meta'"),
        (
            lambda network: refutable.measure(network.get_submodule("transformer.h.0"), None, [[1]]),
            "no causal language",
        ),
        (lambda network: refutable.measure("gpt2", None, [[1, 2]]), "go with a model in memory"),
        (lambda network: refutable.measure("gpt3"), "unknown model 'gpt3'"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(change, expected):
    with pytest.raises(BadInput) as caught:
        change(network_of("gpt2"))
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_family_that_is_not_supported_is_refused_with_those_that_are():
    network = network_of("gpt2")
    network.config.model_type = "gpt-two"
    with pytest.raises(BadInput, match=r"unknown .*'gpt-two'; known: .*gpt2"):
        refutable.measure(network, None, [[1, 2]])


@pytest.fixture
def trace() -> Trace:
    network = network_of("gpt2")
    generator = np.random.default_rng(0)
    return refutable.measure(network, None, generator.integers(50, size=(8, 6)).tolist())


def test_a_trace_is_a_tidy_table(trace):
    frame = trace.to_pandas()
    assert {"prompt", "layer", "position", "text", "norm.block_output"} <= {*frame.columns}
    assert len(frame) == 8 * 6 * int(trace.meta["layers"])
    assert not frame.duplicated(["prompt", "layer", "position"]).any()


def test_a_metric_is_what_its_primitives_say(trace):
    last = trace.to_pandas().query("layer == layer.max() and position == 5")
    gain = last["norm.block_output"].to_numpy(float) / last["norm.block_input"].to_numpy(float)
    np.testing.assert_allclose(refutable.metric("last_gain", trace).values, gain, rtol=1e-12)
    assert refutable.metric("layer_gain", trace).values.shape == (8, int(trace.meta["layers"]))


CLAIM = """\
schema: 1
claims:
  - id: a-claim
    statement: The last block lengthens the stream.
    evidence: measured
    models: smollm2
    controls: [initialization, any-data]
    multiverse: {norm: [raw, centred], dtype: [bfloat16]}
    test: {statistic: mean, of: last_gain, predicts: "PREDICTED"}
"""


@pytest.mark.parametrize(
    ("predicted", "verdict"), [("> 0.01", Verdict.SUPPORTED), ("< 0.01", Verdict.REFUTED)], ids=["supported", "refuted"]
)
def test_a_claim_is_judged_on_a_trace_and_what_needs_another_pass_says_so(trace, tmp_path, predicted, verdict):
    (tmp_path / "claims.yaml").write_text(CLAIM.replace("PREDICTED", predicted))
    (claim,) = refutable.load_claims(tmp_path / "claims.yaml")
    judged = refutable.judge(claim, trace)
    assert judged.verdict is verdict
    assert judged.estimate.value == pytest.approx(refutable.metric("last_gain", trace).values.mean())
    assert judged.controls["initialization"].verdict is Verdict.NOT_MEASURED
    assert judged.variations["norm centred"].verdict.decided
    assert judged.variations["dtype bfloat16"].verdict is Verdict.NOT_MEASURED


def test_a_trace_of_another_pass_decides_nothing(trace, tmp_path):
    text = (
        CLAIM.replace("PREDICTED", "> 0").replace("last_gain", "next_token_loss").replace("norm: [raw, centred], ", "")
    )
    (tmp_path / "claims.yaml").write_text(text)
    (claim,) = refutable.load_claims(tmp_path / "claims.yaml")
    judged = refutable.judge(claim, trace)
    assert judged.verdict is Verdict.NOT_MEASURED
    assert "forward" in judged.why


def test_a_run_is_a_table_with_a_row_for_each_verdict(tmp_path):
    published = Path(refutable.__file__).parents[2] / "reports" / "published"
    rows = json.loads((published / "verdicts.json").read_text())["verdicts"]
    frame = refutable.read_run(published)
    assert len(frame) == len(rows)
    decided = frame[frame.verdict == "REFUTED"].set_index("id")
    assert (decided.index.isin([row["id"] for row in rows if row["verdict"] == "REFUTED"])).all()
    assert frame.value.isna().any()  # what was not measured is missing, not zero
    with pytest.raises(BadInput, match="no such file"):
        refutable.read_run(tmp_path)


def test_importing_the_library_imports_nothing_heavy_and_its_names_are_complete():
    code = (
        "import sys, refutable; assert refutable.__all__ == sorted(refutable.__all__);"
        "assert not {'numpy', 'pydantic', 'torch', 'pandas'} & {*sys.modules};"
        "assert {*refutable.__all__} <= {*dir(refutable)};"
        "[getattr(refutable, name) for name in refutable.__all__]; assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_the_library_lacks_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'gauge'"):
        refutable.gauge  # noqa: B018
    assert NotMeasured is not BadInput


def test_the_first_token_and_the_first_block_can_be_left_out(trace):
    with_it = refutable.metric("last_gain", trace, position="all", first_token="with").values
    assert (with_it != refutable.metric("last_gain", trace, position="all").values).any()
    each = refutable.metric("layer_gain", trace).values
    later = refutable.metric("layer_gain", trace, layer="mean", first_block="without").values
    np.testing.assert_allclose(later, each[:, 1:].mean(axis=1), rtol=1e-12)
    for wrong, why in (
        ({"first_token": "with"}, "is of one token"),
        ({"position": "all", "first_token": "no"}, "unknown first_token="),
        ({"first_block": "without"}, "belongs to layer='mean'"),
    ):
        with pytest.raises(BadInput, match=why):
            refutable.metric("layer_gain", trace, **wrong)
