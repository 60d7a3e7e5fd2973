"""Runs made by hand, with traces whose gains, lengths and angles are known, for what reads a run and its store."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from synthetic import make_trace

from refutable.reports.journal import RunResult
from refutable.traces.store import Store
from refutable.traces.trace import Trace
from refutable.verdicts.judge import Judgement
from refutable.verdicts.robustness import Variation
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Estimate, Verdict

Steps = Sequence[Sequence[tuple[float, float]]]


def trace_of(
    steps: Steps,
    categories: Sequence[str | None] | None = None,
    prompts: Mapping[str, Sequence[Any]] | None = None,
    spoiled: Mapping[str, tuple[int, int, int, float]] | None = None,
    **meta: Any,
) -> Trace:
    """Return a trace of a forward pass in which every vector lies on one line.

    Args:
        steps: of each prompt and layer, what attention and the MLP add to a stream of length 1: the gain is 1 plus
            both, and the angle between them 0 or 180 degrees.
        categories: of the prompts.
        prompts: other columns of the table of prompts.
        spoiled: as `make_trace`.
        meta: what is not as of a trained model called mine.
    """
    axis = np.array([1.0, 0.0])
    of = {
        "block_input": [np.tile(axis, (1, len(prompt), 1)) for prompt in steps],
        "attention_update": [np.array([[a * axis for a, _ in prompt]]) for prompt in steps],
        "mlp_update": [np.array([[m * axis for _, m in prompt]]) for prompt in steps],
    }
    of |= dict.fromkeys(("attention_input", "mlp_input"), of["block_input"])
    made = make_trace(
        of,
        entropy=np.linspace(0.1, 0.5, sum(map(len, steps))).reshape(len(steps), -1),
        prompts={**({"category": categories} if categories is not None else {}), **(prompts or {})},
        spoiled=spoiled,
    )
    told = {
        **made.meta,
        "model": "mine",
        "title": "Mine-1B",
        "family": "llama",
        "pass": "forward",
        "weights_kind": "pretrained",
        "weights_detail": "as trained",
        "weights": "w" * 64,
        "dtype": "float32",
        "seed": None,
        "prompts": "p" * 64,
        "prompt_set": "by-hand",
        "tokens": "own tokenizer",
        "described": {"wiring": "sequential", "norm": "RMSNorm"},
        **meta,
    }
    key = hashlib.sha256(repr((steps, categories, prompts, sorted(told.items(), key=str))).encode()).hexdigest()
    return replace(made, key=key, meta=told)


def drawn(steps: Steps, seed: int, **meta: Any) -> Trace:
    """Return a trace of freshly drawn weights."""
    return trace_of(
        steps,
        **{"weights_kind": "initialisation", "weights_detail": "freshly drawn by a rule", "weights": f"{seed}" * 64},
        **{"seed": seed, **meta},
    )


def estimate(value: float, low: float | None = None, high: float | None = None, **told: Any) -> Estimate:
    known: dict[str, Any] = {"level": 0.9, "n": 25, "unit": "prompt", "p": 0.1, "method": "t", "statistic": "mean"}
    return Estimate(**{"value": value, "low": low, "high": high, "of": ("last_gain",), **known, **told})


def row(
    claim: str = "gain",
    subject: str = "mine",
    verdict: str = "SUPPORTED",
    found: Estimate | None = None,
    *,
    traces: Sequence[Trace] = (),
    variations: Mapping[str, Variation] | None = None,
    labels: tuple[str, ...] = (),
    evidence: str = "measured",
    predicts: str = "> 1",
    recorded: Mapping[str, Mapping[str, Any]] | None = None,
    **weights: str,
) -> VerdictRow:
    judged = Judgement(Verdict(verdict), predicts, "why", found, labels, variations or {})
    return VerdictRow.of(
        judged,
        case=f"{claim}-{subject}",
        claim=claim,
        subject=subject,
        about={"statement": f"What {claim} says.", "evidence": evidence, "alpha": 0.05},
        weights={"weights_kind": "pretrained", "weights_detail": "as trained", "passes": "forward", **weights},
        traces=tuple(trace.key for trace in traces),
        recorded=recorded or {},
    )


def run_of(*rows: VerdictRow) -> RunResult:
    return RunResult({"started": "now"}, rows)


def store_with(folder: Path, *traces: Trace) -> Store:
    store = Store(folder)
    for trace in traces:
        store.put(trace)
    return store
