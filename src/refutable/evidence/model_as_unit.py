"""Claims whose unit of replication is the model: a metric against a fact, or how many models pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from refutable.claims import MeasuredClaim
from refutable.errors import NotMeasured, Undecidable
from refutable.evidence.sample_source import SampleSource
from refutable.evidence.specification import (
    judge_samples,
    lacking_text,
    measure_each,
    model_samples,
    own_specification,
)
from refutable.statistics import STATISTICS
from refutable.statistics.sample import Sample
from refutable.verdicts.falsifiability.reachable import feasibility
from refutable.verdicts.judge import Judgement
from refutable.verdicts.verdict import Verdict


def judge_over_models(claim: MeasuredClaim, models: tuple[str, ...], source: SampleSource) -> Judgement:
    """Judge one claim on several models, each of them one unit; the details name those that were not measured.

    Raises:
        NotMeasured: no model was measured.
    """
    test, registry = claim.test, source.selection.registry
    facts: dict[str, float] = {}

    def read(model: str) -> tuple[Sample, ...]:
        if test.fact is not None:
            facts[model] = float(registry[model].fact(test.fact))  # the registry may not know it for every model
        return model_samples(own_specification(claim), model, source)

    measured = measure_each(models, read)
    if not measured.samples:
        first = next(iter(measured.lacking.values()))
        raise NotMeasured(f"none of {len(models)} models was measured ({first})", "pytest --model NAME")
    of_metrics = {model: samples[: len(test.of)] for model, samples in measured.samples.items()}
    means = {model: [float(sample.values.mean()) for sample in samples] for model, samples in of_metrics.items()}
    members = {}
    for model, values in means.items():
        words = [f"{of} {value:.4g}" for of, value in zip(test.of, values, strict=True)]
        members[model] = ", ".join(words if test.fact is None else [*words, f"{test.fact} {facts[model]:g}"])
    counted = STATISTICS[test.statistic].takes.over_models
    if counted:  # one sample per declared model, empty if it was not measured
        nothing = Sample(test.of[0], np.array([]), "prompt")
        samples = tuple(measured.samples[model][0] if model in means else nothing for model in models)
    else:  # one sample per variable, one value per model: the metrics' means over prompts, then the fact
        assert test.fact is not None
        families = tuple(registry[model].family for model in means)
        columns = [*zip(*means.values(), strict=True), [facts[model] for model in means]]
        variables = zip((*test.of, test.fact), columns, strict=True)
        samples = tuple(Sample(name, np.array(column), "model", families) for name, column in variables)
    try:
        judged = judge_samples(test, samples, claim.alpha)
    except Undecidable as error:
        judged = Judgement(Verdict.INCONCLUSIVE, test.predicts, str(error))
    details = {**judged.details, **members, "lacking": ", ".join(measured.lacking) or "none"}
    judged = replace(judged, details=details, why=f"{judged.why}; {lacking_text(measured.lacking)}")
    n = len(models) if counted else len(means)
    return judged.labelled(*feasibility(STATISTICS[test.statistic], test.region, claim.alpha, n))
