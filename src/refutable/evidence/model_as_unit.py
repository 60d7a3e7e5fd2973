"""Claims whose unit of replication is the model, not the prompt: pooled values, metrics against a fact, models passing.

There is one value per model, its mean over prompts (over seeds and prompts for freshly drawn weights), unless the
statistic itself takes one sample per model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from refutable.claims import MeasuredClaim
from refutable.errors import NotMeasured, Undecidable
from refutable.evidence.census import is_census, judge_counted_models
from refutable.evidence.facts import labels_of_facts
from refutable.evidence.sample_source import SampleSource
from refutable.evidence.specification import (
    Measured,
    Specification,
    judge_samples,
    lacking_text,
    measure_each,
    model_samples,
)
from refutable.statistics import STATISTICS
from refutable.statistics.sample import Sample
from refutable.verdicts.falsifiability.reachable import feasibility
from refutable.verdicts.judge import Judgement
from refutable.verdicts.verdict import Verdict

Samples = tuple[Sample, ...]


def judge_pooled(
    claim: MeasuredClaim,
    models: tuple[str, ...],
    read: Callable[[str], Samples],
    judge: Callable[[Samples], Judgement],
) -> Judgement:
    """Judge one statistic over the models that were measured; the details give their values and name the others.

    Raises:
        NotMeasured: no model was measured.
    """
    measured = _measured(models, read, "pytest --model NAME, two at least")
    found = measured.samples
    if STATISTICS[claim.test.statistic].takes.pools:
        samples = tuple(of[0] for of in found.values())
    else:
        variables = zip(*found.values(), strict=True)
        samples = tuple(
            Sample(of[0].of, np.array([float(sample.values.mean()) for sample in of]), "model", tuple(found))
            for of in variables
        )
    judged = _judged(claim, samples, judge)
    values = {name: ", ".join(f"{sample.values.mean():.4g}" for sample in of) for name, of in found.items()}
    why = f"{judged.why}; one value a model; {lacking_text(measured.lacking)} ({len(found)} of {len(models)} models)"
    return replace(judged, why=why, details={**values, "lacking": ", ".join(measured.lacking) or "none"})


def judge_over_models(
    claim: MeasuredClaim, models: tuple[str, ...], source: SampleSource, specification: Specification
) -> Judgement:
    """Judge metrics against a fact, or the number of models that pass; the details name models not measured.

    Raises:
        NotMeasured: no model was measured.
    """
    test, registry = claim.test, source.selection.registry
    facts: dict[str, float] = {}

    def read(model: str) -> Samples:
        if test.fact is not None:
            facts[model] = float(registry[model].fact(test.fact))  # the registry may not know it for every model
        return model_samples(specification, model, source)

    measured = _measured(models, read, "pytest --model NAME")
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
        if is_census([sample for sample in samples if sample.n]):
            recorded = judge_counted_models(test, samples)
            why = f"{recorded.why}; {lacking_text(measured.lacking)}"
            details = {**members, "lacking": ", ".join(measured.lacking) or "none"}
            return replace(recorded, details=details, why=why)
    else:  # one sample per variable: the metrics, then the fact
        assert test.fact is not None
        families = tuple(registry[model].family for model in means)
        columns = [*zip(*means.values(), strict=True), [facts[model] for model in means]]
        variables = zip((*test.of, test.fact), columns, strict=True)
        samples = tuple(Sample(name, np.array(column), "model", families) for name, column in variables)
    judged = _judged(claim, samples, lambda samples: judge_samples(test, samples, claim.alpha))
    details = {**judged.details, **members, "lacking": ", ".join(measured.lacking) or "none"}
    judged = replace(judged, details=details, why=f"{judged.why}; {lacking_text(measured.lacking)}")
    n = len(models) if counted else len(means)
    of_facts = labels_of_facts(test.fact, tuple(means), source) if test.fact is not None else ()
    return judged.labelled(*feasibility(STATISTICS[test.statistic], test.region, claim.alpha, n), *of_facts)


def _measured(models: tuple[str, ...], read: Callable[[str], Samples], fix: str) -> Measured:
    measured = measure_each(models, read)
    if not measured.samples:
        reason = next(iter(measured.lacking.values()))
        raise NotMeasured(f"none of {len(models)} models was measured ({reason})", fix)
    return measured


def _judged(claim: MeasuredClaim, samples: Samples, judge: Callable[[Samples], Judgement]) -> Judgement:
    try:
        return judge(samples)
    except Undecidable as error:
        return Judgement(Verdict.INCONCLUSIVE, claim.test.predicts, str(error))
