"""Distribution over several GPUs under xdist: what is claimed of one model stays with one worker, which has its GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from refutable.claims.cases import Case
from refutable.models.device import cuda_devices
from refutable.pytest_plugin.state import case_id
from refutable.pytest_plugin.worker_device import ANY_GPU


def scope_of(nodeid: str, cases: Mapping[str, Case]) -> str:
    """Return what a test must share a worker with: the tests of its model, or nothing else."""
    case = cases.get(case_id(nodeid))
    return f"model {case.models[0]}" if case is not None and len(case.models) == 1 else nodeid


class ByModel(LoadScopeScheduling):  # type: ignore[misc]
    """Gives each worker all tests of a model, then those of the next, so that its weights are loaded once."""

    def __init__(self, config: pytest.Config, log: Any, cases: Sequence[Case]) -> None:
        super().__init__(config, log)
        self._cases = {case.id: case for case in cases}

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid, self._cases)


class Distribution:
    """Chooses how tests are distributed, on the process that does."""

    def __init__(self, cases: Sequence[Case], asked: str | None) -> None:
        self._cases = cases
        self._asked = asked

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> ByModel | None:
        """Distribute by model where several GPUs share the work, unless another way was asked for."""
        several = self._asked in ANY_GPU and len(cuda_devices()) > 1
        return ByModel(config, log, self._cases) if several and config.getoption("dist") == "load" else None
