"""Properties of a block: how it is composed, what its parts' lengths say of it, and what a norm's scale can do."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from refutable.theorems import theorem

Vector = list[int]
Matrix = list[Vector]
Example = dict[str, Any]
_SMALL = st.integers(-9, 9)


def dot(a: Vector, b: Vector) -> int:
    """Return the inner product."""
    return sum(x * y for x, y in zip(a, b, strict=True))


def times(matrix: Matrix, vector: Vector) -> Vector:
    """Return the matrix's product with a vector."""
    return [dot(row, vector) for row in matrix]


def plus(*vectors: Vector) -> Vector:
    """Return the sum of vectors."""
    return [sum(entries) for entries in zip(*vectors, strict=True)]


def vectors(*names: str, least: int = 1) -> st.SearchStrategy[Example]:
    """Return named vectors of one width."""
    return st.integers(least, 4).flatmap(lambda width: st.fixed_dictionaries(dict.fromkeys(names, vector_of(width))))


def vector_of(width: int) -> st.SearchStrategy[Vector]:
    """Return vectors of one width."""
    return st.lists(_SMALL, min_size=width, max_size=width)


def matrix_of(rows: int, columns: int) -> st.SearchStrategy[Matrix]:
    """Return matrices of one shape."""
    return st.lists(vector_of(columns), min_size=rows, max_size=rows)


def _module(weights: Matrix, x: Vector) -> Vector:
    """Return what a module adds: a matrix's product, negative entries cut to 0."""
    return [max(0, entry) for entry in times(weights, x)]


_modules = st.integers(1, 3).flatmap(
    lambda d: st.fixed_dictionaries(
        {"attention": matrix_of(d, d), "mlp": matrix_of(d, d), "x": st.lists(_SMALL, min_size=d, max_size=d)}
    )
)


@theorem("sequential-block-unrolls", _modules)
def sequential_block_unrolls(example: Example) -> bool:
    """Attention's update and then the MLP's on top of it make x + A(x) + M(x + A(x)), for any modules A and M."""
    a, m, x = (example[name] for name in ("attention", "mlp", "x"))
    after = plus(x, _module(a, x))
    return plus(after, _module(m, after)) == plus(x, _module(a, x), _module(m, plus(x, _module(a, x))))


def _one_contracts_one_expands(example: Example) -> bool:
    read, a, m = (example[name] for name in ("read", "attention", "mlp"))
    return 0 < dot(a, a) < dot(read, read) < dot(m, m)


@theorem(
    "contracting-and-expanding-modules-oppose",
    vectors("read", "attention", "mlp"),
    premise=_one_contracts_one_expands,
)
def contracting_and_expanding_modules_oppose(example: Example) -> bool:
    """If attention's update is shorter and the MLP's longer than what they read, the two oppose each other."""
    return dot(example["attention"], example["mlp"]) < 0


@theorem(
    "vectors-of-any-lengths-can-oppose",
    st.fixed_dictionaries({"first": st.integers(1, 99), "second": st.integers(1, 99)}),
)
def vectors_of_any_lengths_can_oppose(example: Example) -> bool:
    """For any two lengths there are vectors of these lengths that oppose each other."""
    a, m = [example["first"], 0], [-example["second"], 0]
    return dot(a, a) == example["first"] ** 2 and dot(m, m) == example["second"] ** 2 and dot(a, m) < 0


@theorem(
    "expanding-module-expands-the-stream",
    vectors("x", "update"),
    premise=lambda e: any(e["x"]) and dot(e["update"], e["update"]) > len(e["x"]),
)
def expanding_module_expands_the_stream(example: Example) -> bool:
    """If an update is longer than the normalised input that was read (of length sqrt d), the stream becomes longer."""
    x = example["x"]
    after = plus(x, example["update"])
    return dot(after, after) > dot(x, x)


@theorem(
    "norm-scale-folds-into-the-next-matrix",
    st.integers(1, 3).flatmap(
        lambda d: st.fixed_dictionaries(
            {"weights": matrix_of(2, d), **dict.fromkeys(("normed", "scale", "bias"), vector_of(d))}
        )
    ),
)
def norm_scale_folds_into_the_next_matrix(example: Example) -> bool:
    """A norm's scale and bias may stand in the matrix and the bias that read it: W (s * n + b) = (W diag s) n + W b."""
    w, n, s, b = (example[name] for name in ("weights", "normed", "scale", "bias"))
    scaled = [[entry * factor for entry, factor in zip(row, s, strict=True)] for row in w]
    return times(w, plus([x * y for x, y in zip(n, s, strict=True)], b)) == plus(times(scaled, n), times(w, b))


def _centred(x: Vector) -> Vector:
    """Return a vector with its mean taken off, times its width, so that it stays whole."""
    return [len(x) * entry - sum(x) for entry in x]


def _spread(example: Example) -> bool:
    return any(_centred(example["x"]))


_scaled = vectors("x", least=2).flatmap(lambda of: st.integers(2, 9).map(lambda factor: {**of, "factor": factor}))


@theorem("layernorm-sees-the-scale", _scaled, premise=_spread)
def layernorm_sees_the_scale(example: Example) -> bool:
    """A LayerNorm's output changes when its input is multiplied by a factor above 1."""
    before, after = _centred(example["x"]), _centred([example["factor"] * entry for entry in example["x"]])
    return any(
        p * abs(p) * dot(after, after) != q * abs(q) * dot(before, before)  # of p / |before| = q / |after|, squared
        for p, q in zip(before, after, strict=True)
    )


@theorem("layernorm-divides-by-more-where-the-variance-is-higher", _scaled, premise=_spread)
def layernorm_divides_by_more_where_the_variance_is_higher(example: Example) -> bool:
    """A LayerNorm divides its input by a larger number when the input is multiplied by a factor above 1."""
    before, after = _centred(example["x"]), _centred([example["factor"] * entry for entry in example["x"]])
    return dot(after, after) > dot(before, before)


_lens = st.integers(1, 3).flatmap(
    lambda d: st.fixed_dictionaries({"weights": matrix_of(2, d), "x": vector_of(d), "factor": st.integers(2, 9)})
)


@theorem("lens-without-a-norm-sees-the-scale", _lens, premise=lambda e: any(times(e["weights"], e["x"])))
def lens_without_a_norm_sees_the_scale(example: Example) -> bool:
    """Logits read from a stream without a norm before change when the stream is multiplied by a factor above 1."""
    w, x = example["weights"], example["x"]
    return times(w, [example["factor"] * entry for entry in x]) != times(w, x)
