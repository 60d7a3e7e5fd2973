"""Claims about a model run on prompts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from refutable.claims import InitializationClaim, MeasuredClaim, MeasuredTest
from refutable.claims.over import takes_prompts_for_units
from refutable.errors import NotMeasured, Undecidable
from refutable.evidence.census import is_census, judge_census
from refutable.evidence.controls import any_data, claim_rows, controls_of, is_drawn, labels_of
from refutable.evidence.first_step import judge_first_step
from refutable.evidence.firsts import firsts_told
from refutable.evidence.gauge_forms import gauge_dependent, gauge_forms, rows_of, with_gauge
from refutable.evidence.layer_by_layer import LAYERS_DISAGREE, layer_by_layer
from refutable.evidence.model_as_unit import judge_over_models, judge_pooled
from refutable.evidence.multiverse import OfSamples, fragile, undeclared, variations_of
from refutable.evidence.over_models import over_models
from refutable.evidence.sample_source import SampleSource
from refutable.evidence.specification import (
    Specification,
    group_samples,
    judge_samples,
    lacking_text,
    model_samples,
    own_specification,
    said_of_pairs,
    seed_samples,
)
from refutable.models.revision_names import model_of, split_name
from refutable.statistics import STATISTICS
from refutable.statistics.check_assumptions import units_of
from refutable.statistics.sample import Sample
from refutable.traces.trace import FIRST_TOKEN
from refutable.verdicts.falsifiability.reachable import feasibility
from refutable.verdicts.judge import Judgement
from refutable.verdicts.robustness import Control, Variation
from refutable.verdicts.verdict import Verdict

SHOWN = 8  # checkpoints that are named one by one
THESE_ALONE = "these-categories-only"


def judge_measured(claim: MeasuredClaim, models: tuple[str, ...], source: SampleSource) -> Judgement:
    """Judge a claim on one model, on several by a quantifier, on their pooled values, or on two groups of models.

    What was looked at says its gauge, and which tokens and blocks it counts.
    """
    return _told(claim, models, source, _judge(claim, models, source))


def _judge(claim: MeasuredClaim, models: tuple[str, ...], source: SampleSource) -> Judgement:
    if claim.test.groups is not None:
        return _judge_groups(claim, models, source)
    if claim.test.trajectory:
        return judge_trajectory(claim, models, source)
    if claim.test.over_models or claim.quantifier == "pooled":
        return _with_undeclared(
            claim, models, source, lambda form, folded: _judge_several(form, models, source, folded)
        )
    return over_models(claim, models, lambda model: _judge_model(own_specification(claim), claim, model, source))


def judge_trajectory(claim: MeasuredClaim, models: tuple[str, ...], source: SampleSource) -> Judgement:
    """Judge what is so along the checkpoints of each model: of its prompts, and of several models with these as units.

    `models` are all checkpoints of all models.
    """
    names = tuple(dict.fromkeys(map(model_of, models)))
    specification = own_specification(claim, models)
    if claim.test.over_models or claim.quantifier == "pooled":
        judged = _with_undeclared(
            claim, names, source, lambda form, folded: _judge_several(form, names, source, folded, models)
        )
    elif claim.test.first_step is not None:
        judged = over_models(claim, names, lambda model: judge_first_step(specification, claim, model, source))
    else:
        judged = over_models(claim, names, lambda model: _judge_model(specification, claim, model, source))
    if not judged.verdict.looked:
        return judged
    told = {"checkpoints": "; ".join(_checkpoints(specification.points(name), name) for name in names)}
    return replace(judged, details={**judged.details, **told})


def _checkpoints(points: tuple[str, ...], model: str) -> str:
    names = [split_name(one)[1] for one in points]
    shown = ", ".join(names) if len(names) <= SHOWN else f"{', '.join(names[:3])} ... {names[-1]}"
    return f"{len(names)} of {model} ({shown})"


def _judge_several(
    claim: MeasuredClaim,
    models: tuple[str, ...],
    source: SampleSource,
    folded: bool,
    points: tuple[str, ...] = (),
) -> Judgement:
    """Judge a claim of which the model is the unit, or which pools models; `points` are the checkpoints of them."""
    specification = replace(own_specification(claim, points), folded=folded)
    if claim.test.over_models:
        return judge_over_models(claim, models, source, specification)
    return judge_pooled(
        claim,
        models,
        lambda model: model_samples(specification, model, source),
        lambda samples: judge_samples(claim.test, samples, claim.alpha),
    )


def _with_undeclared(
    claim: OfSamples, models: tuple[str, ...], source: SampleSource, judge: Callable[[OfSamples, bool], Judgement]
) -> Judgement:
    """Judge a claim that declares no variations, with those that every claim has."""
    base = judge(claim, False)
    forms = [*gauge_forms(claim.test, rows_of(claim, models, source.selection.registry))]
    return _varied(base, undeclared(claim, forms, judge), forms)


def _varied(base: Judgement, variations: dict[str, Variation], forms: list[dict[str, str]]) -> Judgement:
    """Return a judgement with its variations and their labels, one of them of the forms in which a gauge is fixed."""
    judged = _beside(base, variations, dict(base.controls))
    return judged.labelled("gauge-dependent") if gauge_dependent(forms, variations, base) else judged


def judge_initialization(claim: InitializationClaim, models: tuple[str, ...], source: SampleSource) -> Judgement:
    """Judge a claim on freshly drawn weights: the seed is the unit, with one value per seed (its mean over prompts)."""

    def judge(form: InitializationClaim, folded: bool) -> Judgement:
        def read(model: str, test: MeasuredTest = form.test) -> tuple[Sample, ...]:
            specification = replace(own_specification(form), test=test, folded=folded)
            return seed_samples(specification, form.seeds, model, source)

        def judged(samples: tuple[Sample, ...]) -> Judgement:
            return _said_if_vacuous(form, judge_samples(form.test, samples, form.alpha), None, source)

        def of_model(model: str) -> Judgement:
            found = said_of_pairs(judged(read(model)), form.test, model)
            return _with_layers(found, form, lambda test: read(model, test))

        if form.quantifier == "pooled":
            return judge_pooled(form, models, read, judged)
        return over_models(form, models, of_model)

    return _told(claim, models, source, _with_undeclared(claim, models, source, judge))


def _told(claim: MeasuredClaim, models: tuple[str, ...], source: SampleSource, judged: Judgement) -> Judgement:
    """Return a judgement with its gauge, and with which tokens and blocks it counts where there is a choice."""
    firsts = firsts_told(claim.test) if judged.verdict.looked else {}
    judged = replace(judged, details={**judged.details, **firsts}) if firsts else judged
    return with_gauge(judged, claim, models, source.selection.registry)


def _judge_model(specification: Specification, claim: MeasuredClaim, model: str, source: SampleSource) -> Judgement:
    samples = model_samples(specification, model, source)
    if is_census(samples):
        if "alpha" in claim.model_fields_set:
            raise NotMeasured(
                f"the claim is about an error probability (`alpha: {claim.alpha:g}`), and one recorded value has none"
            )
        return _said_if_vacuous(claim, judge_census(claim.test, samples), model, source)
    base = said_of_pairs(judge_samples(claim.test, samples, claim.alpha), claim.test, model)
    base = replace(base, details={**base.details, **_left_out(claim, samples[0], source)})
    base = _of_prompts_alone(base, claim, samples[0])
    base = _with_layers(base, claim, lambda test: model_samples(replace(specification, test=test), model, source))
    forms = [*gauge_forms(claim.test, rows_of(claim, (model,), source.selection.registry))]
    variations = variations_of(claim, specification, model, source, forms)
    base = replace(base, controls=controls_of(claim, specification, model, source, samples))
    units = units_of(claim.test.statistic, samples[0])
    possible = feasibility(STATISTICS[claim.test.statistic], claim.test.region, claim.alpha, units)
    judged = _varied(base, variations, forms).labelled(*possible)
    if source.table is None and not is_drawn(claim, specification.points(model)[0], source):
        judged = judged.labelled(*_recorded(claim, model, base))
    return judged  # records are of trained weights, and may be the very table that is being judged


def _of_prompts_alone(base: Judgement, claim: MeasuredClaim, sample: Sample) -> Judgement:
    """Return a judgement that says so where a claim names no categories and its statistic knows only these.

    Without `over:` a claim is about categories like these. A statistic that has no such version answers for these ones
    alone: where the categories themselves vary, it errs more often than alpha (`slope` and `trend`: 13 % at 5 %).
    """
    several = len({*filter(None, sample.clusters)}) > 1
    if claim.test.over is not None or not several or sample.unit != "prompt":
        return base
    if not takes_prompts_for_units(claim.test):
        return base
    why = f"these categories of prompts: {claim.test.statistic} has no version over categories like these"
    return replace(base, details={**base.details, "speaks of": why}).labelled(THESE_ALONE)


def _left_out(claim: MeasuredClaim, sample: Sample, source: SampleSource) -> dict[str, str]:
    """Return how many prompts have only one token, and so none but the first, if any."""
    if source.table is not None or claim.test.position not in FIRST_TOKEN:
        return {}
    whole = len(source.prompts(claim.prompts))
    return {"left out": f"{whole - sample.n} of {whole} prompts, which have one token"} if sample.n < whole else {}


def _with_layers(
    base: Judgement, claim: MeasuredClaim, read: Callable[[MeasuredTest], tuple[Sample, ...]]
) -> Judgement:
    """Return the judgement of a mean over layers with what each layer says, and the label if they disagree on it.

    Two models need not have as many layers, so nothing is said of one held against another, nor of two readings that
    differ in their layers.
    """
    test, alpha = claim.test, claim.alpha
    apart = test.other is not None and (test.other.model is not None or test.other.layer is not None)
    if test.layer != "mean" or apart:
        return base
    found = layer_by_layer(test, read(test.model_copy(update={"layer": "each"})))
    judged = replace(base, details={**base.details, "layers": found.told(alpha)})
    return judged.labelled(LAYERS_DISAGREE) if base.verdict.decided and found.disagree(alpha) else judged


def _judge_groups(claim: MeasuredClaim, models: tuple[str, ...], source: SampleSource) -> Judgement:
    """Judge the difference between two groups of models, with one value per model."""
    specification = own_specification(claim, models)
    groups = group_samples(specification, source)
    details = {**groups.members, "lacking": ", ".join(groups.lacking) or "none"}
    try:
        judged = judge_samples(claim.test, groups.samples, claim.alpha)
    except Undecidable as error:
        why = f"{error}; {lacking_text(groups.lacking)}"
        return Judgement(Verdict.INCONCLUSIVE, claim.test.predicts, why, details=details)
    why = f"{judged.why}; {lacking_text(groups.lacking)}"
    judged = replace(judged, details={**judged.details, **details}, why=why)
    judged = replace(judged, controls=controls_of(claim, specification, None, source, groups.samples))
    forms = [*gauge_forms(claim.test, rows_of(claim, (), source.selection.registry))]
    variations = variations_of(claim, specification, None, source, forms)
    return _varied(judged, variations, forms)


def _said_if_vacuous(claim: MeasuredClaim, judged: Judgement, model: str | None, source: SampleSource) -> Judgement:
    """Return a judgement without other controls, with the control ``any-data`` if any data would be SUPPORTED."""
    anything = any_data(claim, claim_rows(claim, model, source))
    return _beside(judged, {}, {"any-data": anything}) if anything.verdict is Verdict.SUPPORTED else judged


def _beside(base: Judgement, variations: dict[str, Variation], controls: dict[str, Control]) -> Judgement:
    """Return a judgement with its variations and controls and their labels."""
    if not variations and not controls:
        return base
    labels = (*labels_of(controls, base.verdict), *fragile(variations, base.verdict))
    return replace(base, variations=variations, controls=controls).labelled(*labels)


def _recorded(claim: MeasuredClaim, model: str, base: Judgement) -> tuple[str, ...]:
    """Return the label for whether the value that the claim's author recorded for this model lies in the interval."""
    record, estimate = claim.record.get(model), base.estimate
    if record is None or not record.comparable or estimate is None or estimate.low is None or estimate.high is None:
        return ()
    return ("recorded: agrees" if estimate.low <= record.value <= estimate.high else "recorded: disagrees",)
