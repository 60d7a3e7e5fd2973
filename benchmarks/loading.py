"""How long loading safetensors from the page cache to the device takes: ``python -m benchmarks.loading [FOLDER]``."""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from transformers.utils.logging import disable_progress_bar

from benchmarks.clock import synchronise
from benchmarks.table import MILLI, console, plain_table
from refutable.errors import RefutableError
from refutable.measurement.loading.load import draw, load_model
from refutable.models.device import choose_device
from refutable.models.file_hashes import FileHashes
from refutable.models.registry import load_registry
from refutable.models.row import ModelRow
from refutable.models.subject import INIT, Subject
from refutable.models.weight_files import weight_files
from refutable.models.weights import Finder


def main(
    folder: Annotated[Path | None, typer.Argument(help="safetensors of the model; drawn and saved if none")] = None,
    model: Annotated[str | None, typer.Option(help="registry name; Pythia-410m on a CPU, GPT-J on a GPU")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32 on a CPU, bfloat16 on a GPU")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N")] = "auto",
    rounds: Annotated[int, typer.Option(min=1, help="timed rounds, after one that warms")] = 5,
) -> None:
    """Time transformers' from_pretrained, safetensors' own reader and this project's load_model, in turn."""
    with tempfile.TemporaryDirectory(dir=folder.parent if folder else None) as aside:
        try:
            _main(folder, Path(aside), model, dtype, device, rounds)
        except RefutableError as error:
            typer.echo(f"ERROR: {error}", err=True)
            raise typer.Exit(4) from None


def _main(folder: Path | None, aside: Path, model: str | None, dtype: str | None, device: str, rounds: int) -> None:
    disable_progress_bar()
    at = choose_device(device)
    on_gpu = at.type == "cuda"
    row = load_registry()[model or ("gptj" if on_gpu else "pythia-410m")]
    dtype = dtype or ("bfloat16" if on_gpu else "float32")
    if folder is None:
        folder = _drawn(row, dtype, at.name, aside / "weights")
    subject = Subject(row.name, str(folder), dtype=dtype, device=at.name)
    source = Finder(FileHashes(aside), at, cpu_asked=True).find(row, subject)
    files = weight_files(folder)[0]
    loaders: dict[str, Callable[[], Any]] = {
        "transformers: from_pretrained(device_map=...)": lambda: _from_pretrained(folder, dtype, at.name),
        "safetensors: load_file, tensors only": lambda: _tensors(files, at.name),
        "refutable: load_model": lambda: load_model(row, subject, source, aside),
    }
    size = sum(file.stat().st_size for file in files)
    seconds = _time(loaders, rounds, torch.device(at.name))
    table = plain_table("", "median ms", "min ms", "GB/s")
    for name, all_rounds in seconds.items():
        median = statistics.median(all_rounds)
        table.add_row(name, f"{median * MILLI:.0f}", f"{min(all_rounds) * MILLI:.0f}", f"{size / median / 1e9:.1f}")
    out = console()
    out.print(
        f"{row.title}, {size / 1e9:.2f} GB of safetensors in {len(files)} files, in the page cache, to {at.title} as"
        f" {dtype}; medians of {rounds} warmed, interleaved rounds"
    )
    out.print(table)
    out.print(
        "" if on_gpu else "on a CPU the files are mapped, not read: no row moves the weights before they are used"
    )


def _drawn(row: ModelRow, dtype: str, device: str, folder: Path) -> Path:
    """Draw a model at its true shape and save it; only the size of its weights matters."""
    draw(row.config, Subject(row.name, INIT, dtype=dtype, device=device)).save_pretrained(folder)
    gc.collect()
    return folder


def _from_pretrained(folder: Path, dtype: str, device: str) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=getattr(torch, dtype), device_map={"": device}, local_files_only=True
    )


def _tensors(files: list[Path], device: str) -> list[dict[str, torch.Tensor]]:
    from safetensors.torch import load_file

    return [load_file(file, device=device) for file in files]


def _time(loaders: dict[str, Callable[[], Any]], rounds: int, device: torch.device) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in loaders}
    for each in range(-1, rounds):
        for name, load in loaders.items():
            gc.collect()
            if device.type == "cuda":
                torch.cuda.empty_cache()
            synchronise(device)
            started = time.perf_counter()
            loaded = load()
            synchronise(device)
            if each >= 0:
                seconds[name].append(time.perf_counter() - started)
            del loaded
    return seconds


if __name__ == "__main__":
    typer.run(main)
