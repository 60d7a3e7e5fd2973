"""Claims whose unit of replication is the model: a metric against a fact, or how many models pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from refutable._util.text import few
from refutable.claims import MeasuredClaim, MeasuredTest
from refutable.errors import NotMeasured, Undecidable
from refutable.evidence.sample_source import SampleSource
from refutable.evidence.specification import judge_samples, model_samples, own_specification
from refutable.models.registry import ModelRow
from refutable.statistics import STATISTICS
from refutable.statistics.sample import Sample
from refutable.verdicts.falsifiability.reachable import feasibility
from refutable.verdicts.judge import Judgement
from refutable.verdicts.verdict import Verdict


class MeasuredModels:
    """The samples of each model that could be measured, and why the others could not."""

    def __init__(self, rows: Sequence[ModelRow], claim: MeasuredClaim, source: SampleSource) -> None:
        self.rows: list[ModelRow] = []
        self.samples: list[tuple[Sample, ...]] = []
        self.lacking: dict[str, str] = {}
        for row in rows:
            try:
                if claim.test.fact is not None:
                    row.fact(claim.test.fact)  # the registry may not state it of every model
                self.samples.append(model_samples(own_specification(claim, claim.alpha), row.name, source))
                self.rows.append(row)
            except NotMeasured as error:
                self.lacking[row.name] = error.reason

    def means(self, index: int = 0) -> list[float]:
        """Return one value a model: its mean over prompts of the metric of this index."""
        return [float(samples[index].values.mean()) for samples in self.samples]


def judge_over_models(claim: MeasuredClaim, models: tuple[str, ...], source: SampleSource) -> Judgement:
    """Judge one claim on several models, each one unit; the models that were not measured are named.

    Raises:
        NotMeasured: no model was, or none of one group.
    """
    measured = MeasuredModels([source.selection.registry[name] for name in models], claim, source)
    if not measured.rows:
        first = next(iter(measured.lacking.values()))
        raise NotMeasured(f"none of {len(models)} models was measured ({first})", "pytest --model NAME")
    counted = STATISTICS[claim.test.statistic].takes.over_models
    samples = _counted(claim.test, models, measured) if counted else _beside_fact(claim.test, measured)
    judged = _judged(claim, samples, measured.lacking, _members(claim.test, measured))
    n = len(models) if counted else len(measured.rows)
    return judged.labelled(*feasibility(STATISTICS[claim.test.statistic], claim.test.region, claim.alpha, n))


def _judged(
    claim: MeasuredClaim, samples: tuple[Sample, ...], lacking: dict[str, str], members: dict[str, str]
) -> Judgement:
    try:
        judged = judge_samples(claim.test, samples, claim.alpha)
    except Undecidable as error:
        judged = Judgement(Verdict.INCONCLUSIVE, claim.test.predicts, str(error))
    details = {**judged.details, **members, "lacking": ", ".join(lacking) or "none"}
    return replace(judged, details=details, why=f"{judged.why}; not measured: {few(list(lacking)) or 'none'}")


def _beside_fact(test: MeasuredTest, measured: MeasuredModels) -> tuple[Sample, ...]:
    """Return one sample a variable, one value a model: the metrics' means over prompts, then the fact."""
    families = _families(measured)
    metrics = [Sample(name, np.array(measured.means(i)), "model", families) for i, name in enumerate(test.of)]
    assert test.fact is not None
    facts = np.array([float(row.fact(test.fact)) for row in measured.rows])
    return (*metrics, Sample(test.fact, facts, "model", families))


def _counted(test: MeasuredTest, models: tuple[str, ...], measured: MeasuredModels) -> tuple[Sample, ...]:
    """Return one sample a declared model; an empty one for a model that was not measured."""
    found = {row.name: samples[0] for row, samples in zip(measured.rows, measured.samples, strict=True)}
    nothing = Sample(test.of[0], np.array([]), "prompt")
    return tuple(found.get(name, nothing) for name in models)


def _members(test: MeasuredTest, measured: MeasuredModels) -> dict[str, str]:
    """Return each model's values as text."""
    members = {}
    for index, row in enumerate(measured.rows):
        values = [f"{of} {measured.means(i)[index]:.4g}" for i, of in enumerate(test.of)]
        fact = [f"{test.fact} {float(row.fact(test.fact)):g}"] if test.fact is not None else []
        members[row.name] = ", ".join((*values, *fact))
    return members


def _families(measured: MeasuredModels) -> tuple[str, ...]:
    return tuple(row.family for row in measured.rows)
