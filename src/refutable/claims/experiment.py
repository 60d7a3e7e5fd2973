"""Causal claims: contrasts of the outcomes of a recorded experiment, whose unit of replication is the training seed."""

from __future__ import annotations

from itertools import pairwise
from math import isfinite
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from refutable._util.strict_yaml import Frozen
from refutable.claims.base import BaseClaim
from refutable.claims.parts import Text
from refutable.statistics.region import Region, RegionText, parse_region

Number = Annotated[float, Field(allow_inf_nan=False)]
Cell = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?$")]
FORMS = ("cell", "difference", "interaction", "slope", "weights")
BOTH, ONE, OTHER, NEITHER = range(4)


class Contrast(Frozen):
    """A number a seed, from an outcome of several cells, and what is predicted of its mean over seeds.

    Give one of the five forms. A cell of another size than the subject's is ``SIZE/CELL``.
    """

    of: str = Field(description="an outcome of the experiment")
    cell: Cell | None = Field(default=None, description="the outcome itself, in one cell")
    difference: tuple[Cell, Cell] | None = Field(default=None, description="the first cell less the second")
    interaction: tuple[Cell, Cell, Cell, Cell] | None = Field(
        default=None,
        description="a difference of differences: the cell with both changes, with one, the other, neither",
    )
    slope: dict[Cell, Number] | None = Field(
        default=None, min_length=3, description="least-squares slope on a level of each of at least three cells"
    )
    weights: dict[Cell, Number] | None = Field(default=None, min_length=1, description="any other sum over cells")
    predicts: RegionText

    @model_validator(mode="after")
    def _one_form(self) -> Contrast:
        given = [name for name in FORMS if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(f"`{name}:`" for name in given) or "none"
            raise ValueError(f"a contrast has one of {', '.join(f'`{name}:`' for name in FORMS)} (found {found})")
        if self.slope is not None and len(set(self.slope.values())) < 2:
            raise ValueError("the levels of a slope are all the same; give each cell its own")
        if self.weights is not None and (idle := [cell for cell, weight in self.weights.items() if weight == 0]):
            raise ValueError(f"the weight of {', '.join(idle)} is 0: it says nothing; leave it out")
        named = self.difference or self.interaction or ()
        if len(set(named)) < len(named):
            raise ValueError(f"`{given[0]}:` names a cell twice")
        return self

    @property
    def sum(self) -> dict[str, float]:
        """The weight of each cell."""
        if self.cell is not None:
            return {self.cell: 1.0}
        if self.difference is not None:
            return {self.difference[0]: 1.0, self.difference[1]: -1.0}
        if self.interaction is not None:
            signs = {BOTH: 1.0, ONE: -1.0, OTHER: -1.0, NEITHER: 1.0}
            return {cell: signs[place] for place, cell in enumerate(self.interaction)}
        if self.slope is not None:
            levels = np.array(list(self.slope.values()))
            centred = levels - levels.mean()
            return dict(zip(self.slope, (centred / (centred**2).sum()).tolist(), strict=True))
        assert self.weights is not None
        return dict(self.weights)

    @property
    def region(self) -> Region:
        """Where the mean is predicted to lie."""
        return parse_region(self.predicts)

    @property
    def scaled(self) -> tuple[tuple[str, tuple[tuple[str, float], ...]], float]:
        """What it is a multiple of, and which: the same outcome and sum over cells, its first weight 1."""
        weights = sorted((cell, weight) for cell, weight in self.sum.items() if weight)
        unit = weights[0][1] if weights else 1.0
        return (self.of, tuple((cell, round(weight / unit, 9)) for cell, weight in weights)), unit

    def __str__(self) -> str:
        """In words: ``log_last_gain, base less sequential``."""
        if self.cell is not None:
            told = f"in {self.cell}"
        elif self.difference is not None:
            told = " less ".join(self.difference)
        elif self.interaction is not None:
            told = "({} less {}) less ({} less {})".format(
                *(self.interaction[place] for place in (BOTH, ONE, OTHER, NEITHER))
            )
        elif self.slope is not None:
            told = f"slope over {', '.join(f'{cell} at {level:g}' for cell, level in self.slope.items())}"
        else:
            told = " ".join(f"{weight:+g} {cell}" for cell, weight in self.sum.items())
        return f"{self.of}, {told}"


class ExperimentTest(Frozen):
    """Contrasts of a recorded experiment."""

    experiment: str = Field(description="a packaged experiment (`twins`), or a CSV file beside the claims file")
    holds: Literal["all", "any"] = Field(
        default="all", description="whether all contrasts must be as predicted, or any one of them"
    )
    contrasts: Annotated[tuple[Contrast, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _can_fail(self) -> ExperimentTest:
        """One of two predictions that leave no number out is always borne out."""
        if self.holds == "all":
            return self
        regions: dict[object, list[tuple[float, Region]]] = {}
        for contrast in self.contrasts:
            of, unit = contrast.scaled
            regions.setdefault(of, []).append((unit, contrast.region))
        for alike in regions.values():
            ends = sorted({end / unit for unit, region in alike for end in (region.low, region.high) if isfinite(end)})
            between = [(low + high) / 2 for low, high in pairwise(ends)]
            numbers = [*ends, *between, ends[0] - 1, ends[-1] + 1]
            if all(any(number * unit in region for unit, region in alike) for number in numbers):
                told = " or ".join(region.text for _, region in alike)
                raise ValueError(f"`holds: any`: every number is {told}, so no data could refute it; leave one out")
        return self


class ExperimentClaim(BaseClaim):
    """Decided by training networks that differ in one factor; there is a verdict for each size of network."""

    evidence: Literal["causal"]
    needs: Text | None = Field(default=None, description="the experiment that would decide it, in words")
    sizes: tuple[str, ...] = Field(
        default=(), description="sizes of network, each with a verdict of its own; none where the table has no sizes"
    )
    test: ExperimentTest

    @property
    def prediction(self) -> str:
        """What is predicted of each contrast."""
        parts = [f"{contrast}: {contrast.region}" for contrast in self.test.contrasts]
        one = self.test.contrasts[0].predicts
        return f"{self.test.holds} of: {'; '.join(parts)}" if len(parts) > 1 else one
