"""Batches: a partition of the prompts, within the limit, of the least cost, longest first."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from refutable.measurement.instrument.cutting import cut_batches

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=30)


@settings(deadline=None)
@given(LENGTHS, st.integers(0, 200), st.integers(1, 400))
def test_batches_are_a_partition_within_the_limit_longest_first(lengths: list[int], overhead: int, limit: int) -> None:
    batches = cut_batches(lengths, overhead=overhead, limit=limit)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    longest = [max(lengths[i] for i in batch) for batch in batches]
    assert longest == sorted(longest, reverse=True)
    for batch, n in zip(batches, longest, strict=True):
        assert len(batch) * n <= limit or len(batch) == 1


@given(st.lists(st.integers(1, 20), min_size=1, max_size=7), st.integers(0, 60), st.integers(1, 80))
@settings(deadline=None)
def test_no_other_partition_is_cheaper(lengths: list[int], overhead: int, limit: int) -> None:
    cheapest = min(
        cost(lengths, batches, overhead)
        for batches in partitions(list(range(len(lengths))))
        if all(len(b) == 1 or len(b) * max(lengths[i] for i in b) <= limit for b in batches)
    )
    assert cost(lengths, cut_batches(lengths, overhead=overhead, limit=limit), overhead) == cheapest


def test_worked_examples() -> None:
    assert cut_batches([5, 5, 5], overhead=0, limit=100) in ([[0, 1, 2]], [[2], [1], [0]])
    assert cut_batches([2, 20, 2], overhead=5, limit=100) == [[1], [0, 2]]  # 20 + 4 + 2 * 5 = 34, not 60 + 5
    assert cut_batches([2, 20, 2], overhead=50, limit=100) == [[0, 2, 1]]  # 60 + 50 = 110, not 24 + 100
    assert cut_batches([300], overhead=5, limit=100) == [[0]]
    assert cut_batches([], overhead=5, limit=100) == []


def cost(lengths: list[int], batches: list[list[int]], overhead: int) -> int:
    return sum(len(b) * max(lengths[i] for i in b) + overhead for b in batches)


def partitions(items: list[int]) -> Iterator[list[list[int]]]:
    """Yield every way to put the items into groups."""
    if not items:
        yield []
        return
    first, rest = items[0], items[1:]
    for groups in partitions(rest):
        yield [[first], *groups]
        for i, group in enumerate(groups):
            yield [*groups[:i], [first, *group], *groups[i + 1 :]]
