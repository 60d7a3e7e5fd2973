"""Judges from which step of training on something holds of a model: ``boundary`` over the steps of its checkpoints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from refutable.claims import MeasuredClaim
from refutable.errors import NotMeasured
from refutable.evidence.checkpoints import aligned, in_order, present
from refutable.evidence.sample_source import SampleSource
from refutable.evidence.specification import Specification, fit_of, model_samples
from refutable.models.revision_names import split_name
from refutable.statistics import STATISTICS, Fit
from refutable.statistics.first_step import FirstStepFit
from refutable.statistics.over import Over, statistic_over
from refutable.statistics.sample import CENSUS, Sample
from refutable.verdicts.judge import Judgement, judge, p_values

DEFAULT_OVER: Over = "categories_like_these"
SHOWN = 24  # checkpoints whose means are told one by one


def judge_first_step(specification: Specification, claim: MeasuredClaim, model: str, source: SampleSource) -> Judgement:
    """Judge the first step from which on the mean over prompts lies in `holds`, at that checkpoint and every later one.

    Held against one of the checkpoints, that one differs from itself by nothing, on every prompt.

    Raises:
        NotMeasured: a checkpoint cannot be read, or is one recorded value without replicates.
        Undecidable: there are fewer than two, or a mean has no bounds.
    """
    test, registry = specification.test, source.selection.registry
    assert test.first_step is not None
    names, steps = in_order(present(specification.points(model), source), test.first_step, registry)
    own = test.other.revision if test.other is not None else None
    of_one = replace(specification, test=test.model_copy(update={"fact": None, "statistic": "mean"}))
    there = {name: model_samples(of_one, name, source)[0] for name in names if split_name(name)[1] != own}
    first = next(iter(there.values()))
    itself = replace(first, values=np.zeros_like(first.values))
    samples = aligned([there.get(name, itself) for name in names])
    if first.unit == CENSUS:
        raise NotMeasured("one recorded value of each checkpoint has no replicates, and so no error rate")
    fits = [None if name not in there else _fit(of_one, sample) for name, sample in zip(names, samples, strict=True)]
    p = np.array([(0.0, 1.0) if fit is None else p_values(fit, test.holds_region) for fit in fits])
    if own is not None and 0.0 not in test.holds_region:
        p[[fit is None for fit in fits]] = (1.0, 0.0)
    means = np.array([0.0 if fit is None else fit.value for fit in fits])
    n = next(fit.n for fit in fits if fit is not None)
    unit = next(fit.unit for fit in fits if fit is not None)
    fitted = FirstStepFit(steps, test.holds_region.contains(means), p[:, 0], p[:, 1], n, unit)
    boundary = replace(STATISTICS["boundary"], powerless="it depends on what holds at each checkpoint")
    judged = judge(fitted, test.region, claim.alpha, boundary, (*test.of, test.first_step))
    told = [f"{split_name(name)[1]} {mean:.4g}" for name, mean in zip(names, means, strict=True)]
    shown = ", ".join(told) if len(told) <= SHOWN else f"{', '.join(told[:8])} ... {', '.join(told[-4:])}"
    return replace(judged, details={**judged.details, "means": shown})


def _fit(specification: Specification, sample: Sample) -> Fit:
    test = specification.test
    name = "mean"
    if any(sample.clusters):
        name = statistic_over("mean", test.over or DEFAULT_OVER) or name
    return fit_of(test.model_copy(update={"statistic": name, "holds": None}), (sample,))
