"""Measures one subject: loads its weights once, makes every pass that is wanted, and lets go of them."""

from __future__ import annotations

import gc
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from refutable.errors import RefutableError, WeightsUnavailable
from refutable.measure.load import draw, load_model
from refutable.measure.run_pass import run_pass
from refutable.measure.wiring import probe_wiring
from refutable.models import ModelRow
from refutable.plan import Pass
from refutable.prompts import PromptSet
from refutable.subject import Subject, WeightsSource
from refutable.trace import Trace

Wanted = Mapping[Pass, tuple[WeightsSource, str, Mapping[str, Any]]]


def measure_subject(
    row: ModelRow, subject: Subject, wanted: Wanted, prompts: Callable[[str], PromptSet], cache: Path
) -> Iterator[Trace]:
    """Yield the trace of each wanted pass; of those after the first one that cannot be made is left out.

    Raises:
        WeightsUnavailable: memory ran out even for one prompt at a time.
    """
    try:
        for one, (source, key, about) in wanted.items():
            if one.name == "wiring":
                yield probe_wiring(draw(source.config, subject).eval(), row.architecture, key, about)
        yield from _forward_passes(row, subject, wanted, prompts, cache)
    except torch.OutOfMemoryError as error:
        traceback.clear_frames(error.__traceback__)  # its frames hold tensors of a model that must go
        fix = f"pytest --model {row.name} --dtype bfloat16, or a larger device"
        raise WeightsUnavailable(f"{row.name} in {subject.dtype} ran out of memory on {subject.device}", fix) from None
    finally:
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _forward_passes(
    row: ModelRow, subject: Subject, wanted: Wanted, prompts: Callable[[str], PromptSet], cache: Path
) -> Iterator[Trace]:
    forward = {one: rest for one, rest in wanted.items() if one.name == "forward"}
    if not forward:
        return
    asked, started = next(iter(forward)), time.perf_counter()
    model = load_model(row, subject, next(iter(forward.values()))[0], cache)
    seconds = round(time.perf_counter() - started, 3)
    for one, (_, key, about) in forward.items():
        facts = {**about, "attention_implementation": model.attention_implementation, "load_seconds": seconds}
        try:
            trace = run_pass(model, prompts(one.prompts), key, facts, one.bos)
        except RefutableError:
            if one is asked:
                raise
            continue  # said when a claim asks for it
        yield trace
