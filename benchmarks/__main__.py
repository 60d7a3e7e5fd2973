"""The command: one table, every row measured in the same run."""

from __future__ import annotations

from typing import Annotated

import torch
import typer

from benchmarks.clock import time_rows
from benchmarks.peers import PEERS, peer_rows
from benchmarks.rows import Row, own_rows
from benchmarks.table import console, show
from benchmarks.workload import make_workload
from refutable.errors import RefutableError


def main(
    model: Annotated[str | None, typer.Option(help="registry name; SmolLM2 on a CPU, GPT-J on a GPU")] = None,
    weights: Annotated[str | None, typer.Option(help="pretrained, init or a PATH")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32 on a CPU, bfloat16 on a GPU")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps")] = "auto",
    prompts: Annotated[int, typer.Option(min=1, help="beyond 25: seeded stand-in ids of the same lengths")] = 25,
    rounds: Annotated[int, typer.Option(min=1, help="timed rounds, after one that warms")] = 5,
    threads: Annotated[int | None, typer.Option(help="torch's threads on a CPU; its own choice by default")] = None,
    peers: Annotated[bool, typer.Option(help="also run TransformerLens and nnsight where installed")] = True,
) -> None:
    """Time this project beside the notebook's loop, the bare pass, TransformerLens and nnsight."""
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        work = make_workload(model, weights, dtype, device, prompts)
    except RefutableError as error:
        typer.echo(
            f"ERROR: {error}\nneeds no weights: python -m benchmarks --model pythia-70m --weights init", err=True
        )
        raise typer.Exit(4) from None
    rows: dict[str, Row] = own_rows(work)
    absent: dict[str, str] = {}
    for title, row in peer_rows(work) if peers else ():
        if isinstance(row, Row):
            rows[title] = row
        else:
            absent[title] = row
    timings = dict(zip(rows, time_rows([*rows.values()], rounds, work.model.device), strict=True))
    out = console()
    out.print(work.describe())
    out.print(f"medians of {rounds} warmed, interleaved rounds")
    out.print(show(work, timings, absent))
    out.print(f"not run: {', '.join(PEERS.values())} (--no-peers)" if not peers else "")


if __name__ == "__main__":
    typer.run(main)
