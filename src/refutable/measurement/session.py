"""Measures one subject: loads its weights once, makes every pass that is asked for, releases it."""

from __future__ import annotations

import gc
import pkgutil
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from refutable.errors import ClosureError, NotMeasured, RefutableError, WeightsUnavailable
from refutable.measurement.loading.load import draw, load_model
from refutable.measurement.loading.loaded import LoadedModel
from refutable.models.registry import ModelRow
from refutable.models.subject import Subject, WeightsSource
from refutable.prompts.prompt_set import PromptSet
from refutable.traces.passes import PASSES, PROBE_PASSES, Pass
from refutable.traces.trace import Trace

Wanted = Mapping[Pass, tuple[WeightsSource, str, Mapping[str, Any]]]


def measure_subject(
    row: ModelRow, subject: Subject, wanted: Wanted, prompts: Callable[[str], PromptSet], cache: Path
) -> Iterator[tuple[Pass, Trace | RefutableError]]:
    """Yield the trace of each requested pass, or the error that prevented it.

    Raises:
        ClosureError: a plain pass does not close, so that nothing which is read of this model can be believed.
        WeightsUnavailable: memory ran out even for one prompt at a time, before any plain pass was made.
    """
    try:
        for one, (source, key, about) in wanted.items():
            if one.name in PROBE_PASSES:
                yield one, _probed(one, draw(source.config, subject).eval(), row, key, about)
        yield from _passes(row, subject, wanted, prompts, cache)
    except torch.OutOfMemoryError as error:
        raise _out_of_memory(error, row, subject) from None
    finally:
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _probed(one: Pass, network: Any, row: ModelRow, key: str, about: Mapping[str, Any]) -> Trace | RefutableError:
    """Make a probe on a reduced, freshly drawn instance; an error does not stop the other passes."""
    try:
        return _runner(one)(network, row.architecture, key, about)
    except NotMeasured as error:
        return error.with_traceback(None)


def _passes(
    row: ModelRow, subject: Subject, wanted: Wanted, prompts: Callable[[str], PromptSet], cache: Path
) -> Iterator[tuple[Pass, Trace | RefutableError]]:
    """Load the weights once and make every pass of them, plain ones first."""
    passes = {
        one: wanted[one] for one in sorted(wanted, key=lambda one: not one.is_plain) if one.name not in PROBE_PASSES
    }
    if not passes:
        return
    started = time.perf_counter()
    model = load_model(row, subject, next(iter(passes.values()))[0], cache)
    seconds = round(time.perf_counter() - started, 3)
    for one, (_, key, about) in passes.items():
        facts = {**about, "attention_implementation": model.attention_implementation, "load_seconds": seconds}
        try:
            yield one, make_pass(model, one, prompts(one.prompts), key, facts)
        except RefutableError as error:
            if one.is_plain and isinstance(error, ClosureError):
                raise
            yield one, error.with_traceback(None)
        except torch.OutOfMemoryError as error:
            if one.is_plain:
                raise
            yield one, _out_of_memory(error, row, subject)


def make_pass(model: LoadedModel, one: Pass, prompts: PromptSet, key: str, about: Mapping[str, Any]) -> Trace:
    """Make one pass over a loaded model; errors as the pass itself."""
    return _runner(one)(model, prompts, key, about, one)


def _runner(one: Pass) -> Callable[..., Trace]:
    run = PASSES[one.name].run
    found: Callable[..., Trace] = pkgutil.resolve_name(run) if isinstance(run, str) else run
    return found


def _out_of_memory(error: torch.OutOfMemoryError, row: ModelRow, subject: Subject) -> WeightsUnavailable:
    traceback.clear_frames(error.__traceback__)  # its frames hold tensors of a model that must go
    fix = f"pytest --model {row.name} --dtype bfloat16, or a larger device"
    return WeightsUnavailable(f"{row.name} in {subject.dtype} ran out of memory on {subject.device}", fix)
