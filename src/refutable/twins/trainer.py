"""Trains twins of one shape, one after the other, in one network that stays compiled.

Weights and optimizer are float32, matrix products bfloat16. Everything a step needs (its windows, its learning rate,
its number) lies on the device and is found by the step's number, so a step is one sequence of kernels without a word
from the host: on a GPU it can be recorded once as a CUDA graph and replayed. There is no randomness but the first
weights and the order of windows, both from the seed, so a checkpoint (weights, optimizer, step, what was seen so far)
carries on exactly where it was written.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from refutable.twins.corpus.tokens import Tokens
from refutable.twins.design import Cell, Size, Twin
from refutable.twins.networks import blocks_of, draw, network_of
from refutable.twins.snapshot import held_out_loss, measure

Compile = Literal["none", "block", "loss"]
SNAPSHOTS = 20  # besides step 0
WARM_UP = 0.06  # of the steps
LAST_RATE = 0.1  # of the largest
DECAY = 0.1
HELD_OUT_WINDOWS = 64  # at a snapshot
LAST_HELD_OUT_WINDOWS = 1024  # at the last


@dataclass(frozen=True, slots=True)
class Settings:
    """How training runs on this machine; none changes what is trained but by rounding.

    Attributes:
        device: ``cpu`` or ``cuda``.
        compile: ``block`` compiles each block and the loss, ``loss`` the whole forward pass as one.
        graph: replay a step as a CUDA graph.
        save_seconds: time between two checkpoints.
        threads: of the CPU, a process.
    """

    device: str = "cpu"
    compile: Compile = "none"
    graph: bool = False
    save_seconds: float = 30.0
    threads: int = 1


@dataclass(slots=True)
class Record:
    """What training a twin left.

    Attributes:
        steps: at which snapshots were taken.
        blocks: of each snapshot, `snapshot.measure`'s (prompts, blocks, columns).
        held_out: of each snapshot, the held-out loss in nats a token.
        loss, norm: of each step, the loss before it and the length of its gradient before clipping.
        last_held_out: the final loss over more windows; NaN before the end.
        seconds: of training, snapshots in.
    """

    steps: list[int] = field(default_factory=list)
    blocks: list[np.ndarray] = field(default_factory=list)
    held_out: list[float] = field(default_factory=list)
    loss: np.ndarray = field(default_factory=lambda: np.array([], np.float32))
    norm: np.ndarray = field(default_factory=lambda: np.array([], np.float32))
    last_held_out: float = math.nan
    seconds: float = 0.0


def shape_of(twin: Twin) -> tuple[Any, ...]:
    """Return what two twins must share to be trained in the same network."""
    cell = twin.cell
    return (twin.size, cell.family, cell.wiring, cell.heads, cell.rotary, cell.depth, cell.tied, cell.damping)


def snapshot_steps(size: Size) -> list[int]:
    """Return at which steps snapshots are taken: 0, the last, and between them closer together at the beginning."""
    shares = np.linspace(0, 1, SNAPSHOTS + 1) ** 1.7
    return sorted({round(share * size.steps) for share in shares})


def rates_of(cell: Cell, size: Size) -> np.ndarray:
    """Return the learning rate of each step: a linear warm-up, then half a cosine down to a tenth."""
    step, warm = np.arange(size.steps), max(1, round(WARM_UP * size.steps))
    down = np.clip((step - warm) / max(1, size.steps - warm), 0, 1)
    cosine = LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + np.cos(np.pi * down))
    return (size.rate * cell.rate * np.minimum((step + 1) / warm, cosine)).astype(np.float32)


def batches_of(twin: Twin, tokens: Tokens) -> np.ndarray:
    """Return all that a twin reads, (steps, batch, context + 1): windows in an order that depends on the seed alone."""
    size, data = twin.size, twin.cell.data
    starts = tokens.windows(size.context, data)
    needed, order = size.steps * size.batch, np.array([], np.int64)
    epoch = 0
    while len(order) < needed:
        order = np.concatenate([order, np.random.default_rng([twin.seed, epoch]).permutation(starts)])
        epoch += 1
    windows = tokens.train[order[:needed, None] + np.arange(size.context + 1)]
    if data == "shuffled":
        windows = np.random.default_rng([twin.seed, 1 << 20]).permuted(windows, axis=1)
    batches: np.ndarray = windows.reshape(size.steps, size.batch, size.context + 1).astype(np.int32)
    return batches


class Trainer:
    """Trains twins of one shape."""

    def __init__(self, like: Twin, tokens: Tokens, settings: Settings) -> None:
        torch.set_num_threads(settings.threads)
        torch._dynamo.reset()
        torch._dynamo.config.recompile_limit = 64
        self.shape, self.size, self.tokens, self.settings = shape_of(like), like.size, tokens, settings
        device = settings.device
        self.network = network_of(like.cell, like.size).to(device)
        self.parameters = list(self.network.parameters())
        flat = [p for p in self.parameters if p.ndim < 2]
        matrices = [p for p in self.parameters if p.ndim >= 2]
        self.rate = torch.zeros((), device=device)
        self.optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": DECAY}, {"params": flat, "weight_decay": 0.0}],
            lr=self.rate,
            betas=(0.9, 0.95),
            fused=True,
            capturable=device == "cuda",
        )
        size = self.size
        self.batches = torch.zeros(size.steps, size.batch, size.context + 1, dtype=torch.int32, device=device)
        self.rates = torch.zeros(size.steps, device=device)
        self.loss = torch.zeros(size.steps, device=device)
        self.norm = torch.zeros(size.steps, device=device)
        self.step = torch.zeros(1, dtype=torch.int64, device=device)
        self.held_out = torch.from_numpy(tokens.held_out_windows(size.context, LAST_HELD_OUT_WINDOWS)).to(device)
        self._forward = self._compiled(like.cell)
        self._once: Callable[[], None] = self._train_step
        self._prepare()

    def run(
        self,
        twin: Twin,
        folder: Path,
        stop: Callable[[], bool] = lambda: False,
        tell: Callable[[int, float], None] = lambda step, loss: None,
    ) -> Record | None:
        """Train a twin, from its checkpoint in `folder` if there is one; None if `stop` said so before the end.

        Args:
            twin: of this trainer's shape.
            folder: of checkpoints, one file a twin, written whole or not at all and removed at the end.
            stop: asked now and then.
            tell: called with the step reached and its loss now and then.
        """
        if shape_of(twin) != self.shape:
            raise ValueError(f"{twin.name} has another shape")
        checkpoint = folder / f"{twin.name}.pt"
        self.batches.copy_(torch.from_numpy(batches_of(twin, self.tokens)))
        self.rates.copy_(torch.from_numpy(rates_of(twin.cell, self.size)))
        step, record = self._resume(checkpoint) if checkpoint.exists() else (0, self._start(twin))
        if not record.steps:
            self._snapshot(twin, 0, record)
        marks = [mark for mark in snapshot_steps(self.size) if mark > step]
        began = saved = time.monotonic()
        while step < self.size.steps:
            until = min(marks[0], step + 20)
            for _ in range(until - step):
                self._once()
            step = until
            if step == marks[0]:
                self._snapshot(twin, marks.pop(0), record)
            tell(step, float(self.loss[step - 1]))
            now = time.monotonic()
            stopped = stop() and step < self.size.steps
            if stopped or now - saved > self.settings.save_seconds:
                record.seconds += now - began
                began = saved = now
                self._save(checkpoint, step, record)
            if stopped:
                return None
        record.seconds += time.monotonic() - began
        record.loss, record.norm = self.loss.cpu().numpy(), self.norm.cpu().numpy()
        with _uncompiled():
            record.last_held_out = held_out_loss(self.network, self.held_out)
        return record

    def steps_for(self, twin: Twin, seconds: float) -> int:
        """Train without snapshots for a time, over and over if need be, and return how many steps were done."""
        self.batches.copy_(torch.from_numpy(batches_of(twin, self.tokens)))
        self.rates.copy_(torch.from_numpy(rates_of(twin.cell, self.size)))
        self._start(twin)
        done, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            for _ in range(min(10, self.size.steps - done % self.size.steps)):
                self._once()
                done += 1
            if done % self.size.steps == 0:
                self.step.zero_()
            float(self.loss[0])  # waits for the device
        return done

    def _compiled(self, cell: Cell) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        network: Any = self.network
        base, head = network.base_model, network.get_output_embeddings()

        def of_hidden(hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            logits = functional.linear(hidden, head.weight, head.bias)  # (B, T, V)
            return functional.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())

        def whole(ids: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            return last(base(ids, use_cache=False).last_hidden_state, targets)

        last = of_hidden
        if self.settings.compile == "block":
            last = torch.compile(of_hidden, dynamic=False)
            for block in blocks_of(self.network, cell):
                block.compile(dynamic=False)
        return torch.compile(whole, dynamic=False) if self.settings.compile == "loss" else whole

    def _train_step(self) -> None:
        """One step: reads its windows and rate by its number, which it then raises."""
        windows = self.batches.index_select(0, self.step)[0].long()  # (B, T + 1)
        self.rate.copy_(self.rates.index_select(0, self.step)[0])
        with torch.autocast(self.settings.device, torch.bfloat16, cache_enabled=not self.settings.graph):
            loss = self._forward(windows[:, :-1].contiguous(), windows[:, 1:].contiguous())
        torch.autograd.backward(loss)
        norm = nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.loss.index_copy_(0, self.step, loss.detach()[None])
        self.norm.index_copy_(0, self.step, norm.detach()[None])
        self.step.add_(1)

    def _prepare(self) -> None:
        """Compile, make the optimizer's state, and record the graph; the weights are drawn afterwards."""
        if not self.settings.graph:
            self._train_step()
            return
        stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.step.zero_()
                self._train_step()
        torch.cuda.current_stream().wait_stream(stream)
        self.step.zero_()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self._train_step()
        self._once = graph.replay

    def _start(self, twin: Twin) -> Record:
        draw(self.network, twin)
        for state in self.optimizer.state.values():
            for tensor in state.values():
                tensor.zero_()
        self.step.zero_()
        return Record()

    def _snapshot(self, twin: Twin, step: int, record: Record) -> None:
        with _uncompiled():
            record.steps.append(step)
            record.blocks.append(measure(self.network, twin, self.tokens.prompts))
            record.held_out.append(held_out_loss(self.network, self._few()))

    def _few(self) -> torch.Tensor:
        """Return some of the held-out windows, spread evenly."""
        every = max(1, len(self.held_out) // HELD_OUT_WINDOWS)
        return self.held_out[::every][:HELD_OUT_WINDOWS]

    def _save(self, path: Path, step: int, record: Record) -> None:
        """Write a checkpoint beside its place and move it there in one step."""
        record.loss, record.norm = self.loss.cpu().numpy(), self.norm.cpu().numpy()
        state = {
            "step": step,
            "tokens": self.tokens.digest,
            "parameters": [p.detach() for p in self.parameters],
            "optimizer": [dict(self.optimizer.state[p]) for p in self.parameters],
            "record": {name: _plain(getattr(record, name)) for name in Record.__slots__},
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".part")
        with beside.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)

    @torch.no_grad()
    def _resume(self, path: Path) -> tuple[int, Record]:
        state = torch.load(path, map_location=self.settings.device, weights_only=True)
        if state["tokens"] != self.tokens.digest:
            raise ValueError(f"{path}: written with other text; remove it to begin anew")
        for mine, kept, moments in zip(self.parameters, state["parameters"], state["optimizer"], strict=True):
            mine.copy_(kept)
            for name, tensor in moments.items():
                self.optimizer.state[mine][name].copy_(tensor)
        record = Record(**{name: _of_numpy(kept) for name, kept in state["record"].items()})
        self.loss.copy_(torch.from_numpy(record.loss))
        self.norm.copy_(torch.from_numpy(record.norm))
        self.step.fill_(state["step"])
        return state["step"], record


def _plain(value: Any) -> Any:
    """Return arrays as tensors, which are read back without unpickling anything else."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def _of_numpy(value: Any) -> Any:
    if isinstance(value, list):
        return [_of_numpy(one) for one in value]
    return value.cpu().numpy() if isinstance(value, torch.Tensor) else value


@contextlib.contextmanager
def _uncompiled() -> Iterator[None]:
    """Run modules as they are written: measuring needs their hooks, and no other graph."""
    with torch.compiler.set_stance("force_eager"):
        yield
