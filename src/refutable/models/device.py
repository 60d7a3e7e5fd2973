"""The device and its memory, found without importing torch.

CUDA is asked through its driver library, which honours CUDA_VISIBLE_DEVICES as torch does.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import os
import re
from dataclasses import dataclass
from importlib import metadata

from refutable._util.host import memory_limit
from refutable.errors import BadInput

EVERY_GPU = "cuda:all"
DEVICE_PATTERN = re.compile(r"cpu|mps|cuda(:\d+|:all)?")


@dataclass(frozen=True, slots=True)
class Device:
    """A device, or several that one model is spread over.

    Attributes:
        name: as torch writes it; ``cuda:all`` for every GPU.
        title: what it is.
        memory: in bytes, of all of it.
        largest: in bytes, of one.
    """

    name: str
    title: str
    memory: int
    largest: int = 0

    @property
    def type(self) -> str:
        """The name without its index."""
        return self.name.split(":")[0]


def choose_device(asked: str) -> Device:
    """Return the device that ``auto`` or a name means.

    Raises:
        BadInput: the name is none, or names a CUDA device that is not there.
    """
    gpus = cuda_devices()
    if asked == "auto":
        return gpus[0] if gpus else _cpu()
    if not DEVICE_PATTERN.fullmatch(asked):
        raise BadInput(f"--device {asked}: unknown device; write auto, cpu, cuda, cuda:N, cuda:all or mps")
    if asked == EVERY_GPU:
        if len(gpus) < 2:
            raise BadInput(
                f"--device {asked}: {len(gpus)} CUDA device(s) can be used here; write --device cuda or auto"
            )
        names = " + ".join(f"{len(list(of))} x {title}" for title, of in itertools.groupby(gpu.title for gpu in gpus))
        return Device(EVERY_GPU, names, sum(gpu.memory for gpu in gpus), max(gpu.memory for gpu in gpus))
    if asked.startswith("cuda"):
        index = int(asked.split(":")[1]) if ":" in asked else 0
        if index >= len(gpus):
            raise BadInput(f"--device {asked}: {len(gpus)} CUDA device(s) can be used here; write --device cpu or auto")
        return Device(asked, gpus[index].title, gpus[index].memory)
    return _cpu() if asked == "cpu" else Device("mps", "Apple GPU", _memory())


@functools.cache
def cuda_devices() -> tuple[Device, ...]:
    """Return the CUDA devices that the installed torch can use, in order; none where torch is a CPU build."""
    if "+cpu" in _torch_version() or os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return ()
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return ()
    count = ctypes.c_int()
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return ()
    return tuple(_cuda_device(driver, index) for index in range(count.value))


def _cuda_device(driver: ctypes.CDLL, index: int) -> Device:
    handle, memory, name = ctypes.c_int(), ctypes.c_size_t(), ctypes.create_string_buffer(128)
    driver.cuDeviceGet(ctypes.byref(handle), index)
    driver.cuDeviceGetName(name, 128, handle)
    driver.cuDeviceTotalMem_v2(ctypes.byref(memory), handle)
    return Device("cuda" if index == 0 else f"cuda:{index}", name.value.decode(errors="replace"), memory.value)


def _cpu() -> Device:
    return Device("cpu", f"CPU, {os.cpu_count()} cores", _memory())


def _memory() -> int:
    try:
        return min(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), memory_limit())
    except (ValueError, OSError, AttributeError):
        return 1 << 62  # unknown here (Windows): let the load itself say


def _torch_version() -> str:
    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return "+cpu"
