"""Ray: what tasks ask for, addresses, and one real task on a cluster of one host."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from orders import order

from refutable.errors import BadInput
from refutable.sweep.engines import on_ray
from refutable.sweep.engines.on_ray import address_of, resources
from refutable.sweep.record import Outcome
from refutable.traces.store import Store

GB = 10**9


@pytest.mark.parametrize(
    ("memory", "share"), [(60 * GB, 1), (41 * GB, 1), (39 * GB, 0.5), (9 * GB, 0.125), (GB // 10, on_ray.LEAST_SHARE)]
)
def test_small_models_share_a_gpu_and_large_ones_have_one(memory: int, share: float) -> None:
    asked = resources(memory, "cuda", 80 * GB)
    assert asked["num_gpus"] == pytest.approx(share, abs=1e-3)
    assert memory <= asked["num_gpus"] * 80 * GB or share == 1


def test_on_a_cpu_a_task_asks_for_its_memory() -> None:
    assert resources(3 * GB, "cpu", 80 * GB) == {"num_cpus": 1, "num_gpus": 0, "memory": 3 * GB}


def test_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert address_of("ray") is None
    assert address_of("ray://auto") == "auto"
    assert address_of("ray://10.0.0.1:6379") == "10.0.0.1:6379"
    for word in ("dask", "ray://", "slurm"):
        with pytest.raises(BadInput, match=f"--on {word}"):
            address_of(word)


@pytest.mark.slow
def test_a_task_leaves_a_trace_and_returns_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # else whatever else runs here is served first
    small = order(tmp_path)
    vast = order(tmp_path, "tiny-opt")
    needs = {"tiny-gpt2": {"num_cpus": 1, "num_gpus": 0}, "tiny-opt": {"num_cpus": 1, "memory": 10**15}}
    found = {record.model: record for record in on_ray.run([small, vast], None, needs)}
    (unit,) = found["tiny-gpt2"].units
    assert (unit.outcome, found["tiny-gpt2"].faults) == (Outcome.MEASURED, ())
    assert Store(tmp_path).is_whole(unit.key)
    assert len(pickle.dumps(found["tiny-gpt2"])) < 5000
    (refused,) = found["tiny-opt"].units
    assert refused.outcome is Outcome.NOT_MEASURED  # rather than waiting for such a host for ever
    assert "1000000.0 GB" in refused.reason
