"""Damage to the cache: whatever is changed, moved or cut, the verdicts are those of an untouched cache, at once."""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from gguf_files import write_gguf
from mutate import mutated
from safetensors.torch import load_file, save_file
from tally import Tally
from tiny import VARIANTS, row_of, tiny_model

from refutable.errors import RefutableError
from refutable.measurement.loading.load import load_model
from refutable.models.device import Device
from refutable.models.file_hashes import FileHashes
from refutable.models.subject import Subject
from refutable.models.weights import Finder
from refutable.options import Options
from refutable.session import Session

CLAIMS = """\
schema: 1
claims:
  - id: grows
    statement: The last block lengthens the stream.
    evidence: measured
    models: [tiny-l]
    test: {statistic: mean, of: last_gain, predicts: "> 1"}
    controls: [initialization]
  - id: follows
    statement: Gain follows entropy.
    evidence: measured
    models: [tiny-l]
    test: {statistic: pearson, of: [last_gain, output_entropy], predicts: "> 0"}
  - id: drawn
    statement: At initialisation the last block lengthens the stream.
    evidence: initialization
    models: [tiny-gpt2]
    seeds: [0, 1, 2]
    test: {statistic: mean, of: last_gain, predicts: "> 1"}
  - id: wired
    statement: Its MLP does not read what attention adds.
    evidence: wiring
    models: [tiny-l]
    test: {probe: mlp_reads_attention, equals: sequential}
"""
Rows = dict[str, dict[str, Any]]


class Bench:
    """A small suite whose model is given as a GGUF file or as .bin, and a cache with all that it needs."""

    def __init__(self, folder: Path, form: str) -> None:
        self.folder = folder
        network = tiny_model(VARIANTS["llama"]).network
        row = row_of(VARIANTS["llama"]).model_dump(include={"family", "parameters", "config"})
        told = {"title": "Tiny L", "organisation": "me", "licence": "none", **row}
        (folder / "models.yaml").write_text(json.dumps({"models": {"tiny-l": told}}))
        (folder / "claims.yaml").write_text(CLAIMS)
        if form == "gguf":
            weights = write_gguf(folder / "tiny.gguf", network)
        else:
            weights = folder / "weights"
            network.save_pretrained(weights)
            torch.save(load_file(weights / "model.safetensors"), weights / "pytorch_model.bin")
            (weights / "model.safetensors").unlink()
        self.options = Options(
            claims=folder / "claims.yaml",
            models_file=folder / "models.yaml",
            models=("tiny-l",),
            weights=str(weights),
            device="cpu",
            offline=True,
        )
        self.reference = self.run(folder / "pristine")

    def run(self, cache: Path) -> Rows:
        """Try every claim with a cache; return what was found, without times and places."""
        os.environ["REFUTABLE_CACHE"] = str(cache)
        session = Session.prepare(self.options)
        session.plan_for(session.cases)
        rows = {}
        for case in session.cases:
            row = session.try_case(case).as_dict()
            row["details"] = {name: text for name, text in row["details"].items() if name != "cache"}
            rows[case.id] = {name: value for name, value in row.items() if name not in ("seconds", "about")}
        return rows


def damage(cache: Path, rng: random.Random) -> str:
    """Change one to three things in a cache; return what was done, in words."""
    done = []
    if rng.random() < 0.3:  # so that what is converted has to be read again
        shutil.rmtree(cache / "traces", ignore_errors=True)
        done.append("traces removed")
    for _ in range(rng.choice((1, 1, 2, 3))):
        files = sorted(path for path in cache.rglob("*") if path.is_file())
        if not files:
            break
        file = rng.choice(files)
        name = file.relative_to(cache)
        match rng.randrange(9):
            case 0 | 1 | 2:
                data = bytearray(file.read_bytes() or b"\0")
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
                _rewrite(file, bytes(data), rng)
                done.append(f"a bit of {name}")
            case 3:
                _rewrite(file, mutated(file.read_bytes(), rng), rng)
                done.append(f"bytes of {name}")
            case 4:
                _rewrite(file, file.read_bytes()[: rng.randrange(1 + file.stat().st_size)], rng)
                done.append(f"{name} cut")
            case 5:
                file.unlink()
                done.append(f"{name} removed")
            case 6:
                other = rng.choice([one for one in files if one.name == file.name] or files)
                a, b = file.read_bytes(), other.read_bytes()
                _rewrite(file, b, rng), _rewrite(other, a, rng)
                done.append(f"{name} and {other.relative_to(cache)} swapped")
            case 7:
                place = file.parent
                siblings = [one for one in cache.glob("traces/*/*") if one.is_dir()]
                if place not in siblings:
                    continue
                other = rng.choice(siblings)
                if other != place:
                    aside = cache / "aside"
                    place.rename(aside), other.rename(place), aside.rename(other)
                done.append(f"folders {place.name[:8]} and {other.name[:8]} swapped")
            case _:
                left = file.parent / f".{file.name}-killed.aside"
                left.write_bytes(b"half")
                done.append(f"{left.relative_to(cache)} left")
    return ", ".join(done)


def _rewrite(file: Path, data: bytes, rng: random.Random) -> None:
    """Write other content, often with the old times, as a failing disk would."""
    before = file.stat()
    file.write_bytes(data)
    if rng.random() < 0.7:
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def flips(bench: Bench, kind: str, rng: random.Random, *, seconds: float, most: int) -> Tally:
    """Damage a copy of a cache and try every claim twice: right the first time, and mended by the second."""
    tally, end = Tally(kind), time.monotonic() + seconds
    while time.monotonic() < end and tally.trials < most:
        cache = bench.folder / "trial"
        shutil.rmtree(cache, ignore_errors=True)
        shutil.copytree(bench.folder / "pristine", cache)
        what = damage(cache, rng)
        try:
            first, second = bench.run(cache), bench.run(cache)
        except Exception as error:
            tally.add("unclear", f"{what}: {type(error).__name__}: {error}")
            continue
        if first.keys() != bench.reference.keys():
            tally.add("lost", what)
        elif second != bench.reference:
            tally.add("stuck", f"{what}: {_differing(second, bench.reference)}")
        elif first != bench.reference:
            tally.add("wrong", f"{what}: {_differing(first, bench.reference)}")
        else:
            tally.add("right")
    return tally


def _differing(found: Rows, reference: Rows) -> str:
    return "; ".join(
        f"{name}: {found.get(name, {}).get('why')}" for name in reference if found.get(name) != reference[name]
    )


def _drop(tensors: dict[str, Any], name: str, rng: random.Random) -> None:
    del tensors[name]


def _rename(tensors: dict[str, Any], name: str, rng: random.Random) -> None:
    tensors[f"{name}.{rng.randrange(99)}"] = tensors.pop(name)


def _add(tensors: dict[str, Any], name: str, rng: random.Random) -> None:
    tensors[f"{name.rpartition('.')[0]}.extra{rng.randrange(99)}"] = torch.ones(rng.randrange(1, 9))


def _reshape(tensors: dict[str, Any], name: str, rng: random.Random) -> None:
    tensor = tensors[name].reshape(-1)
    tensors[name] = torch.cat([tensor, tensor[:1]]) if rng.random() < 0.5 else tensor[:-1].clone()


def _bias(tensors: dict[str, Any], name: str, rng: random.Random) -> None:
    bias = name.rpartition(".")[0] + ".bias"
    if bias in tensors:
        del tensors[bias]
    else:
        tensors[bias] = torch.ones(len(tensors[name].reshape(-1)))


CHANGES: tuple[Callable[[dict[str, Any], str, random.Random], None], ...] = (_drop, _rename, _add, _reshape, _bias)


def hostile_weights(folder: Path, rng: random.Random, *, seconds: float, most: int) -> Tally:
    """Change what a weight file holds, or what its configuration says: no model may come of it."""
    tally, end = Tally("hostile weights"), time.monotonic() + seconds
    names = [name for name in VARIANTS if name not in ("gpt_neo",)]
    finder = Finder(FileHashes(folder / "memo"), Device("cpu", "a CPU", 1 << 50))
    while time.monotonic() < end and tally.trials < most:
        variant = rng.choice(names)
        model, place = tiny_model(VARIANTS[variant]), folder / "weights"
        shutil.rmtree(place, ignore_errors=True)
        model.network.save_pretrained(place)
        tensors = load_file(place / "model.safetensors")
        chosen = rng.choice(sorted(tensors))
        change = rng.choice(CHANGES)
        before = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        change(tensors, chosen, rng)
        what = f"{variant}: {change.__name__[1:]} {chosen}"
        if {name: tuple(tensor.shape) for name, tensor in tensors.items()} == before:
            continue
        if rng.random() < 0.3:
            (place / "model.safetensors").unlink()
            torch.save(tensors, place / "pytorch_model.bin")
        else:
            save_file(tensors, place / "model.safetensors", metadata={"format": "pt"})
        subject = Subject("tiny", str(place))
        try:
            load_model(model.row, subject, finder.find(model.row, subject), folder / "cache")
            tally.add("wrong", f"{what}: was loaded")
        except RefutableError as error:
            named = any(
                part in str(error) for part in (chosen.rpartition(".")[0], "numbers", "cannot be loaded", "extra")
            )
            tally.add("refused" if named else "refused, unnamed", what)
        except Exception as error:
            tally.add("unclear", f"{what}: {type(error).__name__}: {error}")
    return tally
