"""Two properties of sums of vectors, as examples."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from refutable.theorems import THEOREMS, theorem

Vector = list[int]
Example = dict[str, Any]


def _vectors(*names: str) -> st.SearchStrategy[Example]:
    """Return named vectors of one width."""

    def of_width(width: int) -> st.SearchStrategy[Example]:
        vector = st.lists(st.integers(-9, 9), min_size=width, max_size=width)
        return st.fixed_dictionaries(dict.fromkeys(names, vector))

    return st.integers(1, 4).flatmap(of_width)


def _dot(a: Vector, b: Vector) -> int:
    return sum(x * y for x, y in zip(a, b, strict=True))


def _contracts(example: Example) -> bool:
    """Whether |x + d| < |x|, exactly."""
    x, d = example["x"], example["d"]
    after = [a + b for a, b in zip(x, d, strict=True)]
    return _dot(after, after) < _dot(x, x)


@THEOREMS.add
@theorem("triangle-inequality", _vectors("a", "m"))
def triangle_inequality(example: Example) -> bool:
    """|a + m| <= |a| + |m|, for any two vectors."""
    a, m = example["a"], example["m"]
    product = _dot(a, m)
    return product <= 0 or product**2 <= _dot(a, a) * _dot(m, m)


def _to_the_shorter(example: Example) -> Example:
    """Return the longer of two vectors and what must be added to it to make it the other."""
    shorter, x = sorted((example["x"], example["other"]), key=lambda one: _dot(one, one))
    return {"x": x, "d": [b - a for a, b in zip(x, shorter, strict=True)]}


@THEOREMS.add
@theorem("contraction-needs-obtuse-update", _vectors("x", "other").map(_to_the_shorter), premise=_contracts)
def contraction_needs_obtuse_update(example: Example) -> bool:
    """If |x + d| < |x|, then the angle between x and d is obtuse: x.d < 0."""
    return _dot(example["x"], example["d"]) < 0
