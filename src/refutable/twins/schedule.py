"""Trains many twins: worker processes on one device take them from a queue, those of one shape after each other.

A worker keeps its compiled network for as long as twins of that shape are left; then it takes the shape with the most
work left for each worker that is on it. A worker that dies leaves its twin's checkpoint, and the next run carries on.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from refutable.twins.design import Twin
from refutable.twins.trainer import Settings, Trainer, shape_of

TELL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What all workers of a run share.

    Attributes:
        data: folder of tokens by vocabulary (`corpus.tokens`).
        state: folder of checkpoints and of finished twins' records.
        keep: folder of the weights that are kept, and the names of the twins whose are.
        settings: how each trains.
        deadline: `time.time()` after which no worker goes on.
    """

    data: Path
    state: Path
    kept: frozenset[str]
    settings: Settings
    deadline: float


def cost(twin: Twin) -> float:
    """Return about how long a twin takes, in an arbitrary unit, by its tokens, blocks and vocabulary."""
    size = twin.size
    return size.tokens * (twin.cell.depth * (12 * size.width + 1500) + 2 * size.vocabulary) * size.width


def run(twins: Sequence[Twin], plan: Plan, processes: int, say: Callable[[str], None] = print) -> list[str]:
    """Train twins until all are done or the deadline passes; return the errors of workers that died.

    Args:
        twins: those still to be trained.
        plan: what the workers share.
        processes: how many workers.
        say: where progress goes, a line at a time.
    """
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "2")  # inherited; each worker compiles for itself
    context = multiprocessing.get_context("spawn")
    asked: Any = context.Queue()
    pending: dict[Any, list[Twin]] = {}
    for twin in sorted(twins, key=lambda one: (-cost(one), one.name)):
        pending.setdefault(shape_of(twin), []).append(twin)
    processes = max(1, min(processes, len(twins)))
    answers = [context.Queue() for _ in range(processes)]
    workers = [context.Process(target=_work, args=(i, plan, asked, answers[i]), daemon=True) for i in range(processes)]
    for worker in workers:
        worker.start()
    alive, errors, progress = set(range(processes)), [], _Progress(twins, say)
    shapes: dict[int, Any] = {}
    while alive:
        try:
            kind, number, *rest = asked.get(timeout=1.0)
        except queue.Empty:
            for number in [one for one in alive if not workers[one].is_alive()]:
                alive.discard(number)
                shapes.pop(number, None)
                errors.append(
                    f"worker {number} ended with exit status {workers[number].exitcode}; run again to carry on"
                )
            continue
        if kind == "next":
            chosen = _pick(pending, shapes, number) if time.time() < plan.deadline else None
            answers[number].put(chosen)
            if chosen is None:
                alive.discard(number)
                shapes.pop(number, None)
        elif kind == "step":
            progress.step(*rest)
        elif kind == "error":
            errors.append(rest[0])
    for worker in workers:
        worker.join(timeout=60)
    progress.tell(force=True)
    return errors


def _pick(pending: dict[Any, list[Twin]], shapes: dict[int, Any], number: int) -> Twin | None:
    """Return the twin that a worker trains next: of its shape, or of the one with the most work left a worker."""
    if not pending:
        return None
    shape = shapes.pop(number, None)
    if shape not in pending:
        others = list(shapes.values())
        shape = max(pending, key=lambda one: sum(map(cost, pending[one])) / (1 + others.count(one)))
    shapes[number] = shape
    twin = pending[shape].pop(0)
    if not pending[shape]:
        del pending[shape]
    return twin


def _work(number: int, plan: Plan, asked: Any, answers: Any) -> None:
    """Train what the queue answers with, in a process of its own."""
    import torch

    from refutable.twins.corpus.tokens import Tokens, load_tokens

    if plan.settings.device == "cuda":
        torch.cuda.set_device(number % torch.cuda.device_count())  # workers are dealt out over the cards
    trainer: Trainer | None = None
    tokens: dict[int, Tokens] = {}
    twin: Twin | None = None
    try:
        while True:
            asked.put(("next", number))
            twin = answers.get()
            if twin is None:
                return
            vocabulary = twin.size.vocabulary
            if vocabulary not in tokens:
                tokens[vocabulary] = load_tokens(plan.data / str(vocabulary))
            if trainer is None or trainer.shape != shape_of(twin):
                trainer = None  # gives its memory back before the next one takes any
                trainer = Trainer(twin, tokens[vocabulary], plan.settings)
            train_one(twin, trainer, plan, lambda *told: asked.put(("step", number, *told)))
    except Exception:  # reported by the parent, and the others go on
        asked.put(("error", number, f"{twin.name if twin else 'worker'}: {traceback.format_exc()}"))
        asked.close()
        asked.join_thread()
        os._exit(1)


def train_one(twin: Twin, trainer: Trainer, plan: Plan, tell: Callable[..., None] = lambda *told: None) -> bool:
    """Train one twin and keep its record, and its weights if they are asked for; return whether it was finished."""
    import torch
    from safetensors.torch import save_file

    from refutable.twins.results import save_record

    record = trainer.run(
        twin,
        plan.state,
        stop=lambda: time.time() > plan.deadline,
        tell=lambda step, loss: tell(twin.name, step, loss),
    )
    if record is None:
        return False
    if twin.name in plan.kept:
        (plan.state / "weights").mkdir(parents=True, exist_ok=True)
        weights = {
            name: tensor.detach().to("cpu", torch.bfloat16).contiguous().clone()
            for name, tensor in trainer.network.named_parameters()
        }
        save_file(weights, plan.state / "weights" / f"{twin.name}.safetensors", metadata={"format": "pt"})
    about = {
        "parameters": sum(p.numel() for p in trainer.parameters),
        "tokens": twin.size.tokens,
        "device": torch.cuda.get_device_name() if plan.settings.device == "cuda" else "cpu",
        "torch": torch.__version__,
        "corpus": trainer.tokens.digest,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    save_record(plan.state, twin, record, about)
    (plan.state / f"{twin.name}.pt").unlink(missing_ok=True)
    return True


class _Progress:
    """Says now and then how far a run is: tokens, tokens a second, and how long the rest takes at this pace."""

    def __init__(self, twins: Sequence[Twin], say: Callable[[str], None]) -> None:
        self.began = self.told = time.monotonic()
        self.say, self.by_name = say, {twin.name: twin for twin in twins}
        self.steps: dict[str, int] = {}
        self.first: dict[str, int] = {}
        self.losses: dict[str, float] = {}

    def step(self, name: str, step: int, loss: float) -> None:
        self.first.setdefault(name, max(0, step - 20))
        self.steps[name], self.losses[name] = step, loss
        self.tell()

    def tell(self, force: bool = False) -> None:
        now = time.monotonic()
        if not force and now - self.told < TELL_SECONDS:
            return
        self.told = now
        size = {name: twin.size for name, twin in self.by_name.items()}
        read = sum((step - self.first[n]) * size[n].batch * size[n].context for n, step in self.steps.items())
        done = sum(step == size[name].steps for name, step in self.steps.items())
        share = {name: self.steps.get(name, 0) / twin.size.steps for name, twin in self.by_name.items()}
        total = sum(map(cost, self.by_name.values()))
        reached = sum(cost(twin) * share[name] for name, twin in self.by_name.items())
        seconds = now - self.began
        left = seconds * (total - reached) / reached if reached else float("nan")
        running = [f"{n} {self.losses[n]:.2f}" for n, step in self.steps.items() if step < size[n].steps]
        self.say(
            f"{seconds:5.0f} s  {done}/{len(self.by_name)} twins  {read / 1e6:.0f} M tokens"
            f"  {read / seconds / 1e6:.2f} M/s  {left:.0f} s left  {'  '.join(running[:4])}"
        )
