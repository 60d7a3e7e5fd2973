"""What loading takes is asked for before it begins, and no more is taken."""

from __future__ import annotations

from pathlib import Path

import gguf
import pytest
import torch
from gguf_files import write_gguf
from heard import Heard
from tiny import VARIANTS, row_of, tiny_model

from refutable._util.host import NO_LIMIT, memory_left, memory_limit
from refutable._util.progress import listening
from refutable.errors import WeightsUnavailable
from refutable.measurement.loading.bin_files import map_tensors
from refutable.measurement.loading.load import load_model
from refutable.measurement.loading.room import BUFFERS, Room, check_room, room_to_convert, room_to_read
from refutable.models.gguf_header import read_gguf
from refutable.models.subject import Subject
from refutable.models.weights import Finder

MB = 1_000_000


def own_memory() -> int:
    """Return the bytes that this process holds beside pages of files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's account of memory")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_mapped_file_costs_the_memory_of_the_model_and_not_of_the_file(dtype: torch.dtype, tmp_path: Path) -> None:
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    shape = GPTNeoXConfig(
        hidden_size=512, intermediate_size=2048, num_hidden_layers=12, num_attention_heads=8, vocab_size=4096
    )
    torch.save(GPTNeoXForCausalLM(shape).state_dict(), tmp_path / "pytorch_model.bin")
    size = (tmp_path / "pytorch_model.bin").stat().st_size
    before = own_memory()
    tensors = map_tensors([tmp_path / "pytorch_model.bin"])
    network = GPTNeoXForCausalLM.from_pretrained(None, config=shape, state_dict=tensors, dtype=dtype, device_map="cpu")
    assert size > 150 * MB
    assert own_memory() - before < (0 if dtype == torch.float32 else size / 2) + 30 * MB
    assert torch.equal(
        network.gpt_neox.layers[3].mlp.dense_h_to_4h.weight,
        tensors["gpt_neox.layers.3.mlp.dense_h_to_4h.weight"].to(dtype),
    )


def test_what_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "pytorch_model.bin"
    for legacy, unmapped in ((False, 0), (True, 1)):
        torch.save({"a": torch.zeros(1000, 1000)}, file, _use_new_zipfile_serialization=not legacy)
        size = file.stat().st_size
        on_cpu = room_to_read(MB, Subject("tiny", dtype="bfloat16"), [file])
        assert on_cpu == Room(size, 2 * MB + unmapped * size + BUFFERS)
        on_gpu = room_to_read(MB, Subject("tiny", device="cuda:1"), [file])
        assert on_gpu == Room(size, unmapped * size + BUFFERS)
    path = write_gguf(tmp_path / "a.gguf", tiny_model(VARIANTS["llama"]).network, kind=gguf.GGMLQuantizationType.Q8_0)
    elements = sum(one.numel() for one in tiny_model(VARIANTS["llama"]).network.parameters())
    assert room_to_convert(read_gguf(path)) == Room(path.stat().st_size, 8 * elements + BUFFERS, 4 * elements)


@pytest.mark.parametrize(
    ("room", "told"),
    [
        (Room(1, 10**17), r"tiny needs 100000000.0 GB of the host's memory to load; \d+.\d GB are free"),
        (Room(1, 1, 10**17), r"tiny needs 100000000.0 GB of disk for converted weights; \d+.\d GB .* REFUTABLE_CACHE"),
    ],
)
def test_less_room_than_is_asked_for_is_told_before_anything_is_read(room: Room, told: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match=told):
        check_room("tiny", room, tmp_path / "not" / "there")


def test_a_model_that_does_not_fit_is_not_read(finder: Finder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refutable.measurement.loading.room.memory_left", lambda: BUFFERS)
    tiny_model(VARIANTS["llama"]).network.save_pretrained(tmp_path / "model")
    subject, row = Subject("tiny", str(tmp_path / "model")), row_of(VARIANTS["llama"])
    with pytest.raises(WeightsUnavailable, match=r"needs 1.0 GB of the host's memory to load; 1.0 GB are free"):
        load_model(row, subject, finder.find(row, subject), tmp_path)


def test_what_takes_long_is_told(tmp_path: Path) -> None:
    heard = Heard()
    with listening(heard):
        check_room("small", Room(1000, 1000), tmp_path)
        check_room("gptj", Room(24_000_000_000, 1_000_000), tmp_path)
    assert heard.lines == ["gptj: reading 24.0 GB of weights; at most 0.0 GB of host memory and nothing on disk"]


def test_the_limit_of_a_container(tmp_path: Path) -> None:
    assert memory_limit(tmp_path) == memory_left(tmp_path) == NO_LIMIT
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_limit(tmp_path) == memory_left(tmp_path) == NO_LIMIT
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.stat").write_text("anon 300\nfile 5000\nshmem 100\nactive_anon 7\n")
    assert (memory_limit(tmp_path), memory_left(tmp_path)) == (1000, 600)
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("900\n")
    (tmp_path / "memory" / "memory.stat").write_text("total_rss 850\ntotal_cache 20\n")
    assert (memory_limit(tmp_path), memory_left(tmp_path)) == (900, 50)
