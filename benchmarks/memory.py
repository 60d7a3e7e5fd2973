"""The forecast of memory against what the device reports: ``python -m benchmarks.memory [--device cuda]``.

Each pass runs in a process of its own on freshly drawn weights. On a CPU the report is the growth of the process's peak
resident memory over what it held before loading; on a GPU, the most that torch allocated. The table shows both and how
far the forecast is off.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

MODELS = ("pythia-70m", "pythia-160m", "gpt2", "opt-125m", "smollm2")
PASSES = ("forward", "loss", "heads", "rank", "reach", "perturbation")


def measure(model: str, name: str, dtype: str, device: str, prompts: str) -> dict[str, float]:
    """Return bytes as forecast and as reported, of one pass in this process; loading apart."""
    import torch

    from refutable.measurement.forecast import forecast
    from refutable.measurement.loading.load import load_model
    from refutable.measurement.session import make_pass
    from refutable.models.device import choose_device
    from refutable.models.file_hashes import FileHashes
    from refutable.models.registry import load_registry
    from refutable.models.subject import Subject
    from refutable.models.weights import Finder
    from refutable.prompts.find import given_prompts
    from refutable.traces.passes import Pass
    from refutable.traces.store import cache_folder

    row, spec, where = load_registry()[model], Pass(name, prompts), choose_device(device)
    subject = Subject(model, weights="init", dtype=dtype, device=where.name)
    source = Finder(FileHashes(cache_folder()), where, offline=True, cpu_asked=True).find(row, subject)
    texts = given_prompts(prompts)
    small = load_model(load_registry()["tiny-gpt2"], replace(subject, model="tiny-gpt2"), _tiny(where), Path())
    make_pass(small, spec, texts, "0" * 64, {"prompt_set": texts.name})  # what torch keeps from its first pass on
    gpu = where.type == "cuda"
    if gpu:
        torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated() if gpu else _resident("VmRSS")
    loaded = load_model(row, subject, source, cache_folder())
    after = torch.cuda.memory_allocated() if gpu else _resident("VmRSS")
    if gpu:
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew
    make_pass(loaded, spec, texts, "0" * 64, {"prompt_set": texts.name})
    peak = torch.cuda.max_memory_allocated() if gpu else _resident("VmHWM")
    lengths = [len(ids) for ids in loaded.tokenizer.encode(texts)]
    said = forecast(row, source.config, subject, spec, lengths)
    return {"weights": said.weights, "loaded": after - before, "forecast": said.total, "peak": peak - before}


def _tiny(where: object) -> object:
    from refutable.models.file_hashes import FileHashes
    from refutable.models.registry import load_registry
    from refutable.models.subject import Subject
    from refutable.models.weights import Finder

    finder = Finder(FileHashes(Path()), where, offline=True)  # type: ignore[arg-type]
    return finder.find(load_registry()["tiny-gpt2"], Subject("tiny-gpt2", weights="init"))


def _resident(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024


def main(
    models: Annotated[list[str] | None, typer.Argument(help="rows of the registry")] = None,
    passes: Annotated[str, typer.Option(help="passes, with commas")] = ",".join(PASSES),
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16")] = "float32",
    device: Annotated[str, typer.Option(help="cpu or cuda")] = "cpu",
    prompts: Annotated[str, typer.Option(help="a packaged set or a file")] = "grand-unified-25",
    one: Annotated[bool, typer.Option("--one", hidden=True)] = False,
) -> None:
    """Print a line for each model and pass: forecast, what the device reports, and the error of the forecast."""
    names, errors = models or list(MODELS), []
    if one:
        print(json.dumps(measure(names[0], passes, dtype, device, prompts)))
        return
    for model in names:
        for name in passes.split(","):
            words = [sys.executable, "-m", "benchmarks.memory", model, "--passes", name, "--one", "--dtype", dtype]
            done = subprocess.run([*words, "--device", device, "--prompts", prompts], capture_output=True, text=True)
            if done.returncode:
                print(f"{model} {name}: {done.stderr.strip().splitlines()[-1]}")
                continue
            found = json.loads(done.stdout.splitlines()[-1])
            errors.append(found["forecast"] / found["peak"] - 1)
            told = ", ".join(f"{what} {size / 1e6:.0f} MB" for what, size in found.items())
            print(f"{model} {name}: {told}: off by {errors[-1]:+.1%}", flush=True)
    if errors:
        within = sum(abs(error) <= 0.15 for error in errors)
        print(f"{within} of {len(errors)} within 15 %; worst {max(errors, key=abs):+.1%}")


if __name__ == "__main__":
    typer.run(main)
