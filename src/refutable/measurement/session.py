"""Measures one subject: loads its weights once, makes every requested pass, and releases it."""

from __future__ import annotations

import gc
import pkgutil
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from refutable._util.progress import task
from refutable.errors import ClosureError, NotMeasured, RefutableError, WeightsUnavailable
from refutable.measurement.loading.load import draw, load_model
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.loading.room import check_pass
from refutable.models.row import ModelRow
from refutable.models.subject import INIT, Subject, WeightsSource
from refutable.prompts.prompt_set import PromptSet
from refutable.traces.passes import PASSES, PROBE_PASSES, Pass
from refutable.traces.trace import Trace

# Parameters of a network that is worth a garbage collection, which walks all that torch and transformers made at import
# (0.4 s); what a smaller one leaves, as those that probes draw, is collected in time by itself.
LARGE = 50_000_000

Wanted = Mapping[Pass, tuple[WeightsSource, str, Mapping[str, Any]]]


def measure_subject(
    row: ModelRow, subject: Subject, wanted: Wanted, prompts: Callable[[str], PromptSet], cache: Path
) -> Iterator[tuple[Pass, Trace | RefutableError]]:
    """Yield the trace of each requested pass, or the error that prevented it.

    Raises:
        ClosureError: a plain pass does not close, so nothing read from this model can be trusted.
        WeightsUnavailable: memory ran out even for one prompt at a time, before any plain pass was made.
    """
    try:
        for spec, (source, key, about) in wanted.items():
            if spec.name in PROBE_PASSES:
                with task(f"{_called(subject)}: the {spec.title} probe"):
                    network = draw(source.config, subject).eval()
                    try:
                        left: Trace | RefutableError = _runner(spec)(network, row.architecture, key, about)
                    except NotMeasured as error:
                        left = error.with_traceback(None)
                yield spec, left
        yield from _passes(row, subject, wanted, prompts, cache)
    except torch.OutOfMemoryError as error:
        raise _out_of_memory(error, row, subject) from None
    finally:
        if row.parameters >= LARGE and not all(spec.name in PROBE_PASSES for spec in wanted):
            gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _passes(
    row: ModelRow, subject: Subject, wanted: Wanted, prompts: Callable[[str], PromptSet], cache: Path
) -> Iterator[tuple[Pass, Trace | RefutableError]]:
    """Load the weights once and make every pass over them, plain passes first."""
    specs = sorted(wanted, key=lambda spec: not spec.is_plain)
    passes = {}
    for spec in (spec for spec in specs if spec.name not in PROBE_PASSES):
        try:
            check_pass(row, subject, wanted[spec][0].config, spec, prompts(spec.prompts))
        except WeightsUnavailable as error:
            yield spec, error.with_traceback(None)
        else:
            passes[spec] = wanted[spec]
    if not passes:
        return
    started = time.perf_counter()
    with task(f"{_called(subject)}: loading"):
        model = load_model(row, subject, next(iter(passes.values()))[0], cache)
    seconds = round(time.perf_counter() - started, 3)
    for number, (spec, (_, key, about)) in enumerate(passes.items(), start=1):
        facts = {**about, "attention_implementation": model.attention_implementation, "load_seconds": seconds}
        try:
            with task(f"{_called(subject)}: pass {number} of {len(passes)}, {spec.title} over {spec.prompts}"):
                left = make_pass(model, spec, prompts(spec.prompts), key, facts)
            yield spec, left
        except RefutableError as error:
            if spec.is_plain and isinstance(error, ClosureError):
                raise
            yield spec, error.with_traceback(None)
        except torch.OutOfMemoryError as error:
            if spec.is_plain:
                raise
            yield spec, _out_of_memory(error, row, subject)


def _called(subject: Subject) -> str:
    """Return a subject's model, and what else tells it from the run's others: the seed of a draw, or a dtype."""
    drawn = f", seed {subject.seed}" if subject.weights == INIT else ""
    template = ", in its chat template" if subject.chat_template else ""
    return f"{subject.model}{drawn}{f', {subject.dtype}' if subject.dtype != 'float32' else ''}{template}"


def make_pass(model: LoadedModel, spec: Pass, prompts: PromptSet, key: str, about: Mapping[str, Any]) -> Trace:
    """Make one pass over a loaded model; errors as the pass itself."""
    return _runner(spec)(model, prompts, key, about, spec)


def _runner(spec: Pass) -> Callable[..., Trace]:
    run = PASSES[spec.name].run
    found: Callable[..., Trace] = pkgutil.resolve_name(run) if isinstance(run, str) else run
    return found


def _out_of_memory(error: torch.OutOfMemoryError, row: ModelRow, subject: Subject) -> WeightsUnavailable:
    traceback.clear_frames(error.__traceback__)  # its frames hold tensors of a model that must be released
    fix = f"pytest --model {row.asked} --dtype bfloat16, or a larger device"
    return WeightsUnavailable(f"{row.name} in {subject.dtype} ran out of memory on {subject.device}", fix)
