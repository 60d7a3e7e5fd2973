"""The command: how long judging stored traces takes, with everything a run does except pytest; without torch."""

from __future__ import annotations

import cProfile
import os
import pstats
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.shelf import fill_store, write_suite
from refutable.options import Options
from refutable.session import Session


def main(
    claims: Annotated[int, typer.Option(min=1, help="claims, each tried on each model")] = 1000,
    models: Annotated[int, typer.Option(min=1, help="models with a stored trace")] = 20,
    controls: Annotated[bool, typer.Option(help="with every control that a claim may declare")] = False,
    profile: Annotated[int, typer.Option(min=0, help="also show so many of the slowest functions")] = 0,
) -> None:
    """Judge generated claims on made-up stored traces and print the time each step took."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["REFUTABLE_CACHE"] = f"{folder}/cache"
        write_suite(Path(folder), claims, models, controls=controls)
        started = time.perf_counter()
        trial = Session.prepare(
            Options(Path(folder) / "claims.yaml", Path(folder) / "models.yaml", device="cpu", offline=True)
        )
        prepared = time.perf_counter() - started
        stored = fill_store(trial)
        trial.source.forget()
        profiler = cProfile.Profile()
        if profile:
            profiler.enable()
        started, busy = time.perf_counter(), time.process_time()
        rows = [trial.try_case(case) for case in trial.cases]
        judged, busy = time.perf_counter() - started, time.process_time() - busy
        profiler.disable()
    assert "torch" not in sys.modules, "judging imported torch"
    verdicts = Counter(row.verdict.value for row in rows)
    of = f"{claims} claims on {models} models, {stored} stored traces, {'with' if controls else 'without'} controls"
    typer.echo(f"{of}: {', '.join(f'{n} {verdict}' for verdict, n in verdicts.most_common())}")
    typer.echo(f"reading and checking the claims: {prepared:.2f} s")
    each = 1000 * busy / len(rows)
    typer.echo(f"judging: {judged:.2f} s, {busy:.2f} s of it computing: {each:.3f} ms a verdict; without torch")
    if profile:
        pstats.Stats(profiler).sort_stats("cumulative").print_stats(profile)


if __name__ == "__main__":
    typer.run(main)
