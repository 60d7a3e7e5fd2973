"""What every multiverse has: the first token and the first block as axes, layers that disagree, and the gauge."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from synthetic import GIVEN, make_trace

from refutable.claims import InitializationClaim, MeasuredClaim, MeasuredTest
from refutable.claims.sampling import samples_of
from refutable.evidence.layer_by_layer import LAYERS_DISAGREE, layer_by_layer
from refutable.evidence.measured import judge_initialization, judge_measured
from refutable.evidence.on_traces import judge_on_traces
from refutable.evidence.over_models import over_models
from refutable.evidence.plan import other_first_tokens, passes_of
from refutable.models.registry import load_registry
from refutable.models.subject import Subject
from refutable.statistics.sample import Sample
from refutable.traces.passes import Pass
from refutable.traces.scale_folding import InputNorm
from refutable.traces.trace import Trace
from refutable.verdicts.judge import Judgement
from refutable.verdicts.verdict import Verdict

WIDTH, TOKENS, PROMPTS = 8, 5, 12


def a_test(**changes: Any) -> MeasuredTest:
    return MeasuredTest.model_validate({"statistic": "mean", "of": "last_gain", "predicts": "> 1", **changes})


def trace_of(gains: np.ndarray, model: str = "smollm2", seed: int = 0, **prompts: Any) -> Trace:
    """Return a trace of blocks whose updates lie along the stream; `gains` of (TOKENS, layers), and noise of 1 %.

    Each prompt has a category of its own, unless `prompts` has another column.
    """
    rng = np.random.default_rng(seed)
    vectors: dict[str, list[np.ndarray]] = {tap: [] for tap in GIVEN}
    for _ in range(PROMPTS):
        x = rng.normal(size=(TOKENS, *gains.shape[1:], WIDTH))
        added = (gains * rng.normal(1, 0.01, gains.shape) - 1)[..., None] * x
        for tap, of in zip(GIVEN, (x, added / 4, added * 3 / 4, x, x), strict=True):
            vectors[tap].append(of)
    made = make_trace(vectors, prompts=prompts)
    about = {
        **{"model": model, "pass": "forward", "prompt_set": "made", "prompts": "hash", "dtype": "float32"},
        **{"device": "cpu", "weights": "digest", "weights_kind": "local", "weights_detail": "-", "config_from": "-"},
        **{"tokens": "own tokenizer", "first_token": "the prompt's own"},
    }
    return replace(made, meta={**made.meta, **about})


def judged(trace: Trace, multiverse: dict[str, Any] | None = None, **test: Any) -> Judgement:
    claim = MeasuredClaim.model_validate(
        {
            **{"id": "a-claim", "statement": "made up", "evidence": "measured", "models": trace.meta["model"]},
            **{"test": a_test(**test).model_dump(exclude_none=True), "multiverse": multiverse or {}},
        }
    )
    return judge_on_traces(claim, [trace])


def axes_of(found: Judgement) -> list[str]:
    """Return the names of its variations, but for the other estimand, which every claim on categories has."""
    return [name for name in found.variations if name != "over these categories"]


def gains(first: float, later: float, layers: int = 3) -> np.ndarray:
    return np.concatenate([np.full((1, layers), first), np.full((TOKENS - 1, layers), later)])


def test_a_variation_has_the_units_of_the_claim_or_is_left_out() -> None:
    """A median was once tried over prompts beside a claim over categories like these, with five times the units."""
    tried = ["median", "trimmed_mean", "mean_anytime", "bounded_mean", "stratified_mean", "clustered_median"]
    found = judged(trace_of(gains(1.0, 1.2)), {"statistic": tried})
    assert found.estimate is not None
    one = {name.removeprefix("statistic "): variation for name, variation in found.variations.items()}
    for name in ("median", "trimmed_mean"):
        estimate = one[name].estimate
        assert estimate is not None, one[name].why
        assert (estimate.statistic, estimate.unit, estimate.n) == (f"clustered_{name}", "category", found.estimate.n)
    assert "clustered_median" in one
    for name in ("mean_anytime", "bounded_mean", "stratified_mean"):
        assert one[name].verdict is Verdict.NOT_MEASURED
        assert f"{name} has prompts as its units, and the claim is over categories like these" in one[name].why


def test_beside_a_claim_over_these_categories_prompts_stay_the_units() -> None:
    tried = {"statistic": ["median", "clustered_mean"]}
    trace = trace_of(gains(1.0, 1.2), category=["a", "b", "c"] * (PROMPTS // 3))
    found = judged(trace, tried, over="these_categories")
    median = found.variations["statistic median"].estimate
    assert median is not None
    assert (median.statistic, median.unit, median.n) == ("median", "prompt", PROMPTS)
    like = found.variations["statistic clustered_mean"]
    assert like.verdict is Verdict.NOT_MEASURED
    assert "has categories as its units, and the claim is over these categories" in like.why


def test_a_verdict_that_the_first_token_turns_says_so() -> None:
    found = judged(trace_of(gains(100, 0.9)), position="all", first_token="with")
    assert found.verdict is Verdict.SUPPORTED
    without = found.variations["first_token without"]
    assert without.verdict is Verdict.REFUTED
    assert without.estimate is not None
    assert without.estimate.value == pytest.approx(0.9, rel=0.01)
    assert "fragile" in found.labels
    assert found.details["first token"] == "counted"
    other = judged(trace_of(gains(100, 0.9)), position="all")  # as it always was
    assert (other.verdict, other.variations["first_token with"].verdict) == (Verdict.REFUTED, Verdict.SUPPORTED)
    assert other.details["first token"] == "left out"


def test_a_claim_on_several_models_is_varied_as_its_members_are() -> None:
    test = {"position": "all", "first_token": "with"}
    claim = MeasuredClaim.model_validate(
        {
            **{"id": "a-claim", "statement": "made up", "evidence": "measured", "models": ["smollm2", "gpt2"]},
            **{"for": "all", "test": a_test(**test).model_dump(exclude_none=True)},
        }
    )
    found = over_models(claim, ("smollm2", "gpt2"), lambda name: judged(trace_of(gains(100, 0.9), name), **test))
    assert found.verdict is Verdict.SUPPORTED
    assert found.variations["first_token without"].verdict is Verdict.REFUTED
    assert {"fragile", "2 models: fragile"} <= set(found.labels)


def test_of_a_whole_prompt_the_first_token_can_be_left_out() -> None:
    found = judged(trace_of(gains(100, 0.9)), position="whole")
    assert (found.verdict, found.details["first token"]) == (Verdict.SUPPORTED, "counted")
    without = found.variations["first_token without"]
    assert (without.verdict, without.estimate and round(without.estimate.value, 1)) == (Verdict.REFUTED, 0.9)


def test_the_axis_is_there_wherever_positions_are_averaged_and_nowhere_else() -> None:
    trace = trace_of(gains(100, 0.9))
    found = judged(trace, {"norm": ["raw", "centred"], "position": ["last", "all"]})
    tokens = ["position all", "position all, first_token with"]
    assert axes_of(found) == [*tokens, "norm centred", *(f"norm centred, {name}" for name in tokens)]
    assert "first token" not in found.details
    assert axes_of(judged(trace)) == []


def test_a_verdict_that_the_first_block_turns_says_so() -> None:
    by_layer = np.tile([5.0, 1.1, 1.1, 1.1], (TOKENS, 1))
    found = judged(trace_of(by_layer), of="layer_gain", layer="mean", predicts="> 1.5")
    assert (found.verdict, found.details["first block"]) == (Verdict.SUPPORTED, "counted")
    without = found.variations["first_block without"]
    assert (without.verdict, without.estimate and round(without.estimate.value, 1)) == (Verdict.REFUTED, 1.1)
    assert "fragile" in found.labels
    turned = judged(trace_of(by_layer), of="layer_gain", layer="mean", first_block="without", predicts="> 1.5")
    assert (turned.verdict, turned.details["first block"]) == (Verdict.REFUTED, "left out")
    assert turned.variations["first_block with"].verdict is Verdict.SUPPORTED
    assert turned.details["layers"].startswith("0 of 3 lie inside, 3 outside")


def test_without_the_first_of_one_block_there_is_nothing_to_average() -> None:
    found = judged(trace_of(gains(2, 2, layers=1)), of="layer_gain", layer="mean")
    assert found.variations["first_block without"].verdict is Verdict.NOT_MEASURED


def test_an_intervention_on_every_token_is_tried_with_the_first_spared() -> None:
    changed = a_test(of="next_token_loss", under="never-shorten", against="plain", predicts="> 0.01")
    (spared,) = other_first_tokens(changed)
    assert passes_of(spared, "p") == (Pass("loss", "p", "never-shorten", spare="first"), Pass("loss", "p"))
    assert Pass("loss", "p", "never-shorten", spare="first").facts["spare"] == "first"
    assert passes_of(changed, "p") == (Pass("loss", "p", "never-shorten"), Pass("loss", "p"))
    for one_token in (a_test(), a_test(under="soften-attention"), a_test(of="next_token_loss", under="shuffle-tokens")):
        assert other_first_tokens(one_token) == ()
    both = other_first_tokens(a_test(under="ablate-mlp", position="all"))  # its own: left out, but changed
    assert [form.first_token for form in both] == ["with", "without"]
    assert [form.first_token for form in other_first_tokens(a_test(of="effective_rank", layer="last"))] == ["with"]
    assert [form.first_token for form in other_first_tokens(a_test(of="write_reach"))] == ["without"]


# Layers that disagree


def test_a_mean_that_hides_its_opposite_is_labelled() -> None:
    by_layer = np.tile([0.73, 1.74, 0.8, 0.82], (TOKENS, 1))  # mean 1.02
    found = judged(trace_of(by_layer), of="layer_gain", layer="mean", predicts="within [0.9, 1.1]")
    assert found.verdict is Verdict.SUPPORTED
    assert found.details["layers"].startswith("0 of 4 lie inside, 4 outside")
    assert LAYERS_DISAGREE not in found.labels, "all layers lie outside: none says what the mean does"
    above = judged(trace_of(by_layer), of="layer_gain", layer="mean", predicts="> 1")
    assert above.verdict is Verdict.SUPPORTED
    assert LAYERS_DISAGREE in above.labels
    assert "1 of 4 lie inside, 3 outside" in above.details["layers"]
    assert "from 0.7" in above.details["layers"]
    assert "(layer 1) to 1.7" in above.details["layers"]


def test_layers_that_agree_are_not_labelled_nor_is_a_layer_by_itself() -> None:
    same = np.tile([1.2, 1.3, 1.4], (TOKENS, 1))
    assert LAYERS_DISAGREE not in judged(trace_of(same), of="layer_gain", layer="mean").labels
    apart = np.tile([0.5, 1.3, 1.4], (TOKENS, 1))
    assert LAYERS_DISAGREE in judged(trace_of(apart), of="layer_gain", layer="mean").labels
    assert LAYERS_DISAGREE not in judged(trace_of(apart), of="layer_gain", layer="last").labels


@pytest.mark.parametrize("shared", [0.0, 0.9], ids=["independent layers", "layers that share their prompts"])
@pytest.mark.parametrize("predicts", ["> 1", "within [0, 1]"])
def test_layers_on_one_side_are_said_to_disagree_no_more_often_than_alpha(shared: float, predicts: str) -> None:
    runs, alpha, layers = 600, 0.05, 12
    rng = np.random.default_rng(0)
    truth = np.where(np.arange(layers) < 11, 1.0, 3.0 if predicts == "> 1" else 0.5)  # the worst: but one on the end
    test = a_test(of="layer_gain", layer="mean", predicts=predicts)
    labelled = 0
    for _ in range(runs):
        noise = shared * rng.normal(size=(25, 1)) + (1 - shared**2) ** 0.5 * rng.normal(size=(25, layers))
        sample = Sample("layer_gain", truth + 0.1 * noise, "prompt")
        labelled += layer_by_layer(test, (sample,)).disagree(alpha)
    assert labelled / runs <= alpha + 3 * (alpha * (1 - alpha) / runs) ** 0.5


def test_layers_that_truly_disagree_are_found() -> None:
    rng = np.random.default_rng(0)
    truth = np.array([0.9, 1.1] * 15)
    test = a_test(of="layer_gain", layer="mean")
    values = truth + 0.1 * rng.normal(size=(100, 25, 30))
    found = [layer_by_layer(test, (Sample("layer_gain", one, "prompt"),)).disagree(0.05) for one in values]
    assert np.mean(found) > 0.95


def test_a_layer_without_spread_proves_nothing() -> None:
    values = np.ones((5, 3)) * [0.5, 2.0, 3.0]
    found = layer_by_layer(a_test(of="layer_gain", layer="mean"), (Sample("layer_gain", values, "prompt"),))
    assert not found.disagree(0.05)


# The gauge


@pytest.mark.parametrize(
    ("model", "test", "gauges"),
    [
        ("smollm2", {"of": "last_gain"}, []),
        ("smollm2", {"of": "attention_gain", "layer": "last"}, ["module-norm"]),
        ("smollm2", {"of": "attention_growth", "layer": "last"}, []),
        ("gptj", {"of": "last_gain"}, ["stream-mean"]),
        ("gptj", {"of": "last_gain", "norm": "centred"}, []),
        ("gptj", {"of": "mlp_gain", "layer": "last"}, ["module-norm", "stream-mean"]),
        ("gptj", {"of": "mlp_gain", "layer": "last", "norm": "centred"}, ["module-norm"]),
        ("gptj", {"of": "output_entropy"}, []),
    ],
)
def test_every_verdict_says_its_gauge_and_is_shown_with_it_fixed(model: str, test: Any, gauges: list[str]) -> None:
    found = judged(trace_of(gains(1.3, 1.2), model), **test)
    assert found.verdict.looked
    assert [label for label in found.labels if label.startswith("gauge:")] == [f"gauge: {name}" for name in gauges]
    forms = {"module-norm": ["scale folded"], "stream-mean": ["norm centred"]}
    expected = [form for gauge in reversed(gauges) for form in forms[gauge]]
    both = ["norm centred, scale folded"] if len(gauges) == 2 else []
    assert axes_of(found) == [*expected, *both]
    assert all(one.verdict.looked for one in found.variations.values())


def test_a_gauge_form_that_is_declared_already_is_shown_once() -> None:
    found = judged(trace_of(gains(1.3, 1.2), "gptj"), {"norm": ["raw", "centred"]})
    assert axes_of(found) == ["norm centred"]


# Claims that declare no multiverse: on drawn weights, and on several models at once


def source_of(by_layer: np.ndarray) -> Any:
    """Return a source in which every seed and model has a trace of its own, of blocks with these gains."""

    def samples(
        test: MeasuredTest, prompts: str, subject: Subject, bos: str = "default", *, folded: bool = False
    ) -> tuple[Sample, ...]:
        trace = trace_of(by_layer, subject.model, seed=subject.seed or len(subject.model))
        norm = InputNorm(centring=True, eps=1e-5, wiring="parallel") if folded else None
        return tuple(one for name in test.of for one in samples_of(test, name, trace, norm))

    class Selection(dict[str, Any]):
        registry = load_registry()

        def subject(self, name: str, *, seed: int | None = None, dtype: str | None = None) -> Subject:
            return Subject(name, seed=seed)

    return SimpleNamespace(table=None, samples=samples, selection=Selection({row.name: row for row in load_registry()}))


def of_many(judge: Any, kind: type[MeasuredClaim], models: tuple[str, ...], more: dict[str, Any]) -> Judgement:
    written = {"id": "a-claim", "statement": "made up", "models": list(models), **more}
    return judge(kind.model_validate(written), models, source_of(np.tile([5.0, 0.9, 1.1, 1.1], (TOKENS, 1))))


MEAN_GAIN = {"statistic": "mean", "of": "layer_gain", "layer": "mean", "predicts": "> 1.5"}


def test_drawn_weights_are_tried_without_the_first_block_and_layer_by_layer() -> None:
    more = {"evidence": "initialization", "seeds": [*range(8)], "test": MEAN_GAIN}
    found = of_many(judge_initialization, InitializationClaim, ("gptj",), more)
    assert found.verdict is Verdict.SUPPORTED
    assert {name: one.verdict.value for name, one in found.variations.items()} == {
        "first_block without": "REFUTED",
        "norm centred": "SUPPORTED",
    }
    assert set(found.labels) >= {"gauge: stream-mean", "fragile", LAYERS_DISAGREE}
    assert "gauge-dependent" not in found.labels
    assert found.details["layers"].startswith("1 of 4 lie inside, 3 outside")


def test_pooled_models_are_tried_without_the_first_block_and_with_the_gauge_fixed() -> None:
    more = {"evidence": "measured", "for": "pooled", "test": {**MEAN_GAIN, "of": "mlp_gain", "predicts": "> 0"}}
    found = of_many(
        judge_measured, MeasuredClaim, ("gptj", "pythia-70m", "gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl"), more
    )
    assert found.verdict is Verdict.SUPPORTED
    names = ["first_block without", "norm centred", "scale folded", "norm centred, scale folded"]
    assert [*found.variations] == names
    assert all(one.verdict is Verdict.SUPPORTED for one in found.variations.values())
    assert {"gauge: module-norm", "gauge: stream-mean"} <= set(found.labels)
    assert found.details["first block"] == "counted"
