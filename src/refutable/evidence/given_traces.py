"""Numbers from traces passed in by the caller: nothing is searched for, read from the store or measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from refutable.errors import BadInput, NotMeasured
from refutable.evidence.sample_source import SampleSource
from refutable.models.device import Device
from refutable.models.file_hashes import FileHashes
from refutable.models.registry import ModelRegistry, load_registry
from refutable.models.row import ModelRow
from refutable.models.selection import Selection
from refutable.models.subject import INIT, Subject, WeightsKind, WeightsSource
from refutable.models.weights import Finder
from refutable.prompts.prompt_set import Prompt, PromptSet
from refutable.traces.passes import Pass
from refutable.traces.store import Store, cache_folder
from refutable.traces.trace import Trace

Meta = Mapping[str, Any]


@dataclass(slots=True)
class GivenTraces(SampleSource):
    """A sample source with no other traces than those given, by subject and pass."""

    given: Mapping[tuple[Subject, Pass], Trace] = field(default_factory=dict)

    def _trace(self, subject: Subject, spec: Pass) -> Trace:
        found = self.given.get((subject, spec))
        if found is None:
            drawn = f" with weights drawn by seed {subject.seed}" if subject.weights == INIT else ""
            raise NotMeasured(
                f"this takes the pass {spec.title!r} of {subject.model} in {subject.dtype}{drawn} on {spec.prompts},"
                f" and no such trace was given (but of {', '.join(sorted({each.title for _, each in self.given}))})",
                "give its trace as well: refutable.judge(claim, trace, another)",
            )
        self.used[found.key] = found
        return found

    def find_weights(self, subject: Subject, spec: Pass, *, download: bool = True) -> WeightsSource:
        """Return what a given trace says about a subject's weights; raises NotMeasured if there is no trace of it."""
        for (of, _), trace in self.given.items():
            if of == subject:
                return _weights_of(trace.meta, self.selection.registry[subject.model])
        raise NotMeasured(f"no trace of {subject.model} in {subject.dtype} was given")


def given_traces(traces: Sequence[Trace]) -> GivenTraces:
    """Return a sample source over some traces; the claim is judged on the first.

    Raises:
        BadInput: two traces cannot be told apart, one name stands for two models or two prompt sets, or a model is in
            no registry and its trace does not describe it.
    """
    _check_names(traces)
    packaged = load_registry()
    rows = [_row_of(trace.meta, packaged) for trace in traces]
    registry = ModelRegistry([*packaged, *rows])
    first = traces[0].meta
    device = Device(str(first["device"]), str(first.get("device_title", first["device"])), 0)
    selection = Selection(registry, device, frozenset(row.name for row in rows), dtype=str(first["dtype"]))
    given: dict[tuple[Subject, Pass], Trace] = {}
    for trace in traces:
        for subject in _subjects(trace.meta, selection, first):
            spec = _pass_of(trace.meta)
            if given.setdefault((subject, spec), trace).key != trace.key:
                raise BadInput(f"two traces are of the pass {spec.title!r} of {subject.model}; give one of them")
    folder = cache_folder()
    source = GivenTraces(selection, Finder(FileHashes(folder), device), Store(folder), given=given)
    for trace in reversed(traces):
        source.give(_prompts_of(trace))
    return source


def _check_names(traces: Sequence[Trace]) -> None:
    """Refuse traces that use one name for different things, whose values would be paired nevertheless."""
    seen: dict[tuple[str, str], object] = {}
    for meta in (trace.meta for trace in traces):
        drawn = meta["weights_kind"] == str(WeightsKind.INITIALISATION)
        names = [("prompt set", str(meta["prompt_set"]), meta["prompts"])]
        names += [] if drawn else [("model", str(meta["model"]), meta["weights"])]
        for what, name, stands_for in names:
            if seen.setdefault((what, name), stands_for) != stands_for:
                raise BadInput(f"the {what} {name!r} is not the same in all traces; give each {what} a name of its own")


def _subjects(meta: Meta, selection: Selection, first: Meta) -> list[Subject]:
    """Return the subjects that a trace can stand for: the model itself, or the model with weights drawn by a seed."""
    dtype, model = str(meta["dtype"]), str(meta["model"])
    if meta["weights_kind"] != str(WeightsKind.INITIALISATION):
        return [selection.subject(model, dtype=dtype)]
    drawn = selection.subject(model, seed=int(meta["seed"]), dtype=dtype)
    own = meta["seed"] == first["seed"] if model == first["model"] else selection.registry[model].stand_in
    return [drawn, selection.subject(model, dtype=dtype)] if own else [drawn]


def _pass_of(meta: Meta) -> Pass:
    of_spec = {name: meta[name] for name in ("intervention", "blocks", "bos", "spare", "coordinate") if name in meta}
    if isinstance(of_spec.get("blocks"), list):  # as JSON has it
        of_spec["blocks"] = tuple(of_spec["blocks"])
    return Pass(str(meta["pass"]), str(meta["prompt_set"]), **of_spec)


def _row_of(meta: Meta, packaged: ModelRegistry) -> ModelRow:
    """Return the row of a trace's model: the registry's, or one made from the model's own configuration."""
    if "model_config" not in meta:
        return packaged[str(meta["model"])].base
    return ModelRow(
        name=meta["model"],
        title=meta["title"],
        family=meta["family"],
        parameters=1,
        organisation="-",
        licence="-",
        config=meta["model_config"],
    )


def _prompts_of(trace: Trace) -> PromptSet:
    columns = trace.prompts.select(["text", "category", "tokens", "complexity"]).to_pylist()
    prompts = tuple(Prompt(text=one["text"], category=one["category"], tokens=one["tokens"]) for one in columns)
    complexity = {one["category"]: one["complexity"] for one in columns if one["complexity"] is not None}
    return PromptSet(str(trace.meta["prompt_set"]), prompts, complexity)


def _weights_of(meta: Meta, row: ModelRow) -> WeightsSource:
    kind, _, packing = str(meta["weights_kind"]).partition(" (")
    return WeightsSource(
        kind=WeightsKind(kind),
        detail=str(meta["weights_detail"]),
        digest=str(meta["weights"]),
        form="draw" if kind == WeightsKind.INITIALISATION else "safetensors",
        location=None,
        config=row.config,
        config_from=str(meta["config_from"]),
        tokenizer=None,
        tokenizer_digest=str(meta["tokens"]),
        revision=meta.get("revision"),
        packing=packing.removesuffix(")"),
    )
