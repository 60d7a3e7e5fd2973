"""One specification of a claim: its own test on its own subject, or a changed one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from refutable._util.text import few
from refutable.claims import MeasuredClaim, MeasuredTest
from refutable.errors import NotMeasured, RefutableError, Undecidable
from refutable.evidence.sample_source import SampleSource
from refutable.models.subject import Subject
from refutable.statistics import STATISTICS, Data, Fit, Statistic
from refutable.statistics.checks import Checks, check
from refutable.statistics.sample import Sample
from refutable.traces.passes import Bos
from refutable.verdicts.judge import Judgement, decide, judge, undecided
from refutable.verdicts.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Specification:
    """How a claim is looked at.

    Attributes:
        test: what is computed and predicted.
        prompts: name of the prompt set.
        alpha: error probability each way.
        dtype: another than the run's.
        bos: whether prompts begin with the beginning-of-sequence token.
        seed: of freshly drawn weights that stand in for the subject's own.
    """

    test: MeasuredTest
    prompts: str
    alpha: float
    dtype: str | None = None
    bos: Bos = "default"
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Groups:
    """Two groups of models as they were measured.

    Attributes:
        samples: of each group, one value a model.
        members: each model's value, by group and name, as text.
        lacking: the models that were not measured, and why.
    """

    samples: tuple[Sample, ...]
    members: dict[str, str] = field(default_factory=dict)
    lacking: dict[str, str] = field(default_factory=dict)


def own_specification(claim: MeasuredClaim, alpha: float) -> Specification:
    """Return the look that decides a claim."""
    return Specification(claim.test, claim.prompts, alpha)


def subject_of(model: str, source: SampleSource, specification: Specification) -> Subject:
    """Return how a model is to be tried under a specification; raises NotMeasured where this run may not measure it."""
    if source.table is not None and specification.seed is None:
        return Subject(model)
    subject = source.selection.subject(model, seed=specification.seed)
    return subject if specification.dtype is None else replace(subject, dtype=specification.dtype)


def model_samples(specification: Specification, model: str, source: SampleSource) -> tuple[Sample, ...]:
    """Return a model's samples under a specification; errors as `SampleSource.samples`."""
    return source.samples(
        specification.test, specification.prompts, subject_of(model, source, specification), specification.bos
    )


def group_samples(specification: Specification, source: SampleSource) -> Groups:
    """Return one value a model of two groups, its mean over prompts, and the models that lack one.

    Raises:
        NotMeasured: a group has no model that was measured.
        RefutableError: anything else that stands in the way.
    """
    assert specification.test.groups is not None
    found = Groups(())
    samples = []
    for name, selector in specification.test.groups.items():
        values, families = [], []
        for row in selector.select(source.selection.registry):
            try:
                (sample,) = model_samples(specification, row.name, source)
                values.append(float(sample.values.mean()))
                families.append(row.family)
                found.members[f"{name}: {row.name}"] = f"{values[-1]:.4g}"
            except NotMeasured as error:
                found.lacking[row.name] = error.reason
        samples.append(Sample(specification.test.of[0], np.array(values), "model", tuple(families)))
    empty = [name for name, sample in zip(specification.test.groups, samples, strict=True) if sample.n == 0]
    if empty:
        reason = f"no model of {' and of '.join(map(repr, empty))} was selected: there is nothing to compare"
        raise NotMeasured(reason, "pytest --model NAME, two models of each group at least")
    return replace(found, samples=tuple(samples))


def samples_under(specification: Specification, model: str | None, source: SampleSource) -> tuple[Sample, ...]:
    """Return the samples of a model, or of two groups of models if none is named."""
    return (
        group_samples(specification, source).samples if model is None else model_samples(specification, model, source)
    )


def judge_samples(test: MeasuredTest, samples: tuple[Sample, ...], alpha: float) -> Judgement:
    """Judge a test on its samples, one for each variable, group or model, and say what is seen of its assumptions.

    Raises:
        Undecidable: the statistic cannot be fitted to them.
        NotMeasured: the test names a category that no prompt has, or is of categories where there are none.
    """
    statistic = STATISTICS[test.statistic]
    if statistic.takes.by_category and samples[0].unit == "prompt" and not any(samples[0].clusters):
        raise NotMeasured(f"these prompts have no categories, and {test.statistic} is of theirs")
    fitted = _fitted(test, samples)
    of = (*test.of, test.fact) if test.fact is not None else test.of
    judged = judge(fitted.fit, test.region, alpha, statistic, of)
    seen = fitted.checked(statistic)
    return replace(judged, details={**judged.details, **seen.details}).labelled(*seen.labels)


def said_of_pairs(judged: Judgement, test: MeasuredTest, model: str) -> Judgement:
    """Return a judgement that says with which value each prompt's is paired, where it is a difference of two."""
    return judged if test.other is None else replace(judged, why=f"{judged.why}; {test.other.describe(model)}")


def verdict_of(test: MeasuredTest, samples: tuple[Sample, ...], alpha: float) -> Verdict:
    """Return only the verdict of a test on its samples; errors as `judge_samples`."""
    return decide(_fitted(test, samples).fit, test.region, alpha)


@dataclass(slots=True)
class _Fitted:
    """A statistic fitted to samples: the same for all claims that differ in nothing but what they predict.

    Attributes:
        data: what it was fitted to.
        fit: the fit.
        checks: what is seen of its assumptions, once somebody has looked.
    """

    data: Data
    fit: Fit
    checks: Checks | None = None

    def checked(self, statistic: Statistic) -> Checks:
        """Return what is seen of the assumptions."""
        if self.checks is None:
            self.checks = check(statistic, self.data)
        return self.checks


def _fitted(test: MeasuredTest, samples: tuple[Sample, ...]) -> _Fitted:
    statistic = STATISTICS[test.statistic]

    def fit() -> tuple[_Fitted, tuple[Sample, ...]]:
        of = by_categories(samples[0], test.categories) if test.categories is not None else samples
        data = Data(of, test.holds_region if test.holds else None, test.holds_above)
        fitted = statistic.fit(data)
        if not math.isfinite(fitted.value):
            raise Undecidable(
                f"{test.statistic} of {' and '.join(test.of)} is {fitted.value}: the values are too large"
            )
        return _Fitted(data, fitted), samples  # which are kept, so that their ids stay theirs

    if test.categories is not None:
        return fit()[0]
    return samples[0].once((test.statistic, test.holds, test.holds_above, *map(id, samples[1:])), fit)[0]


def by_categories(sample: Sample, groups: Mapping[str, tuple[str, ...]]) -> tuple[Sample, ...]:
    """Return the part of a sample that each group of categories has.

    Raises:
        NotMeasured: a category that no prompt has.
    """
    labels = np.array(sample.clusters)
    for name in (name for names in groups.values() for name in names):
        if name not in sample.clusters:
            there = few(sorted(filter(None, set(sample.clusters)))) or "none"
            raise NotMeasured(f"no prompt is of category {name!r}; these are of {there}")
    parts = (np.isin(labels, names) for names in groups.values())
    return tuple(
        replace(sample, values=sample.values[part], clusters=tuple(labels[part].tolist()), prompts=()) for part in parts
    )


def attempt(predicts: str, look: Callable[[], Judgement]) -> Judgement:
    """Return a judgement, or the verdict of the error that prevented it."""
    try:
        return look()
    except RefutableError as error:
        return undecided(error, predicts)


def judge_specification(specification: Specification, model: str | None, source: SampleSource) -> Judgement:
    """Judge a model, or two groups if none is named. Always returns a judgement."""
    return attempt(
        specification.test.predicts,
        lambda: judge_samples(specification.test, samples_under(specification, model, source), specification.alpha),
    )


def lacking_text(groups: Groups) -> str:
    """Return which models of two groups were not measured, in a few words."""
    return f"not measured: {few(list(groups.lacking)) or 'none'}"
