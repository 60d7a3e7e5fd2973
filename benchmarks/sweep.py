"""How well a sweep uses several processes or GPUs: ``python -m benchmarks.sweep --devices cuda:all``.

Checkpoints of one shape are written to disk, each with weights of its own. A few are measured first, so that the plan's
time rests on this machine; then `refutable measure` takes the rest twice, each time into a store of its own: in one
process, and in several. Efficiency is the time of one over the time of several times their number.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any, NamedTuple

import typer
import yaml

SHAPES = {"160m": (768, 12), "70m": (512, 6), "tiny": (64, 2)}  # width and blocks of a GPT-NeoX
VOCABULARY = 50304
OF = (  # each of a pass of its own
    *("last_gain", "next_token_loss", "largest_head_share", "rank_gain", "token_reach", "perturbation_amplification"),
    *("lens_entropy", "sink_rate", "largest_over_median"),
)
FIRST = 3  # checkpoints that the plan's rates rest on
UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}


class Timed(NamedTuple):
    """What a sweep said and took."""

    planned: float
    seconds: float
    end: str


def write(folder: Path, number: int, shape: str, of: list[str]) -> list[str]:
    """Write a suite about so many checkpoints, and return their names."""
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, GPTNeoXConfig

    import refutable

    width, blocks = SHAPES[shape]
    shaped = {"hidden_size": width, "num_hidden_layers": blocks, "num_attention_heads": width // 64}
    config = GPTNeoXConfig(**shaped, intermediate_size=4 * width, vocab_size=VOCABULARY, dtype="float16")
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).half()
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    twin = Path(refutable.__file__).parent / "data" / "twins" / "twin-parallel"
    rows: dict[str, Any] = {}
    for step in range(number):
        at = folder / f"step{step}"
        at.mkdir(parents=True)
        config.save_pretrained(at)
        some = {name: tensor * (1 + step / 1000) for name, tensor in tensors.items()}
        save_file(some, at / "model.safetensors", metadata={"format": "pt"})
        for file in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(twin / file, at / file)
        told = {key: value for key, value in json.loads((at / "config.json").read_text()).items() if value is not None}
        rows[at.name] = {
            "title": f"Checkpoint {step}",
            "hub": None,
            "weights": str(at),
            "family": "gpt_neox",
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "organisation": "nobody",
            "licence": "none",
            "config": told,
        }
    claims = [
        {
            "id": f"{name.replace('_', '-')}-is-positive",
            "statement": f"The {name.replace('_', ' ')} is positive.",
            "evidence": "dynamical" if name.startswith("perturbation") else "measured",
            "models": list(rows),
            "for": "each",
            "test": {"statistic": "mean", "of": name, "predicts": "> 0"} | _layer(name),
        }
        for name in of
    ]
    (folder / "models.yaml").write_text(yaml.safe_dump({"models": rows}))
    (folder / "claims.yaml").write_text(yaml.safe_dump({"schema": 1, "claims": claims}))
    ini = "[pytest]\nrefutable_claims = claims.yaml\nrefutable_models = models.yaml\n"
    (folder / "pytest.ini").write_text(ini + "addopts = --pyargs\ntestpaths = refutable.suite\n")
    return list(rows)


def sweep(folder: Path, cache: Path, words: list[str]) -> Timed:
    """Run a sweep, and return what it planned and took."""
    environment = {**os.environ, "REFUTABLE_CACHE": str(cache)}
    command = [sys.executable, "-c", "from refutable.cli import app; app()", "measure", "--offline", *words]
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(done.stdout[-4000:] + done.stderr[-4000:])
    planned = next((line for line in done.stdout.splitlines() if line.startswith("estimated time")), "")
    end = done.stdout.strip().splitlines()[-1]
    return Timed(_seconds(planned.partition(": ")[2].partition(", from")[0]), seconds, end)


def parts(cache: Path) -> str:
    """Return what loading and each pass took on average, as the traces of a store say."""
    from refutable.traces.store import open_store

    passes, loads = defaultdict(list), []
    for one in open_store(str(cache)).stored():
        passes[one.meta["pass"]].append(one.meta["pass_seconds"])
        loads.append(one.meta["load_seconds"])
    told = ", ".join(f"{name} {fmean(times):.2f}" for name, times in sorted(passes.items()))
    return f"  seconds a checkpoint: loading {fmean(loads):.2f}, {told}"


def main(
    number: Annotated[int, typer.Option("--checkpoints", min=FIRST + 2)] = 40,
    shape: Annotated[str, typer.Option(help=", ".join(SHAPES))] = "160m",
    devices: Annotated[str, typer.Option(help="cuda:all, or nothing for processes that share one device")] = "",
    processes: Annotated[int, typer.Option(help="processes for each device")] = 1,
    device: Annotated[str, typer.Option(help="where no devices are named")] = "auto",
    dtype: str = "float32",
    of: Annotated[str, typer.Option(help="metrics that are asked for, with commas")] = ",".join(OF),
) -> None:
    """Print what one process and several take, and how far the plan was off."""
    place = Path(tempfile.mkdtemp(prefix="sweep-"))
    names = write(place / "suite", number, shape, of.split(","))
    size = sum(file.stat().st_size for file in (place / "suite").rglob("*.safetensors"))
    print(f"{number} checkpoints of {size / number / 1e6:.0f} MB each", flush=True)
    common = ["--dtype", dtype, *([] if devices else ["--device", device])]
    named = [word for name in names for word in ("--model", name)]
    alone = ["--devices=cuda:0"] if devices else []
    told = sweep(place / "suite", place / "begun", [*common, *named[: 2 * FIRST], *alone])
    print(f"the first {FIRST}, at assumed rates: planned {told.planned:.0f} s, took {told.seconds:.1f} s: {told.end}")
    took: list[float] = []
    several = [*([f"--devices={devices}"] if devices else []), "--processes", str(processes)]
    for name, words in (("one process", alone), (" ".join(several), several)):
        cache = place / f"store{len(took)}"
        shutil.copytree(place / "begun", cache)
        found = sweep(place / "suite", cache, [*common, *named, *words])
        took.append(found.seconds)
        said = f"planned {found.planned:.0f} s, took {found.seconds:.1f} s ({found.planned / found.seconds:.2f})"
        print(f"{name}: {said}: {found.end}\n{parts(cache)}", flush=True)
    workers = processes * (_cards() if devices == "cuda:all" else max(1, len(devices.split(","))))
    print(f"{workers} processes: {took[0] / took[1]:.2f} times as fast, efficiency {took[0] / took[1] / workers:.2f}")
    shutil.rmtree(place)


def _layer(name: str) -> dict[str, str]:
    from refutable.metrics import METRICS

    return {"layer": "last"} if METRICS[name].per == "layer" else {}


def _cards() -> int:
    import torch

    return torch.cuda.device_count()


def _seconds(text: str) -> float:
    """Return a duration as the plan writes it, ``2 min 06 s``, in seconds."""
    return sum(float(number) * UNITS[unit] for number, unit in re.findall(r"([\d.]+) (h|min|s)\b", text))


if __name__ == "__main__":
    typer.run(main)
