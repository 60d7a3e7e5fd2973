"""Properties of sums of many vectors: heads, coherence, rank, and how many directions a space has room for."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from hypotheses.theorems.blocks import Matrix, Vector, dot, matrix_of, plus, times, vector_of, vectors
from refutable.theorems import theorem

Example = dict[str, Any]

_heads = st.integers(1, 3).flatmap(
    lambda d: st.fixed_dictionaries(
        {"weights": matrix_of(d, 4), "heads": vector_of(4), "borders": st.sets(st.integers(1, 3)).map(sorted)}
    )
)


def _of_heads(weights: Matrix, heads: Vector, borders: list[int]) -> list[Vector]:
    """Return what each head adds to the stream when the heads' outputs, side by side, are cut at `borders`."""
    cuts = list(itertools.pairwise([0, *borders, len(heads)]))
    return [times([row[i:j] for row in weights], heads[i:j]) for i, j in cuts]


@theorem("the-sum-over-heads-is-one-product", _heads)
def the_sum_over_heads_is_one_product(example: Example) -> bool:
    """What attention adds is the sum of what its heads add, into however many heads its width is cut."""
    return plus(*_of_heads(**example)) == times(example["weights"], example["heads"])


@theorem(
    "more-heads-make-a-longer-sum",
    _heads,
    premise=lambda e: e["borders"] != [1, 2, 3] and any(times(e["weights"], e["heads"])),
)
def more_heads_make_a_longer_sum(example: Example) -> bool:
    """Cutting the same width into the most heads instead of fewer makes the sum of what they add longer."""
    few, most = (plus(*_of_heads(**{**example, "borders": cut})) for cut in (example["borders"], [1, 2, 3]))
    return dot(most, most) > dot(few, few)


def _orthogonal(of: Example) -> Example:
    """Return the first `count` rows of |u|^2 - 2 u u^T: they are orthogonal and all of length |u|^2."""
    u, square = of["u"], dot(of["u"], of["u"])
    rows = [[square * (i == j) - 2 * u[i] * u[j] for j in range(len(u))] for i in range(len(u))]
    return {"vectors": rows[: max(1, min(of["count"], len(u)))]}


_frames = st.fixed_dictionaries(
    {"u": st.integers(1, 5).flatmap(vector_of).filter(any), "count": st.integers(1, 5)}
).map(_orthogonal)


@theorem("orthogonal-vectors-cohere-as-one-over-root-n", _frames)
def orthogonal_vectors_cohere_as_one_over_root_n(example: Example) -> bool:
    """The sum of n orthogonal vectors of one length is 1/sqrt(n) of their lengths together."""
    of = example["vectors"]
    total, together = plus(*of), len(of) ** 2 * dot(of[0], of[0])  # the square of n lengths
    return len(of) * dot(total, total) == together


@theorem(
    "independent-vectors-sum-to-root-n",
    st.integers(1, 3).flatmap(
        lambda d: st.fixed_dictionaries(
            {"outcomes": st.lists(vector_of(d), min_size=2, max_size=3), "n": st.integers(2, 3)}
        )
    ),
    premise=lambda e: any(one != e["outcomes"][0] for one in e["outcomes"]),  # one outcome alone is not random
)
def independent_vectors_sum_to_root_n(example: Example) -> bool:
    """n independent draws from the outcomes, each as likely, sum to a mean squared length of n times one's."""
    of, n = example["outcomes"], example["n"]
    sums = [plus(*draw) for draw in itertools.product(of, repeat=n)]
    return bool(sum(dot(s, s) for s in sums) * len(of) == n * len(sums) * sum(dot(v, v) for v in of))


@theorem(
    "random-signs-sum-to-root-n",
    st.integers(1, 3).flatmap(
        lambda d: st.fixed_dictionaries({"vectors": st.lists(vector_of(d), min_size=1, max_size=5)})
    ),
)
def random_signs_sum_to_root_n(example: Example) -> bool:
    """Over all choices of signs, the mean squared length of a signed sum is the sum of the squared lengths."""
    of = example["vectors"]
    squares = []
    for signs in itertools.product((-1, 1), repeat=len(of)):
        total = plus(*([sign * entry for entry in one] for sign, one in zip(signs, of, strict=True)))
        squares.append(dot(total, total))
    return sum(squares) == len(squares) * sum(dot(one, one) for one in of)


def _after(start: Vector, signs: tuple[int, ...]) -> Vector:
    """Return what becomes of a stream in the plane: each block adds it, turned by a right angle, or takes that off."""
    for sign in signs:
        start = [start[0] - sign * start[1], start[1] + sign * start[0]]
    return start


@theorem("unnormalised-variance-grows-linearly", st.fixed_dictionaries({"start": vector_of(2).filter(any)}))
def unnormalised_variance_grows_linearly(example: Example) -> bool:
    """Where each block adds an update as long as what it reads, the mean squared length rises as much in each."""
    squares = []
    for blocks in range(3):
        ends = [_after(example["start"], signs) for signs in itertools.product((-1, 1), repeat=blocks)]
        squares.append(Fraction(sum(dot(end, end) for end in ends), len(ends)))
    return bool(squares[2] - squares[1] == squares[1] - squares[0])


def rank(matrix: Matrix) -> int:
    """Return the rank, by exact elimination."""
    rows = [[Fraction(entry) for entry in row] for row in matrix]
    found = 0
    for column in range(len(rows[0])):
        pivot = next((i for i in range(found, len(rows)) if rows[i][column]), None)
        if pivot is None:
            continue
        rows[found], rows[pivot] = rows[pivot], rows[found]
        for i in range(found + 1, len(rows)):
            factor = rows[i][column] / rows[found][column]
            rows[i] = [x - factor * y for x, y in zip(rows[i], rows[found], strict=True)]
        found += 1
    return found


_products = st.integers(1, 4).flatmap(
    lambda wide: st.integers(1, wide).flatmap(
        lambda k: st.fixed_dictionaries({"output": matrix_of(wide, k), "value": matrix_of(k, wide)})
    )
)


@theorem("a-heads-rank-is-at-most-its-width", _products)
def a_heads_rank_is_at_most_its_width(example: Example) -> bool:
    """What a head of k dimensions copies, W_O W_V, has a rank of at most k, and of k where it copies k channels."""
    k, wide = len(example["value"]), len(example["output"])
    channels = [[int(i == j) for j in range(wide)] for i in range(k)]
    copied = _product([list(column) for column in zip(*channels, strict=True)], channels)
    return rank(_product(example["output"], example["value"])) <= k == rank(copied)


def _product(left: Matrix, right: Matrix) -> Matrix:
    columns = [list(column) for column in zip(*right, strict=True)]
    return [[dot(row, column) for column in columns] for row in left]


@theorem(
    "narrower-heads-score-more-widely",
    st.integers(1, 3).flatmap(lambda n: st.fixed_dictionaries({"narrow": st.just(n), "wide": st.integers(n + 1, 4)})),
)
def narrower_heads_score_more_widely(example: Example) -> bool:
    """Over queries and keys of random signs, q.k over the root of a head's width has a larger variance if narrower."""
    return _score_variance(example["narrow"]) > _score_variance(example["wide"])


def _score_variance(width: int) -> Fraction:
    """Return the mean of (q.k)^2 / width over all queries and keys whose entries are 1 or -1; their mean is 0."""
    draws = [list(signs) for signs in itertools.product((-1, 1), repeat=width)]
    return Fraction(sum(dot(q, k) ** 2 for q in draws for k in draws), width * len(draws) ** 2)


_packings = st.integers(1, 5).flatmap(
    lambda d: st.fixed_dictionaries({"vectors": st.lists(vector_of(d).filter(any), min_size=1, max_size=5)})
)


def _coherence(of: list[Vector]) -> Fraction:
    """Return the largest squared cosine of two of them; 0 of one vector."""
    pairs = itertools.combinations(of, 2)
    return max((Fraction(dot(a, b) ** 2, dot(a, a) * dot(b, b)) for a, b in pairs), default=Fraction(0))


@theorem("one-more-dimension-holds-one-more-direction", _packings)
def one_more_dimension_holds_one_more_direction(example: Example) -> bool:
    """However nearly orthogonal vectors are, one more dimension holds them and one more, no less orthogonal."""
    of = example["vectors"]
    more = [[*one, 0] for one in of] + [[0] * len(of[0]) + [1]]
    return len(more) == len(of) + 1 and _coherence(more) <= _coherence(of)


@theorem(
    "rotation-keeps-the-norm",
    st.fixed_dictionaries(
        {
            "pairs": st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=1, max_size=3),
            "angle": st.tuples(st.integers(1, 9), st.integers(0, 9)),
        }
    ),
)
def rotation_keeps_the_norm(example: Example) -> bool:
    """Turning pairs of a vector's entries by an angle leaves its length as it was (cosine p^2 - q^2 over p^2 + q^2)."""
    p, q = example["angle"]
    cosine, sine, unit = p * p - q * q, 2 * p * q, p * p + q * q
    turned = [(cosine * x - sine * y, sine * x + cosine * y) for x, y in example["pairs"]]
    before = sum(x * x + y * y for x, y in example["pairs"])
    return bool(sum(x * x + y * y for x, y in turned) == unit**2 * before)


def _shorter(e: Example) -> bool:
    return dot(e["u"], e["u"]) < dot(e["x"], e["x"]) and dot(e["v"], e["v"]) < dot(e["y"], e["y"])


def _area(a: Vector, b: Vector) -> int:
    return a[0] * b[1] - a[1] * b[0]


@theorem(
    "shorter-states-fall-together",
    st.fixed_dictionaries(dict.fromkeys(("x", "y", "u", "v"), vector_of(2))),
    premise=lambda e: _shorter(e) and _area(e["x"], e["y"]) != 0,
)
def shorter_states_fall_together(example: Example) -> bool:
    """If a block makes two states x and y shorter (u and v), they no longer span the plane that they spanned."""
    return _area(example["u"], example["v"]) == 0


@theorem(
    "shorter-states-come-closer",
    st.fixed_dictionaries(dict.fromkeys(("x", "y", "u", "v"), vector_of(2))),
    premise=lambda e: _shorter(e) and e["x"] != e["y"],
)
def shorter_states_come_closer(example: Example) -> bool:
    """If a block makes two different states x and y shorter (u and v), u and v are closer than x and y were."""
    before, after = ([p - q for p, q in zip(example[a], example[b], strict=True)] for a, b in ("xy", "uv"))
    return bool(dot(after, after) < dot(before, before))


@theorem("squared-norm-is-variance", vectors("h"))
def squared_norm_is_variance(example: Example) -> bool:
    """The squared norm of a vector is its width times the variance of its entries."""
    return sum(example["h"]) ** 2 == 0  # sum h^2 - d var(h) = (sum h)^2 / d
