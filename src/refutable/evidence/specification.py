"""One specification of a claim: its own test on its own subject, or a variation of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from refutable._util.text import few
from refutable.claims import MeasuredClaim, MeasuredTest
from refutable.errors import NotMeasured, RefutableError, Undecidable
from refutable.evidence.checkpoints import along_checkpoints, present
from refutable.evidence.sample_source import SampleSource
from refutable.models.revision_names import model_of
from refutable.models.subject import Subject
from refutable.statistics import STATISTICS, Data, Fit, Statistic
from refutable.statistics.check_assumptions import UNCALIBRATED, Checks, check
from refutable.statistics.sample import Sample
from refutable.traces.passes import WITH, Bos
from refutable.verdicts.judge import Judgement, judge, undecided


@dataclass(frozen=True, slots=True)
class Specification:
    """How a claim is tried.

    Attributes:
        test: what is computed and predicted.
        prompts: name of the prompt set.
        alpha: error probability each way.
        dtype: a dtype other than the run's.
        bos: whether prompts begin with the beginning-of-sequence token.
        chat_template: with or without the chat template, where that is not as in the run.
        seed: of freshly drawn weights that replace the subject's own.
        folded: whether norms of what modules read are taken before the norm's learned scale.
        models: those of its case, each with its revision if it is at one; of a trajectory, all revisions of all models.
    """

    test: MeasuredTest
    prompts: str
    alpha: float
    dtype: str | None = None
    bos: Bos = "default"
    chat_template: str | None = None
    seed: int | None = None
    folded: bool = False
    models: tuple[str, ...] = ()

    def points(self, model: str) -> tuple[str, ...]:
        """Return the checkpoints of a model that a trajectory is over; other tests are of the model itself."""
        if not self.test.trajectory:
            return (model,)
        return tuple(one for one in self.models if model_of(one) == model)

    def named(self, model: str) -> str:
        """Return a model's name with the revision that its case is at, if any."""
        return next((one for one in self.models if model_of(one) == model), model)


@dataclass(frozen=True, slots=True)
class Measured:
    """The samples of the models that were measured, and why the others were not, by name."""

    samples: dict[str, tuple[Sample, ...]]
    lacking: dict[str, str]


@dataclass(frozen=True, slots=True)
class Groups:
    """Two groups of models as they were measured."""

    samples: tuple[Sample, ...]  # one per group, with one value per model
    members: dict[str, str]  # each model's value as text, by group and name
    lacking: dict[str, str]  # why models were not measured, by name


def own_specification(claim: MeasuredClaim, models: tuple[str, ...] = ()) -> Specification:
    """Return the specification that decides a claim on these models."""
    return Specification(claim.test, claim.prompts, claim.alpha, models=models)


def subject_of(model: str, source: SampleSource, specification: Specification) -> Subject:
    """Return a model as a specification tries it; raises NotMeasured if this run may not measure it."""
    if source.table is not None and specification.seed is None:
        return Subject(model)
    subject = source.selection.subject(model, seed=specification.seed)
    subject = subject if specification.dtype is None else replace(subject, dtype=specification.dtype)
    template = specification.chat_template
    return subject if template is None else replace(subject, chat_template=template == WITH)


def model_samples(specification: Specification, model: str, source: SampleSource) -> tuple[Sample, ...]:
    """Return a model's samples under a specification; errors as `SampleSource.samples`.

    Along checkpoints, each prompt has one number of all of them.
    """
    if specification.test.along is not None:
        return along_checkpoints(
            specification.test.along,
            {one: _samples(specification, one, source) for one in present(specification.points(model), source)},
            source.selection.registry,
        )
    return _samples(specification, model, source)


def _samples(specification: Specification, model: str, source: SampleSource) -> tuple[Sample, ...]:
    return source.samples(
        specification.test,
        specification.prompts,
        subject_of(model, source, specification),
        specification.bos,
        folded=specification.folded,
    )


def seed_samples(
    specification: Specification, seeds: Iterable[int], model: str, source: SampleSource
) -> tuple[Sample, ...]:
    """Return the samples of freshly drawn weights, one value a seed: its mean over prompts; errors as above."""
    drawn = [model_samples(replace(specification, seed=seed), model, source) for seed in seeds]
    return tuple(
        Sample(of[0].of, np.stack([sample.values.mean(axis=0) for sample in of]), "seed")
        for of in zip(*drawn, strict=True)
    )


def measure_each(models: Iterable[str], read: Callable[[str], tuple[Sample, ...]]) -> Measured:
    """Read every model that can be measured; any error other than NotMeasured is raised."""
    found = Measured({}, {})
    for model in models:
        try:
            found.samples[model] = read(model)
        except NotMeasured as error:
            found.lacking[model] = error.reason
    return found


def group_samples(specification: Specification, source: SampleSource) -> Groups:
    """Return two groups of models with one value per model, its mean over prompts.

    Raises:
        NotMeasured: no model of a group was measured.
        RefutableError: as `SampleSource.samples`.
    """
    assert specification.test.groups is not None
    found = Groups((), {}, {})
    samples = []
    for name, selector in specification.test.groups.items():
        rows = selector.select(source.selection.registry)
        families = {specification.named(row.name): row.family for row in rows}
        measured = measure_each(families, lambda model: model_samples(specification, model, source))
        values = {model: float(sample.values.mean()) for model, (sample,) in measured.samples.items()}
        found.members.update({f"{name}: {model}": f"{value:.4g}" for model, value in values.items()})
        found.lacking.update(measured.lacking)
        of_model = tuple(families[model] for model in values)
        samples.append(Sample(specification.test.of[0], np.array([*values.values()]), "model", of_model))
    empty = [name for name, sample in zip(specification.test.groups, samples, strict=True) if sample.n == 0]
    if empty:
        reason = f"no model of {' and of '.join(map(repr, empty))} was selected: there is nothing to compare"
        raise NotMeasured(reason, "pytest --model NAME, two models of each group at least")
    return replace(found, samples=tuple(samples))


def judge_samples(test: MeasuredTest, samples: tuple[Sample, ...], alpha: float) -> Judgement:
    """Judge a test on its samples, one per variable, group or model, and report on its assumptions.

    Raises:
        Undecidable: the statistic cannot be fitted to them.
        NotMeasured: the test names a category that no prompt has, or needs categories where there are none.
    """
    statistic = STATISTICS[test.statistic]
    if samples[0].unit == "prompt" and not any(samples[0].clusters):
        if test.over is not None:
            raise NotMeasured(f"these prompts have no categories, and the claim is `over: {test.over}`")
        if statistic.takes.by_category:
            raise NotMeasured(f"these prompts have no categories, and {test.statistic} is of theirs")
    fitted = _fitted(test, samples)
    of = (*test.of, test.fact) if test.fact is not None else test.of
    judged = judge(fitted.fit, test.region, alpha, statistic, of)
    seen = fitted.checked(statistic)
    small = [f"{UNCALIBRATED} alpha = {statistic.least_alpha:g}"] if alpha < statistic.least_alpha else []
    return replace(judged, details={**judged.details, **seen.details}).labelled(*small, *seen.labels)


def fit_of(test: MeasuredTest, samples: tuple[Sample, ...]) -> Fit:
    """Return just the fit of a test's statistic to its samples; errors as `judge_samples`."""
    return _fitted(test, samples).fit


def said_of_pairs(judged: Judgement, test: MeasuredTest, model: str) -> Judgement:
    """Return a judgement that, for a paired difference, says what each prompt's value is paired with."""
    return judged if test.other is None else replace(judged, why=f"{judged.why}; {test.other.describe(model)}")


@dataclass(slots=True)
class _Fitted:
    """A statistic fitted to samples, shared by all claims that differ only in what they predict."""

    data: Data
    fit: Fit
    checks: Checks | None = None  # of its assumptions, computed on first use

    def checked(self, statistic: Statistic) -> Checks:
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
        return _Fitted(data, fitted), samples  # keeping the samples keeps their ids unique

    if test.categories is not None:
        return fit()[0]
    return samples[0].once((test.statistic, test.holds, test.holds_above, *map(id, samples[1:])), fit)[0]


def by_categories(sample: Sample, groups: Mapping[str, tuple[str, ...]]) -> tuple[Sample, ...]:
    """Split a sample by groups of categories; raises NotMeasured for a category that no prompt has."""
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

    def look() -> Judgement:
        if model is None:
            samples = group_samples(specification, source).samples
        else:
            samples = model_samples(specification, model, source)
        return judge_samples(specification.test, samples, specification.alpha)

    return attempt(specification.test.predicts, look)


def lacking_text(lacking: Mapping[str, str]) -> str:
    """Return which models were not measured, in a few words."""
    return f"not measured: {few(list(lacking)) or 'none'}"
