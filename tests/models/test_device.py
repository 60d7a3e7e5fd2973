"""Which device a name means."""

from __future__ import annotations

import pytest

from refutable.errors import BadInput
from refutable.models import device
from refutable.models.device import EVERY_GPU, Device, choose_device

TWO = (Device("cuda", "A", 10), Device("cuda:1", "A", 10))


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "cuda_devices", lambda: TWO)


def test_auto_is_the_first_gpu_and_every_gpu_is_asked_for(two: None) -> None:
    assert choose_device("auto") == TWO[0]
    assert choose_device("cuda:1") == TWO[1]
    every = choose_device(EVERY_GPU)
    assert (every.title, every.memory, every.largest, every.type) == ("2 x A", 20, 10, "cuda")


@pytest.mark.parametrize(
    ("asked", "said"), [("cuda:2", "2 CUDA"), ("gpu", "cuda:all"), ("cuda:every", "unknown"), ("", "unknown")]
)
def test_a_name_of_no_device_is_bad_input(two: None, asked: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        choose_device(asked)


def test_one_gpu_is_not_every(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "cuda_devices", lambda: TWO[:1])
    with pytest.raises(BadInput, match="1 CUDA"):
        choose_device(EVERY_GPU)
