"""Claims on the pooled values of several models: one value a model, and the models it lacks named."""

from __future__ import annotations

import numpy as np
import pytest

from refutable._util.strict_yaml import parse_yaml
from refutable.claims.file import claims_from
from refutable.errors import NotMeasured
from refutable.evidence.model_as_unit import judge_pooled
from refutable.statistics import STATISTICS, Data
from refutable.statistics.sample import Sample
from refutable.verdicts.judge import judge
from refutable.verdicts.verdict import Verdict

CLAIM = """\
schema: 1
claims:
  - {id: a, statement: s, evidence: measured, for: pooled,
     test: {statistic: %s, of: %s, predicts: "%s"}}
"""


def claim_of(statistic="mean", of="last_gain", predicts="< 1"):
    (claim,) = claims_from(parse_yaml(CLAIM % (statistic, of, predicts), "c.yaml"))
    return claim


def pooled(values, claim=None):
    """Judge models whose values are given, a list of arrays a model; None is a model that was not measured."""
    claim = claim or claim_of()

    def read(model):
        if values[model] is None:
            raise NotMeasured(f"{model} was not selected")
        return tuple(
            Sample(of, np.asarray(v, float), "prompt") for of, v in zip(claim.test.of, values[model], strict=True)
        )

    def decide(samples):
        statistic = STATISTICS[claim.test.statistic]
        return judge(statistic.fit(Data(samples)), claim.test.region, claim.alpha, statistic, claim.test.of)

    return judge_pooled(claim, tuple(values), read, decide)


def test_the_model_is_the_unit_and_its_mean_over_prompts_the_value():
    few = {"a": [[0.7, 0.9]], "b": [[0.6, 0.8]], "c": [[0.5, 0.6, 0.7]]}
    judged = pooled({**few, "d": [[0.75]], "e": [[0.65]]})
    estimate = judged.estimate
    assert (estimate.n, estimate.unit) == (5, "model")
    assert estimate.value == pytest.approx((0.8 + 0.7 + 0.6 + 0.75 + 0.65) / 5)  # each model once, whatever its prompts
    assert judged.verdict is Verdict.SUPPORTED
    assert judged.details == {"a": "0.8", "b": "0.7", "c": "0.6", "d": "0.75", "e": "0.65", "lacking": "none"}
    assert pooled(few).verdict is Verdict.INCONCLUSIVE  # three models that agree: one sample in eight


def test_more_prompts_make_no_more_models():
    few, many = (
        {m: [rng.normal(v, 0.01, n)] for m, v in (("a", 0.7), ("b", 1.2))}
        for n, rng in ((5, np.random.default_rng(0)), (5000, np.random.default_rng(0)))
    )
    assert [pooled(values).verdict for values in (few, many)] == [Verdict.INCONCLUSIVE] * 2


def test_models_that_were_not_measured_are_named():
    judged = pooled({"a": [[0.7, 0.9]], "b": None, "c": [[0.5, 0.6]], "d": None})
    assert judged.details["lacking"] == "b, d"
    assert judged.why.endswith("one value a model; not measured: b, d (2 of 4 models)")


def test_one_model_has_no_spread_and_none_is_not_measured():
    alone = pooled({"a": [[0.7, 0.9]], "b": None})
    assert alone.verdict is Verdict.INCONCLUSIVE
    assert "at least 2 models" in alone.why
    assert "not measured: b" in alone.why
    with pytest.raises(NotMeasured, match="none of 2 models was measured"):
        pooled({"a": None, "b": None})


def test_a_correlation_is_over_models_not_over_prompts():
    """Within each model the two metrics fall together, between models they rise together: the models decide."""
    rng = np.random.default_rng(3)
    values = {}
    for i in range(12):
        x = rng.normal(size=30)
        values[f"m{i}"] = [i + x, i - x + 0.01 * rng.normal(size=30)]
    judged = pooled(values, claim_of("pearson", "[last_gain, output_entropy]", "> 0.5"))
    assert (judged.verdict, judged.estimate.n, judged.estimate.unit) == (Verdict.SUPPORTED, 12, "model")


def test_random_effects_takes_one_sample_a_model():
    rng = np.random.default_rng(4)
    values = {f"m{i}": [rng.normal(0.8 + 0.02 * i, 0.1, 10 + 40 * i)] for i in range(5)}
    judged = pooled(values, claim_of("random_effects"))
    assert (judged.verdict, judged.estimate.n, judged.estimate.unit) == (Verdict.SUPPORTED, 5, "model")
    assert set(judged.details) == {"m0", "m1", "m2", "m3", "m4", "lacking"}
