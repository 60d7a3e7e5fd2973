"""Several processes of one host: each takes the next job, and one that is killed is replaced."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from orders import order

from refutable.errors import BadInput
from refutable.models import device
from refutable.models.device import Device
from refutable.sweep.asked import slots_of
from refutable.sweep.engines import processes
from refutable.sweep.record import Outcome

DEADLY = """\
import os, signal
from pathlib import Path

def pytest_refutable_extend(extensions):
    mark = Path(os.environ["REFUTABLE_CACHE"]) / "mark"
    if not mark.exists():
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_is_replaced_and_its_job_is_done_once_more(tmp_path: Path) -> None:
    (tmp_path / "deadly17.py").write_text(DEADLY)
    orders = [
        replace(order(tmp_path / "cache", name), modules=("deadly17",), folder=tmp_path)
        for name in ("tiny-gpt2", "tiny-opt")
    ]
    records = {record.model: record for record in processes.run(orders, [{}])}
    assert {record.units[0].outcome for record in records.values()} == {Outcome.MEASURED}
    assert records["tiny-gpt2"].tries == 2
    assert records["tiny-gpt2"].faults == (processes.died(-signal.SIGKILL),)
    assert records["tiny-opt"].tries == 1
    workers = {record.worker for record in records.values()}
    assert len(workers) == 1  # the process that took the place did both
    assert str(os.getpid()) not in next(iter(workers))


def test_each_gpu_gets_a_process_that_sees_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = tuple(Device(f"cuda:{i}", "a GPU", 1 << 36) for i in range(3))
    monkeypatch.setattr("refutable.sweep.asked.cuda_devices", lambda: gpus)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [slot["CUDA_VISIBLE_DEVICES"] for slot in slots_of("cuda:all", 1, 8)] == ["0", "1", "2"]
    assert [slot["CUDA_VISIBLE_DEVICES"] for slot in slots_of("cuda:0,cuda:2", 2, 8)] == ["0", "2", "0", "2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")  # as a batch system sets it
    assert [slot["CUDA_VISIBLE_DEVICES"] for slot in slots_of("cuda:all", 1, 8)] == ["4", "5", "6"]
    with pytest.raises(BadInput, match=r"--devices cuda:7: 3 CUDA device"):
        slots_of("cuda:7", 1, 8)


def test_processes_on_a_cpu_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    assert slots_of("", 1, 8) == [{}]
    assert slots_of("", 4, 8) == [{"OMP_NUM_THREADS": "2"}] * 4


def test_processes_of_several_gpus_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refutable.sweep.asked.cuda_devices", lambda: ["a", "b"])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert slots_of("cuda:all", 1, 8) == [
        {"CUDA_VISIBLE_DEVICES": "0", "OMP_NUM_THREADS": "4"},
        {"CUDA_VISIBLE_DEVICES": "1", "OMP_NUM_THREADS": "4"},
    ]
    assert slots_of("cuda:0", 1, 8) == [{"CUDA_VISIBLE_DEVICES": "0"}]
    monkeypatch.setattr("refutable.sweep.asked.cuda_devices", tuple)
    with pytest.raises(BadInput, match="--processes N"):
        slots_of("cuda:all", 1, 8)
    assert device.EVERY_GPU == "cuda:all"
