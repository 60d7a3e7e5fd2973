"""Which verdicts these prompts or models can never reach, before any model is loaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from refutable._util.text import plural
from refutable.claims import InitializationClaim, MeasuredClaim, MeasuredTest
from refutable.claims.cases import Case
from refutable.errors import Undecidable
from refutable.metrics import METRICS
from refutable.models.registry import ModelRegistry
from refutable.models.selector import Selector
from refutable.prompts.prompt_set import PromptSet
from refutable.statistics import STATISTICS, Data, Statistic
from refutable.statistics.over import units_over
from refutable.statistics.sample import Sample
from refutable.verdicts.falsifiability.depth import depth_of, vocabulary_of
from refutable.verdicts.falsifiability.reachable import feasibility
from refutable.verdicts.falsifiability.vacuity import is_vacuous
from refutable.verdicts.quantifiers import Several, needed

HOPELESS = "hopeless"
MOST = 64  # no statistic here needs more units to be fitted at all


@dataclass(frozen=True, slots=True)
class Infeasible:
    """Verdicts that a claim can never reach with these units, as labels.

    Among ``vacuous: ...``, ``unsupportable: needs n``, ``unrefutable: needs n`` and ``hopeless`` (both).
    """

    units: str
    labels: tuple[str, ...]

    @property
    def hopeless(self) -> bool:
        """Whether it can neither be supported nor refuted."""
        return HOPELESS in self.labels

    def __str__(self) -> str:
        return f"with {self.units}: {', '.join(self.labels)}"


def infeasible(
    claim: MeasuredClaim,
    prompts: int,
    registry: ModelRegistry,
    selected: Callable[[str], bool] | None = None,
    *,
    categories: int = 0,
) -> Infeasible | None:
    """Return which verdicts a claim can never reach, or None if it can reach both.

    Args:
        claim: a claim that is measured, on a model's weights or on drawn ones.
        prompts: number of prompts of its set.
        selected: whether a model is in this run, for a comparison of groups; by default every known one is.
        categories: number of categories of its prompts.
    """
    test, statistic = claim.test, STATISTICS[claim.test.statistic]
    if test.first_step is not None:
        return None  # each checkpoint has a test of its own

    def size(selector: Selector) -> int:
        return sum(selected is None or selected(row.name) for row in selector.select(registry))

    if test.groups is not None:
        n = [size(selector) for selector in test.groups.values()]
        if 0 in n:
            return None  # nothing to compare, which is reported when it is tried
        units = f"groups of {' and '.join(map(str, n))} models"
    elif claim.quantifier == "pooled" or test.over_models:
        n = [size(claim.models)]
        units = these(n[0], "model")
    elif isinstance(claim, InitializationClaim):
        units, n = these(len(claim.seeds), "seed"), [len(claim.seeds)]
    else:
        n = [units_over(test.statistic, prompts, categories)]
        units = these(n[0], "prompt") if n[0] == prompts else f"these {n[0]} categories of prompts"
    rows = [row for selector in claim.selectors.values() for row in selector.select(registry)]
    rows = [row for row in rows if selected is None or selected(row.name)]
    depth, vocabulary = depth_of(rows), vocabulary_of(rows)
    try:
        labels: tuple[str, ...] = ("vacuous: any data would do",) if is_vacuous(test, depth, vocabulary) else ()
        labels += _of_the_whole(claim, statistic, registry, n)
    except Exception as error:  # a fault of one statistic must not prevent the other claims from being tried
        labels = (f"not known before it is tried ({type(error).__name__}: {error}; this is a fault of refutable)",)
    return Infeasible(units, labels) if labels else None


def _of_the_whole(
    claim: MeasuredClaim, statistic: Statistic, registry: ModelRegistry, n: Sequence[int]
) -> tuple[str, ...]:
    """Return the labels at the alpha of each verdict on one model, given how many the quantifier covers."""
    if claim.quantifier not in get_args(Several):
        return _labels(claim.test, statistic, claim.alpha, n)
    members = len(claim.models.select(registry))
    k = needed(claim.quantifier, members)
    verdicts = {"unsupportable": members - k + 1, "unrefutable": k}
    labels = tuple(
        label
        for word, shared in verdicts.items()
        for label in _labels(claim.test, statistic, claim.alpha / shared, n)
        if label.startswith(word)
    )
    return (HOPELESS, *labels) if len(labels) == len(verdicts) else labels


def count_categories(prompts: PromptSet) -> int:
    """Return how many categories prompts have; a prompt without one has none."""
    return len({category for category in prompts.categories if category})


def describe_infeasible(found: Iterable[tuple[Case, Infeasible]]) -> list[str]:
    """Return one line per claim that can never reach some verdict, with the number of its cases."""
    lines = Counter(f"{case.claim.id}: {one}" for case, one in found)
    return [line if count == 1 else f"{line} ({count} cases)" for line, count in lines.items()]


def these(number: int, unit: str) -> str:
    """Return so many units in words."""
    return f"these {number} {plural(unit)}" if number != 1 else f"this one {unit}"


def _labels(test: MeasuredTest, statistic: Statistic, alpha: float, n: Sequence[int]) -> tuple[str, ...]:
    if not _fits(test, statistic, n):
        least = next((k for k in range(1, MOST) if _fits(test, statistic, [k] * len(n))), None)
        if least is None:
            return ()  # it needs more than numbers, and nothing can be said here
        needs = f"needs {least}{' in each group' if len(n) > 1 else ''}"
        return (HOPELESS, f"unsupportable: {needs}", f"unrefutable: {needs}")
    labels = feasibility(statistic, test.region, alpha, n[0]) if len(n) == 1 else ()
    if _impossible(test) and not any(label.startswith("unsupportable") for label in labels):
        return (*labels, "unsupportable: no n would do")
    return labels


def _impossible(test: MeasuredTest) -> bool:
    """Whether a prediction lies outside the statistic's range."""
    statistic = STATISTICS[test.statistic]
    if test.groups or test.categories or test.against or test.trajectory or statistic.takes.over_models:
        return False  # a difference, what is taken along checkpoints, or a number of models
    if test.layer == "trend":
        return False  # a slope
    if test.holds is not None and statistic.range is None:
        return test.region.misses(0.0, 1.0)
    return test.region.misses(*(statistic.range or METRICS[test.of[0]].range))


def _fits(test: MeasuredTest, statistic: Statistic, n: Sequence[int]) -> bool:
    """Whether the statistic can be fitted to n units at all, tried on random numbers."""
    if not statistic.takes.only_numbers:
        return min(n) >= statistic.least
    rng = np.random.default_rng(0)
    shape = (8,) if statistic.takes.reads_layers(counting=test.holds is not None) else ()
    of = (*test.of, test.fact) if test.fact is not None else test.of * 2 if statistic.takes.parts else test.of
    middle = test.holds_region.threshold if test.holds is not None else 0.5  # so that it holds for some but not all
    low, high = (0.2 * middle, 1.8 * middle) if middle > 0 else (middle - 0.4, middle + 0.4)
    samples = [
        Sample(name, rng.uniform(low, high, (units, *shape)), "unit", tuple(str(k % 5) for k in range(units)))
        for units in n
        for name in (of if len(n) == 1 else of[:1])
    ]
    try:
        statistic.fit(Data(tuple(samples), test.holds_region if test.holds else None, test.holds_above))
    except Undecidable:
        return False
    return True
