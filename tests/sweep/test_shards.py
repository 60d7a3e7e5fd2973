"""Shards: together they are the plan, they end together, and each machine cuts alike."""

from __future__ import annotations

import random

import pytest

from refutable.errors import BadInput
from refutable.sweep.shards import Shard, dealt, of_shard, read_shard


def sizes(seed: int, number: int) -> dict[str, float]:
    """Return costs that vary a thousandfold, as 14 M to 12 B parameters do."""
    rng = random.Random(seed)
    return {f"job{i}": 10 ** rng.uniform(0, 3) for i in range(number)}


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("parts", [1, 2, 7, 16])
def test_every_job_is_in_one_shard_and_the_dearest_is_within_the_bound_of_graham(seed: int, parts: int) -> None:
    costs = sizes(seed, 200)
    shards = [of_shard([*costs], costs, Shard(number + 1, parts)) for number in range(parts)]
    assert sorted(job for shard in shards for job in shard) == sorted(costs)
    loads = [sum(costs[job] for job in shard) for shard in shards]
    least = max(sum(costs.values()) / parts, max(costs.values()))  # no cut is better than this
    assert max(loads) <= (4 / 3 - 1 / (3 * parts)) * least


def test_the_154_revisions_of_eight_models_end_within_two_per_cent_of_each_other() -> None:
    parameters = (14e6, 70e6, 160e6, 410e6, 1e9, 1.4e9, 2.8e9, 6.9e9)
    costs = {(size, step): size for size in parameters for step in range(154)}
    loads = [sum(costs[job] for job in part) for part in dealt(costs, 16)]
    assert max(loads) / min(loads) < 1.02


def test_the_same_costs_are_cut_alike_and_in_the_order_of_the_plan() -> None:
    costs = dict.fromkeys("abcdefgh", 1.0)
    assert of_shard("abcdefgh", costs, Shard(2, 3)) == of_shard("abcdefgh", dict(costs), Shard(2, 3)) == ["b", "e", "h"]
    assert dealt({"a": 1.0}, 3) == [["a"], [], []]


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "a/b", "1/0", "-1/4", "1/4/2", "1.5/2", "1/10000000"])
def test_a_shard_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="--shard 3/8"):
        read_shard(text)
    assert read_shard("3/8") == Shard(3, 8)
