"""Input shapes: everything that follows from the input of a statistic, so that a new shape is one class.

A shape knows what a claim's `test:` must and must not name, how many samples there are and what their rows are, what a
shuffle exchanges, and the range of the value whatever the data. Other rooms ask it and know no shape by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from refutable.statistics.asked import Asked, OfMetric
from refutable.statistics.region import GRAMMAR, Region
from refutable.statistics.sample import Sample

Range = tuple[float, float]
Order = NDArray[np.intp]


class Exchange(NamedTuple):
    """What one kind of shuffle exchanges: how many units, and the clusters they stay in, if any."""

    units: int
    clusters: tuple[str, ...] | None = None


class Recorded(NamedTuple):
    """Recorded numbers without replicates: their value, its least and largest, how many they are, how counted."""

    value: float
    low: float
    high: float
    n: int
    counted: str = ""


@dataclass(frozen=True, slots=True)
class Takes:
    """One value per unit and variable; the other shapes are subclasses.

    Every `check` method refuses a test by a ValueError of one sentence that names the fix.

    Attributes:
        variables: number of variables: metrics, the last of which may be a fact of the models instead.
        by_category: whether it needs the categories of one sample: it looks between them or inside them.
        counts: whether it counts where something holds: never, always, or if a claim says `holds:`.
        has_a_side: whether a claim may say on which side of a boundary something holds.
        compares: which two groups it compares: of models, or of prompts by category.
        over_models: whether it takes one sample per model, over its prompts; empty for a model that was not measured.
        pools: whether it takes one sample for each model that was measured (``for: pooled``).
        parts: whether it takes a ratio apart: its samples are then the numerator and the denominator.
        each_layer: whether it looks at every layer.
        difference: whether its value is the mean of the first variable minus that of the second.
    """

    variables: int = 1
    by_category: bool = False
    counts: ClassVar[Literal["never", "may", "always"]] = "never"
    has_a_side: ClassVar[bool] = False
    compares: ClassVar[Literal["groups", "categories"] | None] = None
    over_models: ClassVar[bool] = False
    pools: ClassVar[bool] = False
    parts: ClassVar[bool] = False
    each_layer: ClassVar[bool] = False
    difference: ClassVar[bool] = False

    # What a claim must say

    def check(self, asked: Asked, metrics: Sequence[OfMetric]) -> None:
        """Refuse a test that names too much or too little."""
        name = asked.statistic
        self._check_variables(asked)
        if self.counts == "always" and asked.holds is None:
            raise ValueError(f"statistic {name!r} counts where something holds; add `holds:` ({GRAMMAR})")
        if self.counts == "never" and asked.holds is not None:
            raise ValueError(f"statistic {name!r} does not count; remove `holds:`")
        if asked.holds_above is not None and not self.has_a_side:
            raise ValueError(f"statistic {name!r} looks for no boundary; remove `holds_above:`")
        if (self.compares == "groups") != (asked.groups is not None):
            word = "compares two groups of models; add" if self.compares == "groups" else "takes no"
            raise ValueError(f"statistic {name!r} {word} `groups:`")
        if self.parts and not metrics[0].is_ratio:
            raise ValueError(f"statistic {name!r} divides lengths; metric {asked.of[0]!r} is no ratio of two")

    def _check_variables(self, asked: Asked) -> None:
        named, fact, number = len(asked.of), asked.fact is not None, self.variables
        if named + fact == number:
            return
        of = f"statistic {asked.statistic!r} is of {('one metric', 'two variables', 'three variables')[number - 1]}"
        if number == 1 and fact:
            raise ValueError(f"{of} and takes no `fact:`; remove it, or take a statistic of two, such as 'trend'")
        if named + fact < number:
            fix = "" if fact else ", or a number of each model as `fact:`"
            raise ValueError(f"{of}; `of:` names {named}: name another metric{fix}")
        raise ValueError(f"{of}; `of:` names {named}{' and `fact:` is one more' if fact else ''}: remove what is over")

    def check_layers(self, asked: Asked, metrics: Sequence[OfMetric]) -> None:
        """Refuse a `layer:` that is missing or not wanted."""
        name = asked.statistic
        layered = [metric.name for metric in metrics if metric.per == "layer"]
        if self.reads_layers(counting=asked.holds is not None):
            if len(layered) != len(asked.of):
                raise ValueError(f"statistic {name!r} looks at layers; {asked.of[0]!r} has one value a prompt")
            if asked.layer not in (None, "each"):
                raise ValueError(f"statistic {name!r} looks at each layer; remove `layer:`")
        elif layered and asked.layer in (None, "each"):
            raise ValueError(
                f"metric {layered[0]!r} has one value a layer; say which: `layer: last`, `first`, `mean`, `trend` or a"
                " number from 1"
            )
        elif not layered and asked.layer is not None:
            raise ValueError(f"metric {asked.of[0]!r} has one value a prompt; remove `layer:`")

    def check_categories(self, asked: Asked) -> None:
        """Refuse `categories:` that are missing or not wanted."""
        if (self.compares == "categories") != (asked.categories is not None):
            word = "compares prompts by category; add" if self.compares == "categories" else "takes no"
            raise ValueError(f"statistic {asked.statistic!r} {word} `categories:`")

    def check_quantifier(self, name: str, quantifier: str) -> None:
        """Refuse a quantifier over models that does not suit it."""
        if self.pools and quantifier != "pooled":
            raise ValueError(f"statistic {name!r} is of several models; write `for: pooled`")
        several = self.compares == "groups" or self.each_layer or self.counts == "always" or self.by_category
        if quantifier == "pooled" and several:
            raise ValueError(
                f"statistic {name!r} is not of one value a model; write `for: majority`, or another statistic"
            )

    def like(self, other: Takes, *, counting: bool) -> bool:
        """Whether another shape takes the same input, so that a multiverse may exchange their statistics."""
        own, its = (
            (of.variables, of.counts == "always", of.compares, of.each_layer, of.over_models, of.pools)
            for of in (self, other)
        )
        return own == its and (not counting or self.counts == other.counts)

    # What its samples are

    def reads_layers(self, *, counting: bool) -> bool:
        """Whether it looks at each layer: always, or if a claim makes it count."""
        return self.each_layer or (self.counts == "may" and counting)

    @property
    def only_numbers(self) -> bool:
        """Whether it can be fitted to plain numbers, without models or categories."""
        return not (self.over_models or self.pools or self.compares == "categories")

    # What a shuffle exchanges

    @property
    def shuffles(self) -> bool:
        """Whether there is anything to shuffle: pairs of two variables, or models between two groups."""
        return (self.variables == 2 and not self.difference) or self.compares == "groups"

    def exchanges(self, samples: tuple[Sample, ...]) -> dict[str, Exchange]:
        """Return each kind of shuffle by name: all pairs, and pairs within each category, if there are any."""
        clusters = samples[1].clusters
        found = {"all pairs": Exchange(samples[1].n)}
        if 1 < len(set(clusters)) < len(clusters):
            found["within category"] = Exchange(samples[1].n, clusters)
        return found

    def shuffled(self, samples: tuple[Sample, ...], order: Order) -> tuple[Sample, ...]:
        """Return the samples with their units reordered, by `order` of shape (units,): the second one's of a pair."""
        first, second = samples
        return first, replace(second, values=second.values[order])

    # The range of its value, whatever the data

    def span(self, ranges: Sequence[Range], holds: Region | None) -> Range | None:
        """Return the range of the value, given those of its metrics; None if the statistic itself says.

        A share of where something holds lies in [0, 1], and is 1 if no data could break the condition.
        """
        low, high = ranges[0]
        if self.difference:
            return low - ranges[1][1], high - ranges[1][0]
        if holds is not None and self.variables == 1:
            return (1.0, 1.0) if holds.low <= low and high <= holds.high else (0.0, 1.0)
        return None

    # Recorded values without replicates

    @property
    def has_census(self) -> bool:
        """Whether it can be of one recorded value per model or layer, without replicates."""
        return self.each_layer or self.compares == "groups"

    def recorded(self, sample: Sample, holds: Region | None) -> Recorded:
        """Return the value of one model's recorded numbers, shape (1,) or (1, layers): their mean, or a share.

        One recorded number is the value itself; the ends of rounded numbers become those of the value.
        """
        (values,), ((low,), (high,)) = sample.values, sample.ends or (sample.values, sample.values)
        if self.counts != "always" or holds is None or values.ndim == 0:
            return Recorded(float(values.mean()), float(low.mean()), float(high.mean()), 1)
        passing, n = int(holds.contains(values).sum()), len(values)
        surely, possibly = holds.bracket(low, high)
        return Recorded(passing / n, surely / n, possibly / n, n, f" ({passing} of {n} layers {holds})")
