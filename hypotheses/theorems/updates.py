"""Properties of an update added to a residual stream: x the stream, d its update, a and m attention's and the MLP's."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from hypotheses.theorems.blocks import Vector, dot, plus, vectors
from refutable.theorems import theorem

Example = dict[str, Any]


def _square(a: Vector) -> int:
    return dot(a, a)


def _orthogonal() -> st.SearchStrategy[Example]:
    """Any x, and for d what is left of any other vector when its part along x is taken off, times |x| squared."""

    def example(of: Example) -> Example:
        x, y = of["x"], of["y"]
        return {"x": x, "d": [_square(x) * b - dot(x, y) * a for a, b in zip(x, y, strict=True)]}

    return vectors("x", "y").map(example)


def _gap(example: Example) -> bool:
    """Whether |a| + |m| > |a + m|, exactly: |a||m| > a.m."""
    a, m = example["a"], example["m"]
    product = dot(a, m)
    return product < 0 or product**2 < _square(a) * _square(m)


def _contracts(example: Example) -> bool:
    return _square(plus(example["x"], example["d"])) < _square(example["x"])


@theorem("triangle-gap-means-opposition", vectors("a", "m"), premise=_gap)
def triangle_gap_means_opposition(example: Example) -> bool:
    """If |a| + |m| is larger than |a + m|, then a and m oppose each other: a.m < 0."""
    return dot(example["a"], example["m"]) < 0


@theorem("obtuse-update-contracts", vectors("x", "d"), premise=lambda e: dot(e["x"], e["d"]) < 0)
def obtuse_update_contracts(example: Example) -> bool:
    """If the angle between x and d is obtuse, then |x + d| < |x|."""
    return _contracts(example)


@theorem("orthogonal-update-never-contracts", _orthogonal(), premise=lambda e: dot(e["x"], e["d"]) == 0)
def orthogonal_update_never_contracts(example: Example) -> bool:
    """If x and d are orthogonal, then |x + d| >= |x|."""
    return not _contracts(example)


@theorem("opposing-updates-contract", vectors("x", "a", "m"), premise=lambda e: dot(e["a"], e["m"]) < 0)
def opposing_updates_contract(example: Example) -> bool:
    """If attention's and the MLP's updates oppose each other, then the block contracts: |x + a + m| < |x|."""
    return _contracts({"x": example["x"], "d": plus(example["a"], example["m"])})


def _expands(example: Example) -> bool:
    return any(example["x"]) and _square(plus(example["x"], example["d"])) > _square(example["x"])


@theorem("expansion-means-a-parallel-part", vectors("x", "d"), premise=_expands)
def expansion_means_a_parallel_part(example: Example) -> bool:
    """If |x + d| > |x|, then d has a positive component along x: x.d > 0."""
    return dot(example["x"], example["d"]) > 0


@theorem("expansion-means-a-parallel-part-or-a-new-direction", vectors("x", "d"), premise=_expands)
def expansion_means_a_parallel_part_or_a_new_direction(example: Example) -> bool:
    """If |x + d| > |x|, then d has a positive component along x, or some component orthogonal to it."""
    product = dot(example["x"], example["d"])
    return product > 0 or product**2 < _square(example["x"]) * _square(example["d"])


@theorem("expansion-is-an-angle-against-a-length", vectors("x", "d"))
def expansion_is_an_angle_against_a_length(example: Example) -> bool:
    """|x + d| > |x| exactly where 2 x.d > -|d|^2: where the cosine exceeds minus half of |d| / |x|."""
    x, d = example["x"], example["d"]
    return (_square(plus(x, d)) > _square(x)) == (2 * dot(x, d) > -_square(d))


@theorem("a-suppressed-update-loses-norm", vectors("x", "d"), premise=_contracts)
def a_suppressed_update_loses_norm(example: Example) -> bool:
    """If a block contracts, the stream would be shorter still with its update suppressed altogether: |x| < |x + d|."""
    return _square(example["x"]) < _square(plus(example["x"], example["d"]))


@theorem("halving-an-update-loses-norm", vectors("x", "half"), premise=lambda e: any(e["half"]))
def halving_an_update_loses_norm(example: Example) -> bool:
    """If an update is halved, the stream is left shorter than the whole update would have left it."""
    half = plus(example["x"], example["half"])
    return _square(half) < _square(plus(half, example["half"]))
