"""Input shapes: a shape owns everything that follows from a statistic's input, so a new one is one class.

A shape says what a claim's `test:` must and must not name, how many samples there are and what their rows are, what a
shuffle exchanges, and where the value must lie whatever the data. The other rooms ask it and know no shape by name.
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
    """What one kind of shuffle exchanges: how many units, and the clusters that they stay in, if any."""

    units: int
    clusters: tuple[str, ...] | None = None


class Recorded(NamedTuple):
    """The value of recorded numbers without replicates, of how many, and how it was counted, in words."""

    value: float
    n: int
    counted: str = ""


@dataclass(frozen=True, slots=True)
class Takes:
    """One value a unit of each variable. The shapes below differ from it in what they say.

    Attributes:
        variables: number of variables: metrics, the last of which may be a fact of the models instead.
        by_category: whether it is of one sample's categories: of what lies between them, or inside them.
        counts: whether it counts where something holds: never, always, or where a claim says `holds:`.
        has_a_side: whether it may be asked on which side of a boundary something holds.
        compares: what two groups it compares, of models or of prompts by their categories.
        over_models: whether it takes one sample a model, with its prompts, empty where it was not measured.
        pools: whether it takes one sample a model, of those that were measured (``for: pooled``).
        parts: whether it takes a ratio apart: its samples are then the numerator and the denominator.
        each_layer: whether it looks at every layer.
        difference: whether its value is the mean of the first variable less that of the second.
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
        """Refuse what a test names too much or too little.

        Raises:
            ValueError: in one sentence, with the fix.
        """
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
        """Refuse a `layer:` that is lacking or too much.

        Raises:
            ValueError: in one sentence, with the fix.
        """
        name = asked.statistic
        layered = [metric.name for metric in metrics if metric.per == "layer"]
        if self.reads_layers(counting=asked.holds is not None):
            if len(layered) != len(asked.of):
                raise ValueError(f"statistic {name!r} looks at layers; {asked.of[0]!r} has one value a prompt")
            if asked.layer not in (None, "each"):
                raise ValueError(f"statistic {name!r} looks at each layer; remove `layer:`")
        elif layered and asked.layer in (None, "each"):
            raise ValueError(
                f"metric {layered[0]!r} has one value a layer; say which: `layer: last`, `first`, `mean` or a number"
                " from 1"
            )
        elif not layered and asked.layer is not None:
            raise ValueError(f"metric {asked.of[0]!r} has one value a prompt; remove `layer:`")

    def check_categories(self, asked: Asked) -> None:
        """Refuse `categories:` that are lacking or too much.

        Raises:
            ValueError: in one sentence, with the fix.
        """
        if (self.compares == "categories") != (asked.categories is not None):
            word = "compares prompts by category; add" if self.compares == "categories" else "takes no"
            raise ValueError(f"statistic {asked.statistic!r} {word} `categories:`")

    def check_quantifier(self, name: str, quantifier: str) -> None:
        """Refuse a quantifier over models that it does not go with.

        Raises:
            ValueError: in one sentence, with the fix.
        """
        if self.pools and quantifier != "pooled":
            raise ValueError(f"statistic {name!r} is of several models; write `for: pooled`")
        several = self.compares == "groups" or self.each_layer or self.counts == "always" or self.by_category
        if quantifier == "pooled" and several:
            raise ValueError(
                f"statistic {name!r} is not of one value a model; write `for: majority`, or another statistic"
            )

    def like(self, other: Takes, *, counting: bool) -> bool:
        """Whether another shape takes the same things, so that one statistic may vary for the other."""
        own, its = (
            (of.variables, of.counts == "always", of.compares, of.each_layer, of.over_models, of.pools)
            for of in (self, other)
        )
        return own == its and (not counting or self.counts == other.counts)

    # What its samples are

    def reads_layers(self, *, counting: bool) -> bool:
        """Whether it looks at each layer: always, or where a claim has it count."""
        return self.each_layer or (self.counts == "may" and counting)

    @property
    def only_numbers(self) -> bool:
        """Whether it can be fitted to plain numbers, without models or categories."""
        return not (self.over_models or self.pools or self.compares == "categories")

    # What a shuffle exchanges

    @property
    def shuffles(self) -> bool:
        """Whether there is something to shuffle: the pairs of two variables, or models between two groups."""
        return (self.variables == 2 and not self.difference) or self.compares == "groups"

    def exchanges(self, samples: tuple[Sample, ...]) -> dict[str, Exchange]:
        """Return each kind of shuffle by its name: all pairs, and those within each category if any."""
        clusters = samples[1].clusters
        found = {"all pairs": Exchange(samples[1].n)}
        if 1 < len(set(clusters)) < len(clusters):
            found["within category"] = Exchange(samples[1].n, clusters)
        return found

    def shuffled(self, samples: tuple[Sample, ...], order: Order) -> tuple[Sample, ...]:
        """Return the samples with their units in another order, shape (units,): of a pair, the second's."""
        first, second = samples
        return first, replace(second, values=second.values[order])

    # Where its value lies whatever the data

    def span(self, ranges: Sequence[Range], holds: Region | None) -> Range | None:
        """Return where the value must lie, given the ranges of its metrics; None where the statistic itself says.

        A share of where something holds lies in [0, 1], and is 1 where no data could break what must hold.
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
        """Whether it is of one recorded value a model, or a layer, without replicates."""
        return self.each_layer or self.compares == "groups"

    def recorded(self, values: NDArray[np.float64], holds: Region | None) -> Recorded:
        """Return the value of recorded numbers of one model, shape (1,) or (layers,): their mean, or a share."""
        if self.counts != "always" or holds is None:
            return Recorded(float(values.mean()), 1)
        passing, n = int(holds.contains(values).sum()), len(values)
        return Recorded(passing / n, n, f" ({passing} of {n} layers {holds})")
