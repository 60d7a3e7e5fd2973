"""What measuring tells while it goes on: bytes that are read or drawn, prompts that are done, the pass at hand."""

from __future__ import annotations

from pathlib import Path
from timeit import repeat

import pytest
import torch
from gguf_files import write_gguf
from heard import Heard
from safetensors.torch import save_file
from tiny import VARIANTS, prompt_set, row_of, source_of, tiny_model

from refutable._util.progress import BYTES, Task, listening, task
from refutable.measurement.loading import read_fast
from refutable.measurement.loading.converted import converted_gguf
from refutable.measurement.loading.initialise import initialise
from refutable.measurement.loading.load import draw, load_model
from refutable.measurement.loading.read_fast import Layout, read_tensors
from refutable.measurement.passes.batches import run_in_batches
from refutable.measurement.passes.jacobian import run_jacobian
from refutable.measurement.session import measure_subject
from refutable.models.families import family_of
from refutable.models.file_hashes import FileHashes
from refutable.models.safetensors_header import read_header
from refutable.models.subject import Subject
from refutable.models.weights import Finder
from refutable.traces.passes import Pass


def of_bytes(heard: Heard) -> Task:
    (found,) = [one for one in heard.tasks if one.unit == BYTES and not one.name]
    return found


def test_a_subjects_loading_and_each_of_its_passes_are_named() -> None:
    variant, heard = VARIANTS["gpt2"], Heard()
    passes = [Pass("forward", "short"), Pass("forward", "short", "ablate-mlp")]
    source = source_of(variant)
    wanted = {spec: (source, spec.title, {}) for spec in passes}
    subject = Subject("tiny", "init")
    with listening(heard):
        list(measure_subject(row_of(variant), subject, wanted, lambda name: prompt_set(), Path()))
    assert heard.names == [
        "tiny, seed 0: loading",
        "tiny: drawing weights",
        "tiny, seed 0: pass 1 of 2, forward over short",
        "tiny, seed 0: pass 2 of 2, forward under ablate-mlp of every block over short",
    ]
    prompts = [one for one in heard.tasks if one.unit == "prompts"]
    assert [(one.done, one.total) for one in prompts] == [(len(prompt_set()),) * 2] * 2


def test_reading_tells_the_bytes_of_each_tensor(finder: Finder, tmp_path: Path) -> None:
    model, heard = tiny_model(VARIANTS["llama"]), Heard()
    model.network.save_pretrained(tmp_path / "model")
    subject = Subject("tiny", str(tmp_path / "model"))
    source = finder.find(model.row, subject)
    with listening(heard):
        load_model(model.row, subject, source, tmp_path / "cache")
    read = of_bytes(heard)
    assert "tiny: reading weights" in heard.names
    assert read.total == read_header(tmp_path / "model" / "model.safetensors").size
    assert read.done == pytest.approx(read.total)


def test_reading_with_threads_tells_every_byte_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_fast, "PIECE", 1024)
    save_file({"x": torch.arange(10_000.0), "y": torch.arange(300)}, tmp_path / "model.safetensors")
    heard = Heard()
    with listening(heard):
        read_tensors([Layout(read_header(tmp_path / "model.safetensors"))], torch.device("cpu"))
    assert (of_bytes(heard).done, of_bytes(heard).total) == (42_400, 42_400)


def test_drawing_by_a_rule_tells_the_bytes_that_are_drawn() -> None:
    network, heard = draw(VARIANTS["gpt2"].config, Subject("tiny", "init")), Heard()
    with listening(heard):
        initialise(network, family_of("gpt2"), "gpt2", 0)
    assert of_bytes(heard).done == of_bytes(heard).total == sum(one.nbytes for one in network.parameters())


def test_converting_tells_what_it_does_and_the_bytes_that_are_unpacked(tmp_path: Path) -> None:
    write_gguf(tmp_path / "model.gguf", tiny_model(VARIANTS["llama"]).network)
    heard = Heard()
    with listening(heard):
        converted_gguf(tmp_path / "model.gguf", "digest", tmp_path / "cache")
    assert [name for name in heard.names if name.startswith("model.gguf")] == [
        "model.gguf: converting to safetensors, once",
        "model.gguf: converting its tokenizer, once",
        "model.gguf: writing converted weights, once",
    ]
    unpacked = next(one for one in heard.tasks if one.unit == BYTES and not one.name)
    assert 0 < unpacked.done <= unpacked.total  # type: ignore[operator]


def test_hashing_tells_the_bytes_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 3_000_000)
    heard = Heard()
    with listening(heard):
        for _ in range(2):  # the second time it is known
            FileHashes(tmp_path / "memo").sha256(tmp_path / "file")
    assert [(one.name, one.done, one.total) for one in heard.tasks] == [("hashing file", 3_000_000, 3_000_000)]


def test_the_share_of_work_grows_with_batches_and_ends_at_all_of_it() -> None:
    model, heard, shares = tiny_model(VARIANTS["gpt2"]), Heard(), []
    ids = [[1] * length for length in (300, 5, 5, 4, 3)]

    def run(cut: object) -> None:
        shares.append((heard.tasks[-1].share, heard.tasks[-1].step))

    with listening(heard):
        run_in_batches(model, ids, run)
    assert len(shares) > 1
    assert shares[0] == (0.0, pytest.approx(324 / (324 + 4 * 5 + 24)))  # padded tokens, and 24 for each pass
    assert sum(step for _, step in shares) == pytest.approx(1.0)
    assert [share for share, _ in shares] == sorted(share for share, _ in shares)
    assert heard.tasks[-1].done == len(ids)


def test_the_jacobian_tells_how_many_blocks_of_a_batch_are_done() -> None:
    heard = Heard()
    with listening(heard):
        run_jacobian(tiny_model(VARIANTS["gpt2"]), prompt_set(), "key", {}, Pass("jacobian", "short"))
    assert heard.tasks[-1].part == 1.0


def test_a_task_costs_next_to_nothing() -> None:
    """A batch on a CPU takes milliseconds; ten thousand tasks here take well under a tenth of a second."""

    def once() -> None:
        with task("", 10, "prompts") as running:
            running.advance()

    assert min(repeat(once, number=1000, repeat=5)) / 1000 < 1e-4
