"""The command: how long judging a suite of training checkpoints from the store takes, and how much memory; no torch.

Every checkpoint of the Pythia models has a made-up trace of its own in the store, of the model's true number of layers.
The store is filled in one process and judged in another, whose peak memory is told.
"""

from __future__ import annotations

import cProfile
import itertools
import json
import os
import pstats
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.shelf import Shelf, claims, fill_store
from refutable.claims.cases import Case
from refutable.models.training import SCHEDULES
from refutable.options import Options
from refutable.session import Session

MODELS = ("70m", "160m", "410m", "1b", "1.4b", "2.8b", "6.9b", "12b")
ALONG = (("trend", "step"), ("trend", "log_step"), ("slope", "tokens_seen"), ("spearman", "step"))
LATER = {"statistic": "boundary", "fact": "step", "holds": "> 0.5", "predicts": "<= 100000"}
ONE_SAMPLE = frozenset(("mean", "median", "trimmed_mean", "share_of_prompts"))

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    number: Annotated[int, typer.Option("--claims", min=1, help="claims, each about every checkpoint")] = 40,
    models: Annotated[int, typer.Option(min=1, max=len(MODELS), help="models with every checkpoint")] = len(MODELS),
    each: Annotated[bool, typer.Option(help="a verdict for each checkpoint, instead of for each trajectory")] = False,
    profile: Annotated[int, typer.Option(min=0, help="also show so many of the slowest functions")] = 0,
) -> None:
    """Fill a store with a trace of every checkpoint and print the time and the memory that judging them takes."""
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), _on_each(number) if each else _along(number), models)
        for step, more in (("fill", []), ("judge", ["--profile", str(profile)])):
            command = [sys.executable, "-m", "benchmarks.checkpoints", step, folder, *more]
            subprocess.run(command, check=True, env={**os.environ, "REFUTABLE_CACHE": f"{folder}/cache"})


@app.command(hidden=True)
def fill(folder: Path) -> None:
    """Fill the store."""
    started = time.perf_counter()
    stored = fill_store(_prepared(folder))
    size = sum(file.stat().st_size for file in (folder / "cache").rglob("*") if file.is_file())
    typer.echo(f"{stored} stored traces ({size / 1e9:.2f} GB), made up in {time.perf_counter() - started:.0f} s")


@app.command(hidden=True)
def judge(folder: Path, profile: int = 0) -> None:
    """Judge every case from the store."""
    started = time.perf_counter()
    session = _prepared(folder)
    session.source.finder = Shelf(session.source.finder.hashes, session.source.finder.device, offline=True)
    session.plan_for(session.cases)
    prepared = time.perf_counter() - started
    profiler = cProfile.Profile()
    if profile:
        profiler.enable()
    started, busy = time.perf_counter(), time.process_time()
    verdicts = Counter(session.try_case(case).verdict.value for case in session.cases)
    judged, busy = time.perf_counter() - started, time.process_time() - busy
    profiler.disable()
    assert "torch" not in sys.modules, "judging imported torch"
    assert not {"NOT_MEASURED", "ERROR"} & verdicts.keys(), verdicts
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    of = f"{_claims(session.cases)} claims, {len(session.cases):,} verdicts on {len(session.source.used):,} checkpoints"
    typer.echo(f"{of}: {', '.join(f'{n:,} {verdict}' for verdict, n in verdicts.most_common())}")
    typer.echo(f"reading and checking the claims, expanding the revisions, planning: {prepared:.1f} s")
    each = 1000 * busy / len(session.cases)
    typer.echo(f"judging: {judged:.1f} s, {busy:.1f} s of it computing: {each:.2f} ms a verdict")
    typer.echo(f"peak memory of the process: {peak:.2f} GB; without torch")
    if profile:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(profile)


def _claims(cases: tuple[Case, ...]) -> int:
    return len({case.claim.id for case in cases})


def _on_each(number: int) -> list[dict[str, Any]]:
    """Return claims that come to a verdict for each checkpoint, of many statistics and metrics."""
    found = [*claims(number, [], controls=False)]
    for one in found:
        if one["test"].get("layer") == 7:
            one["test"]["layer"] = 6  # the last of the shallowest
    return found


def _along(number: int) -> list[dict[str, Any]]:
    """Return claims that come to a verdict for each model: slopes, rank correlations and first steps of metrics."""
    plain = (one for one in _on_each(20 * number) if one["test"]["statistic"] in ONE_SAMPLE)
    kinds = itertools.cycle([*({"statistic": take, "fact": fact, "predicts": "> 0"} for take, fact in ALONG), LATER])
    made = []
    for one, kind in itertools.islice(zip(plain, kinds, strict=False), number):
        read = {key: value for key, value in one["test"].items() if key in ("of", "layer", "position", "norm")}
        made.append({**one, "test": {**read, **kind}})
    return made


def _write(folder: Path, made: list[dict[str, Any]], models: int) -> None:
    of = {"names": [f"pythia-{size}" for size in MODELS[:models]], "revisions": ["step*"]}
    lines = (f"  - {json.dumps({**one, 'models': of})}" for one in made)
    (folder / "claims.yaml").write_text("\n".join(["schema: 1", "claims:", *lines]) + "\n", encoding="utf-8")


def _prepared(folder: Path) -> Session:
    named = tuple(f"pythia-{size}" for size in MODELS)
    of_training = SCHEDULES["pythia"].checkpoints
    options = Options(folder / "claims.yaml", models=named, revisions=of_training, device="cpu", offline=True)
    return Session.prepare(options)


if __name__ == "__main__":
    app()
