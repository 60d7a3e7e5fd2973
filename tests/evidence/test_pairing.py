"""Two models, or two dtypes of one, on the same prompts: paired by the prompt's text, the prompt as the unit."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from refutable._util.strict_yaml import parse_yaml
from refutable.claims import MeasuredTest
from refutable.claims.file import claims_from
from refutable.errors import BadInput, NotMeasured
from refutable.evidence.plan import other_subject
from refutable.models.selection import Selection
from refutable.options import Options
from refutable.session import Session
from refutable.statistics.pairing import minus
from refutable.statistics.sample import Sample
from refutable.traces.passes import Pass
from refutable.verdicts.falsifiability.vacuity import is_vacuous

CLAIM = """\
schema: 1
claims:
  - id: tried
    statement: What is tried here.
    evidence: measured
    models: {models}
    {more}
    test: {test}
"""
TEST = '{statistic: mean, of: last_gain, against: {model: gptj}, predicts: "> 0"}'


def sample(values: list[float], texts: list[str]) -> Sample:
    return Sample("last_gain", np.array(values), "prompt", tuple(text[0] for text in texts), tuple(texts))


@given(st.permutations(range(6)), st.sets(st.integers(0, 5), min_size=1), st.sets(st.integers(0, 5), min_size=1))
def test_prompts_pair_by_their_text_in_whatever_order_and_whichever_are_missing(
    order: list[int], first: set[int], second: set[int]
) -> None:
    texts = [f"{'ab'[i % 2]}{i}" for i in range(6)]
    one = sample([float(i) for i in sorted(first)], [texts[i] for i in sorted(first)])
    there = [i for i in order if i in second]
    other = sample([100.0 * i for i in there], [texts[i] for i in there])
    both = sorted(first & second)
    if not both:
        with pytest.raises(NotMeasured, match="none is in both"):
            minus(one, other)
        return
    found = minus(one, other)
    np.testing.assert_array_equal(found.values, [i - 100.0 * i for i in both])
    assert found.prompts == tuple(texts[i] for i in both)
    assert found.clusters == tuple("ab"[i % 2] for i in both)


def test_layers_stay_and_values_without_texts_do_not_pair() -> None:
    one = Sample("layer_gain", np.arange(6.0).reshape(2, 3), "prompt", ("a", "b"), ("x", "y"))
    other = Sample("layer_gain", np.ones((2, 3)), "prompt", ("b", "a"), ("y", "x"))
    np.testing.assert_array_equal(minus(one, other).values, one.values - 1)
    with pytest.raises(NotMeasured, match="do not say of which prompt each is"):
        minus(one, Sample("layer_gain", np.ones((2, 3)), "prompt"))


# On a published table


def gains(n: int = 25, seed: int = 0) -> dict[str, dict[str, float]]:
    """Return gains of two models that the prompt decides nearly alone; Pythia's are 0.02 higher on each prompt."""
    rng = np.random.default_rng(seed)
    level = rng.normal(1.0, 0.3, n)
    return {
        "gptj": {f"prompt {i}": x for i, x in enumerate(level)},
        "pythia-6.9b": {f"prompt {i}": x + 0.02 + rng.normal(0, 0.01) for i, x in enumerate(level)},
    }


def write_table(folder: Path, values: dict[str, dict[str, float]]) -> None:
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["Model", "Prompt", "Category", "Last_Gain"])
    for k, (model, of) in enumerate(values.items()):
        for prompt in sorted(of, key=lambda name: hash((name, k)) if k else name):  # the second in another order
            rows.writerow([model, prompt, "all", repr(float(of[prompt]))])
    (folder / "gains.csv").write_text(text.getvalue())


def claim_text(test: str = TEST, models: str = "pythia-6.9b", more: str = "slow: false") -> str:
    return CLAIM.replace("{models}", models).replace("{more}", more).replace("{test}", test)


def tried(folder: Path, test: str = TEST, models: str = "pythia-6.9b", more: str = "slow: false") -> dict[str, Any]:
    claims = folder / "claims.yaml"
    claims.write_text(claim_text(test, models, more))
    refutable_session = Session.prepare(Options(claims=claims, measurements=folder / "gains.csv", offline=True))
    (case,) = refutable_session.cases
    return refutable_session.try_case(case).as_dict()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REFUTABLE_CACHE", str(tmp_path / "cache"))
    write_table(tmp_path, gains())
    return tmp_path


def test_a_difference_that_only_pairs_can_see_is_seen(folder: Path) -> None:
    row = tried(folder)
    values = gains()
    a, b = (np.array([values[m][f"prompt {i}"] for i in range(25)]) for m in ("pythia-6.9b", "gptj"))
    assert row["verdict"] == "SUPPORTED"
    assert row["estimate"]["unit"] == "prompt"
    assert row["estimate"]["n"] == 25
    np.testing.assert_allclose(row["estimate"]["value"], (a - b).mean())
    assert stats.ttest_rel(a, b, alternative="greater").pvalue < row["estimate"]["p"] < 1e-3  # no less than by signs
    assert "pythia-6.9b minus gptj on each prompt: both read the same prompts" in row["why"]
    assert stats.ttest_ind(a, b).pvalue > 0.5  # without the pairs there is nothing to see


def test_the_other_way_round_it_is_refuted(folder: Path) -> None:
    row = tried(folder, TEST.replace("gptj", "pythia-6.9b"), "gptj")
    assert row["verdict"] == "REFUTED"


def test_prompts_that_one_of_them_lacks_are_left_out_and_counted(folder: Path) -> None:
    values = gains()
    del values["gptj"]["prompt 3"], values["pythia-6.9b"]["prompt 0"], values["pythia-6.9b"]["prompt 7"]
    write_table(folder, values)
    row = tried(folder)
    kept = [f"prompt {i}" for i in range(25) if i not in (0, 3, 7)]
    assert row["estimate"]["n"] == 22
    expected = np.mean([values["pythia-6.9b"][name] - values["gptj"][name] for name in kept])
    np.testing.assert_allclose(row["estimate"]["value"], expected)


def test_a_model_that_is_not_there_is_named(folder: Path) -> None:
    write_table(folder, {"pythia-6.9b": gains()["pythia-6.9b"]})
    row = tried(folder)
    assert row["verdict"] == "NOT_MEASURED"
    assert "gptj, which pythia-6.9b is held against: not in gains.csv" in row["why"]


def test_one_value_a_model_pairs_with_nothing(folder: Path) -> None:
    (folder / "gains.csv").write_text("Model,Last_Gain\npythia-6.9b,0.8\ngptj,1.06\n")
    row = tried(folder)
    assert row["verdict"] == "NOT_MEASURED"
    assert "do not say of which prompt each is" in row["why"]


def test_a_table_holds_one_dtype(folder: Path) -> None:
    row = tried(folder, TEST.replace("model: gptj", "dtype: bfloat16"))
    assert row["verdict"] == "NOT_MEASURED"
    assert "what bfloat16 would give is not in it" in row["why"]


# What is refused before anything runs


@pytest.mark.parametrize(
    ("test", "models", "expected"),
    [
        (TEST, "[gptj, pythia-6.9b]", "gptj is held against itself; leave it out of `models:`"),
        (TEST.replace("gptj", "gptk"), "pythia-6.9b", "unknown model 'gptk'"),
    ],
)
def test_models_that_cannot_be_compared_are_refused(folder: Path, test: str, models: str, expected: str) -> None:
    with pytest.raises(BadInput, match=expected):
        tried(folder, test, models, more="for: all")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"{model: gptj}": "gptj"}, "{blocks: 8} or {coordinate: 7} (got 'gptj')"),
        ({"{model: gptj}": "{}"}, "is held against one thing; write {model: NAME}, {revision: NAME}, {dtype"),
        ({"{model: gptj}": "{model: gptj, dtype: float16}"}, "is held against one thing"),
        (
            {"{model: gptj}": "{modle: gptj}"},
            "unknown key 'modle'; known: blocks, coordinate, dtype, layer, model, norm, position,",
        ),
        ({"{model: gptj}": "{dtype: bf16}"}, "unknown value 'bf16'; known: float32, bfloat16, float16."),
        ({"{model: gptj}": "plain"}, "`against:` belongs to an intervention; add `under:`"),
        ({"mean": "geometric_mean"}, "differences have no geometric mean"),
        ({"mean, of: last_gain": 'layers_passing, of: layer_gain, holds: "> 0"'}, "two models need not have as many"),
        ({"predicts": "fact: parameters, predicts", "mean": "trend"}, "here the model is the unit"),
        ({"{model: gptj}": "{dtype: float16}", "last_gain": "prompt_length"}, "is the same in any dtype"),
    ],
)
def test_what_cannot_be_paired_is_refused_with_the_fix(changed: dict[str, str], expected: str) -> None:
    test = TEST
    for old, new in changed.items():
        test = test.replace(old, new)
    text = claim_text(test)
    with pytest.raises(BadInput) as raised:
        claims_from(parse_yaml(text, "c.yaml"))
    assert expected in str(raised.value)
    assert "c.yaml:8" in str(raised.value)


def test_dtypes_are_compared_once() -> None:
    test = TEST.replace("model: gptj", "dtype: float16")
    text = claim_text(test, "gptj", "multiverse: {dtype: [bfloat16]}")
    with pytest.raises(BadInput, match="`against:` compares dtypes already"):
        claims_from(parse_yaml(text, "c.yaml"))


def test_no_difference_of_gains_is_true_of_any_data() -> None:
    def test(of: str, predicts: str) -> MeasuredTest:
        keys = {"statistic": "mean", "of": of, "against": {"model": "gptj"}, "predicts": predicts}
        return MeasuredTest.model_validate(keys)

    assert not is_vacuous(test("last_gain", "> 0"))
    assert is_vacuous(test("top_probability", "within [-1, 1]"))


# What a run reads


def test_the_plan_reads_the_other_model_too_with_its_controls(tmp_path: Path) -> None:
    claims = tmp_path / "claims.yaml"
    test = TEST.replace("gptj", "tiny-llama")
    claims.write_text(claim_text(test, "tiny-gpt2", "controls: [initialization]"))
    refutable_session = Session.prepare(Options(claims=claims, offline=True))
    refutable_session.plan_for(refutable_session.cases)
    plan = refutable_session.source.plan
    assert {subject.model for subject in plan} == {"tiny-gpt2", "tiny-llama"}
    seeds = {m: {s.seed for s in plan if s.model == m and s.weights == "init"} for m in ("tiny-gpt2", "tiny-llama")}
    assert seeds["tiny-gpt2"] == seeds["tiny-llama"] == {0, 1, 2, 3, 4}
    assert all(passes == (Pass("forward", "grand-unified-25"),) for passes in plan.values())


def test_a_dtype_is_not_held_against_itself() -> None:
    test = MeasuredTest.model_validate(
        {"statistic": "mean", "of": "last_gain", "against": {"dtype": "bfloat16"}, "predicts": "> 0"}
    )
    selection: Any = Selection.__new__(Selection)
    from refutable.models.subject import Subject

    assert other_subject(test, Subject("gptj"), selection) == Subject("gptj", dtype="bfloat16")
    with pytest.raises(NotMeasured, match="this run is in bfloat16"):
        other_subject(test, Subject("gptj", dtype="bfloat16"), selection)
