"""Several GPUs under xdist, stood in for: which worker has which, and which tests stay together."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from refutable.models.device import Device
from refutable.pytest_plugin import distribution, worker_device
from refutable.pytest_plugin.distribution import ByModel, Distribution, scope_of
from refutable.pytest_plugin.worker_device import device_of

GPUS = tuple(Device("cuda" if i == 0 else f"cuda:{i}", "a GPU", 1 << 36) for i in range(2))


def case(name: str, *models: str) -> Any:
    return SimpleNamespace(id=name, models=models)


@pytest.mark.parametrize(
    ("worker", "asked", "found", "device"),
    [
        ("gw0", None, GPUS, "cuda"),
        ("gw1", "auto", GPUS, "cuda:1"),
        ("gw2", "cuda", GPUS, "cuda"),  # more workers than GPUs, or one in the place of another that died
        ("gw1", "cuda:0", GPUS, "cuda:0"),
        ("gw1", "cpu", GPUS, "cpu"),
        ("gw1", "cuda:all", GPUS, "cuda:all"),
        ("gw1", None, GPUS[:1], "auto"),
        ("", None, GPUS, "auto"),
    ],
)
def test_each_worker_has_a_gpu_of_its_own_unless_one_was_named(
    worker: str, asked: str | None, found: tuple[Device, ...], device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(worker_device.WORKER, worker)
    monkeypatch.setattr(worker_device, "cuda_devices", lambda: found)
    assert device_of(asked) == device


def test_tests_of_one_model_stay_together_and_others_are_on_their_own() -> None:
    cases = {one.id: one for one in (case("a-gptj", "gptj"), case("b-gptj", "gptj"), case("all", "gptj", "opt"))}
    scopes = [scope_of(f"test_claims.py::test_claim[{name}]", cases) for name in ("a-gptj", "b-gptj", "all", "unknown")]
    assert scopes[:2] == ["model gptj"] * 2
    assert len({*scopes}) == 3
    assert scope_of("tests/test_other.py::test_it", cases) == "tests/test_other.py::test_it"


@pytest.mark.parametrize(
    ("dist", "found", "by_model"), [("load", 2, True), ("worksteal", 2, False), ("load", 1, False)]
)
def test_tests_are_distributed_by_model_where_several_gpus_share_the_work(
    dist: str, found: int, by_model: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distribution, "cuda_devices", lambda: GPUS[:found])
    told = {"dist": dist, "tx": ["popen", "popen"], "maxprocesses": None}
    config: Any = SimpleNamespace(getoption=told.get, getvalue=told.get, option=SimpleNamespace(**told))
    monkeypatch.setattr("xdist.scheduler.loadscope.parse_tx_spec_config", lambda config: told["tx"])
    made = Distribution([case("a-gptj", "gptj")], None).pytest_xdist_make_scheduler(config, None)
    assert isinstance(made, ByModel) is by_model
