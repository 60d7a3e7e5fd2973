"""Judges a claim on one trace, with the code that judges it in a run."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from refutable.claims import BaseClaim, InitializationClaim, MeasuredClaim
from refutable.errors import BadInput, NotMeasured
from refutable.evidence.measured import judge_measured
from refutable.evidence.sample_source import SampleSource
from refutable.evidence.specification import attempt
from refutable.models.device import Device
from refutable.models.file_hashes import FileHashes
from refutable.models.registry import ModelRegistry, ModelRow, load_registry
from refutable.models.selection import Selection
from refutable.models.subject import Subject, WeightsKind, WeightsSource
from refutable.models.weights import Finder
from refutable.prompts.prompt_set import Prompt, PromptSet
from refutable.traces.passes import Pass
from refutable.traces.store import Store
from refutable.traces.trace import Trace
from refutable.verdicts.judge import Judgement

NOWHERE = Path("nowhere")  # nothing is read or written there: the one trace is all there is
ASKED = ("pass", "intervention", "blocks", "bos", "parameters")


def judge_trace(claim: BaseClaim, trace: Trace) -> Judgement:
    """Judge a claim on the model and the prompts of a trace, whichever models and prompts it names itself.

    What needs another pass (a control on freshly drawn weights, a variation in dtype) is NOT_MEASURED there.

    Args:
        claim: `evidence: measured`, `dynamical` or `intervention`, of one model at a time.
        trace: made by the pass that the claim's metrics are read from.

    Raises:
        BadInput: the claim is of another kind, or compares models.
    """
    if not isinstance(claim, MeasuredClaim) or isinstance(claim, InitializationClaim):
        raise BadInput(
            f"{claim.id}: evidence {claim.evidence!r} is not decided by one trace; judge claims whose evidence is"
            " measured, dynamical or intervention"
        )
    if claim.scope in ("groups", "models", "pooled") or claim.other_model is not None:
        raise BadInput(f"{claim.id}: it compares models, and a trace is of one; run it with pytest --model")
    source = OneTrace(trace)
    alone = claim.model_copy(update={"quantifier": "each", "prompts": source.own.name})
    return attempt(claim.prediction, lambda: judge_measured(alone, (source.row.name,), source))


class OneTrace(SampleSource):
    """A sample source that holds one trace and nothing else."""

    def __init__(self, trace: Trace) -> None:
        self.own = _prompts_of(trace)
        self.row = _row_of(trace)
        device = Device("cpu", "CPU", 1)
        selection = Selection(ModelRegistry([self.row]), device, frozenset([self.row.name]), dtype=trace.meta["dtype"])
        super().__init__(selection, Finder(FileHashes(NOWHERE), device, offline=True), Store(NOWHERE))
        self.give(self.own)
        self.one = trace

    def trace(self, subject: Subject, spec: Pass) -> Trace:
        """Return the trace, where it is the one that is asked for.

        Raises:
            NotMeasured: it is of another pass, dtype, prompt set or of other weights.
        """
        own = {key: self.one.meta[key] for key in ASKED if key in self.one.meta}
        drawn = subject.weights != self.selection.subject(self.row.name).weights
        if own != spec.facts or spec.prompts != self.own.name or subject.dtype != self.one.meta["dtype"] or drawn:
            raise NotMeasured(
                f"the trace is of the pass {own['pass']!r} over its own model and prompts; this is another"
            )
        self.read[self.one.key] = None
        self.used[self.one.key] = self.one
        return self.one

    def find_weights(self, subject: Subject, spec: Pass, *, download: bool = True) -> WeightsSource:
        """Return what the trace says of its weights."""
        meta = self.one.meta
        drawn = meta["weights_kind"] == str(WeightsKind.INITIALISATION)
        return WeightsSource(
            WeightsKind(meta["weights_kind"]),
            meta["weights_detail"],
            meta["weights"],
            "draw" if drawn else "safetensors",
            None,
            self.row.config,
            meta["config_from"],
            None,
            meta["tokens"],
            None,
        )


def _row_of(trace: Trace) -> ModelRow:
    """Return the row of a trace's model: the registry's, or one of the model's own configuration."""
    meta = trace.meta
    if "model_config" not in meta:
        return load_registry()[meta["model"]]
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
    columns = (trace.prompts[name].to_pylist() for name in ("text", "category", "tokens"))
    rows = zip(*columns, strict=True)
    prompts = tuple(Prompt(text=text, category=category, tokens=tokens) for text, category, tokens in rows)
    return PromptSet(cast("str", trace.meta["prompt_set"]), prompts, {})
