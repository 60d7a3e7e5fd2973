"""Which device a process of a run measures on: under xdist, each worker has one of several GPUs to itself."""

from __future__ import annotations

import os

from refutable.models.device import cuda_devices
from refutable.pytest_plugin.progress import WORKER

ANY_GPU = (None, "auto", "cuda")  # what --device says where it names none


def device_of(asked: str | None) -> str:
    """Return the device of this process: of a worker of xdist, one of several GPUs, by its number.

    Args:
        asked: as ``--device`` was given; None if it was not.
    """
    worker, gpus = os.environ.get(WORKER, ""), cuda_devices()
    number = worker.removeprefix("gw")
    if asked not in ANY_GPU or len(gpus) < 2 or not number.isdigit():
        return asked or "auto"
    return gpus[int(number) % len(gpus)].name
