"""Judges a claim on given traces, with the code that judges it in a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from refutable.claims import BaseClaim, InitializationClaim, MeasuredClaim
from refutable.claims.over import over_categories
from refutable.errors import BadInput
from refutable.evidence.given_traces import given_traces
from refutable.evidence.measured import judge_measured
from refutable.evidence.specification import attempt
from refutable.models.registry import ModelRegistry
from refutable.models.row import ModelRow
from refutable.prompts.prompt_set import are_categorised
from refutable.traces.trace import Trace
from refutable.verdicts.judge import Judgement


def judge_on_traces(claim: BaseClaim, traces: Sequence[Trace]) -> Judgement:
    """Judge a claim on the model and prompts of the first trace, whatever models and prompts the claim names.

    If these differ from the claim's own, the details say so. Controls and variations that need another pass are
    NOT_MEASURED unless its trace is among the others.

    Args:
        claim: `evidence: measured`, `dynamical` or `intervention`, about one model at a time.
        traces: the first is from the pass that the claim's metrics are read from.

    Raises:
        BadInput: the claim is of another kind or compares models, or the traces cannot be told apart.
    """
    if not isinstance(claim, MeasuredClaim) or isinstance(claim, InitializationClaim):
        raise BadInput(
            f"{claim.id}: evidence {claim.evidence!r} is not decided by traces; judge claims whose evidence is"
            " measured, dynamical or intervention"
        )
    if claim.scope in ("groups", "models", "pooled"):
        raise BadInput(f"{claim.id}: it compares models, and this is of one; run it with pytest --model")
    source = given_traces(traces)
    own = traces[0].meta
    alone = claim.model_copy(update={"quantifier": "each", "prompts": str(own["prompt_set"])})
    alone = over_categories(alone, are_categorised(source.prompts(alone.prompts).categories), own=False)
    judged = attempt(claim.prediction, lambda: judge_measured(alone, (str(own["model"]),), source))
    departures = dict(_departures(claim, alone, source.selection.registry[str(own["model"])]))
    return replace(judged, details={**judged.details, **departures}) if departures else judged


def _departures(claim: MeasuredClaim, alone: MeasuredClaim, row: ModelRow) -> Iterator[tuple[str, str]]:
    """Yield where the claim as tried departs from the claim as written."""
    if alone.prompts != claim.prompts:
        yield "other prompts", f"the trace is of {alone.prompts}, the claim of {claim.prompts}"
    if alone.quantifier != claim.quantifier:
        yield "one model", f"the claim is of its models together (for: {claim.quantifier}); this is of one"
    try:
        selected = bool(claim.models.select(ModelRegistry([row])))
    except BadInput:  # it asks for a fact that the configuration does not state
        selected = False
    if not selected:
        yield "another model", f"the claim does not select {row.name}"
