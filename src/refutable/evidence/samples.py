"""Samples held against a claim's test: the fit, the verdict, and what can be seen of the fit's assumptions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from refutable.bench import Bench
from refutable.claims import MeasuredTest
from refutable.errors import UnknownName
from refutable.sample import Sample
from refutable.statistics import STATISTICS, Data
from refutable.statistics.checks import check
from refutable.subject import Subject
from refutable.verdict import Judgement, judge


def subject_of(model: str, bench: Bench) -> Subject:
    """Return how a model is tried in this run; a table of published numbers needs no weights."""
    return Subject(model) if bench.table is not None else bench.selection.subject(model)


def judge_samples(test: MeasuredTest, samples: tuple[Sample, ...], alpha: float) -> Judgement:
    """Judge a test on its samples, one for each variable, group or model.

    Raises:
        Undecidable: the statistic cannot be fitted to them.
        UnknownName: the test names a category that no prompt has.
    """
    statistic = STATISTICS[test.statistic]
    if test.categories is not None:
        samples = by_categories(samples[0], test.categories)
    data = Data(samples, test.holds_region if test.holds else None)
    of = (*test.of, test.fact) if test.fact is not None else test.of
    judged = judge(statistic.fit(data), test.region, alpha, statistic, of)
    seen = check(statistic, data)
    return replace(judged, details={**judged.details, **seen.details}).labelled(*seen.labels)


def by_categories(sample: Sample, groups: Mapping[str, tuple[str, ...]]) -> tuple[Sample, ...]:
    """Return the part of a sample that each group of categories has.

    Raises:
        UnknownName: a category that no prompt has.
    """
    labels = np.array(sample.clusters)
    for name in (name for names in groups.values() for name in names):
        if name not in sample.clusters:
            raise UnknownName("category of prompts", name, set(sample.clusters))
    parts = (np.isin(labels, names) for names in groups.values())
    return tuple(replace(sample, values=sample.values[part], clusters=tuple(labels[part].tolist())) for part in parts)
