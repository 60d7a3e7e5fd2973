"""How many tokens a second a machine trains, by the number of processes and what is compiled."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from refutable.twins.design import Twin
from refutable.twins.errors import TwinsError
from refutable.twins.trainer import Settings, Trainer


def parse(text: str, device: str) -> tuple[int, Settings]:
    """Return the processes and settings of ``4:block+graph``.

    Raises:
        TwinsError: it is not of that form.
    """
    number, _, rest = text.partition(":")
    compiled, plus, graph = rest.partition("+")
    if not number.isdigit() or compiled not in ("none", "block", "loss") or (plus and graph != "graph"):
        raise TwinsError(f"--settings {text!r}: write PROCESSES:none, block or loss, and +graph, as in 4:block+graph")
    return int(number), Settings(device=device, compile=compiled, graph=bool(plus))  # type: ignore[arg-type]


def bench(
    twin: Twin, data: Path, settings: Sequence[tuple[int, Settings]], seconds: float, say: Callable[[str], None] = print
) -> None:
    """Say the tokens a second of each setting, over all its processes, and how long they took to be ready."""
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "2")  # inherited
    context = multiprocessing.get_context("spawn")
    for processes, one in settings:
        barrier, results = context.Barrier(processes), context.Queue()
        began = time.monotonic()
        workers = [
            context.Process(
                target=_work,
                args=(dataclasses.replace(twin, seed=i), data, one, seconds, barrier, results),
                daemon=True,
            )
            for i in range(processes)
        ]
        for worker in workers:
            worker.start()
        told: list[Any] = []
        while len(told) < processes and (any(worker.is_alive() for worker in workers) or not results.empty()):
            if not results.empty():
                told.append(results.get())
            time.sleep(0.05)
        for worker in workers:
            worker.join(timeout=30)
        name = f"{processes}:{one.compile}{'+graph' if one.graph else ''}"
        if errors := [text for text, *_ in told if text]:
            say(f"{twin.size.name} {name}: failed: {errors[0]}")
        elif len(told) < processes:
            say(f"{twin.size.name} {name}: a worker ended without a word")
        else:
            rate = sum(steps * twin.size.batch * twin.size.context / took for _, steps, took, _, _ in told)
            ready = max(at for *_, at, _ in told) - began
            memory = max(used for *_, used in told)
            say(
                f"{twin.size.name} {name}: {rate / 1e6:.2f} M tokens/s, ready after {ready:.0f} s,"
                f" {memory / 2**30:.1f} GiB a process, all {time.monotonic() - began:.0f} s"
            )


def _work(twin: Twin, data: Path, settings: Settings, seconds: float, barrier: Any, results: Any) -> None:
    import torch

    from refutable.twins.corpus.tokens import load_tokens

    try:
        trainer = Trainer(twin, load_tokens(data / str(twin.size.vocabulary)), settings)
        trainer.steps_for(twin, 0.5)
        ready = time.monotonic()
        barrier.wait(timeout=300)
        began = time.monotonic()
        steps = trainer.steps_for(twin, seconds)
        took = time.monotonic() - began
        memory = torch.cuda.max_memory_allocated() if settings.device == "cuda" else 0
        results.put(("", steps, took, ready, memory))
    except Exception as error:  # said in the parent's line, and the next setting is tried
        barrier.abort()
        results.put((f"{type(error).__name__}: {str(error)[:300]}", 0, 1.0, time.monotonic(), 0))
