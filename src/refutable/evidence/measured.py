"""Claims decided by prompts through a model's weights."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from refutable.bench import Bench
from refutable.cases import Case
from refutable.claims import InitializationClaim, MeasuredClaim, MeasuredTest
from refutable.errors import NotMeasured, Undecidable
from refutable.evidence.members import over_models
from refutable.metrics import METRICS
from refutable.plan import CHEAP, CONTROL_SEED, Pass
from refutable.sample import Sample
from refutable.statistics import STATISTICS, Data
from refutable.subject import Subject
from refutable.vacuity import is_vacuous
from refutable.verdict import Judgement, Verdict, feasibility, few, judge


def judge_measured(case: Case, bench: Bench) -> Judgement:
    """Judge a claim on a model, on all or any of several, or on two groups of them."""
    claim: MeasuredClaim = case.claim
    if claim.test.groups is not None:
        return _judge_groups(claim, bench)
    alpha = claim.alpha if claim.quantifier == "each" else claim.alpha / len(case.models)
    return over_models(
        case.models,
        claim.quantifier,
        claim.test.predicts,
        lambda model: _judge_model(claim, model, bench, alpha),
    )


def judge_initialization(case: Case, bench: Bench) -> Judgement:
    """Judge a claim on freshly drawn weights: the seed is the unit, one value a seed (its mean over prompts)."""
    claim: InitializationClaim = case.claim
    alpha = claim.alpha if claim.quantifier == "each" else claim.alpha / len(case.models)

    def one(model: str) -> Judgement:
        subjects = [bench.selection.subject(model, seed=seed) for seed in claim.seeds]
        samples = [bench.samples(claim.test, claim.prompts, subject) for subject in subjects]
        by_metric = tuple(
            Sample(of[0].of, np.stack([sample.values.mean(axis=0) for sample in of]), "seed")
            for of in zip(*samples, strict=True)
        )
        return _judge_samples(claim.test, by_metric, alpha)

    return over_models(case.models, claim.quantifier, claim.test.predicts, one)


def _judge_model(claim: MeasuredClaim, model: str, bench: Bench, alpha: float) -> Judgement:
    subject = _subject(model, bench)
    samples = bench.samples(claim.test, claim.prompts, subject)
    base = _judge_samples(claim.test, samples, alpha)
    labels = ["vacuous"] if is_vacuous(claim.test) else []
    labels += list(feasibility(STATISTICS[claim.test.statistic], claim.test.region, alpha, samples[0].n))
    variations = dict(_variations(claim, model, bench, alpha))
    if any(verdict != base.verdict.value for verdict in variations.values()):
        labels.append("fragile")
    if _gauge_dependent(claim, subject, bench, alpha, base.verdict):
        labels.append("gauge-dependent")
    details = {}
    drawn = bench.table is None and bench.source(subject, Pass("forward", claim.prompts)).form == "draw"
    if "initialization" in claim.controls and bench.table is None and not drawn:
        control = _control(claim, model, bench, alpha)
        details["control: initialization"] = f"{control.verdict.value}: {control.why}"
        if control.verdict is base.verdict is Verdict.SUPPORTED:
            labels.append("holds-at-initialisation")
    if not drawn and bench.table is None:  # what was recorded is of trained weights, and may be this very table
        labels += _recorded(claim, model, base)
    return replace(base, variations=variations, details=details).labelled(*labels)


def _subject(model: str, bench: Bench) -> Subject:
    if bench.table is not None:
        return Subject(model)
    return bench.selection.subject(model)


def _judge_samples(test: MeasuredTest, samples: tuple[Sample, ...], alpha: float) -> Judgement:
    statistic = STATISTICS[test.statistic]
    fit = statistic.fit(Data(samples, test.holds_region if test.holds else None))
    return judge(fit, test.region, alpha, statistic, test.of)


def _judge_groups(claim: MeasuredClaim, bench: Bench) -> Judgement:
    """Judge the difference between two groups of models; one value a model, the models it lacks named."""
    assert claim.test.groups is not None
    lacking: dict[str, str] = {}
    samples = []
    members: dict[str, str] = {}
    for name, selector in claim.test.groups.items():
        values = []
        for row in selector.select(bench.selection.registry):
            try:
                (sample,) = bench.samples(claim.test, claim.prompts, _subject(row.name, bench))
                values.append(float(sample.values.mean()))
                members[f"{name}: {row.name}"] = f"{values[-1]:.4g}"
            except NotMeasured as error:
                lacking[row.name] = error.reason
        samples.append(Sample(claim.test.of[0], np.array(values), "model"))
    empty = [name for name, sample in zip(claim.test.groups, samples, strict=True) if sample.n == 0]
    if empty:
        reason = f"no model of {' and of '.join(map(repr, empty))} was selected: there is nothing to compare"
        raise NotMeasured(reason, "pytest --model NAME, two models of each group at least")
    details = {**members, "lacking": ", ".join(lacking) or "none"}
    left_out = f"not measured: {few(list(lacking)) or 'none'}"
    try:
        judged = _judge_samples(claim.test, tuple(samples), claim.alpha)
    except Undecidable as error:
        judged = Judgement(Verdict.INCONCLUSIVE, claim.test.predicts, str(error))
    return replace(judged, details=details, why=f"{judged.why}; {left_out}")


def _control(claim: MeasuredClaim, model: str, bench: Bench, alpha: float) -> Judgement:
    try:
        subject = bench.selection.subject(model, seed=CONTROL_SEED)
        return _judge_samples(claim.test, bench.samples(claim.test, claim.prompts, subject), alpha)
    except Undecidable as error:
        return Judgement(Verdict.INCONCLUSIVE, claim.test.predicts, str(error))
    except NotMeasured as error:
        return Judgement(Verdict.NOT_MEASURED, claim.test.predicts, str(error))


def _variations(claim: MeasuredClaim, model: str, bench: Bench, alpha: float) -> Iterator[tuple[str, str]]:
    """Yield the verdict under every other combination of the declared variations."""
    declared = claim.multiverse
    base: dict[str, str] = {
        "norm": claim.test.norm,
        "position": claim.test.position,
        "statistic": claim.test.statistic,
        "dtype": bench.selection.dtype,
    }
    choices: list[list[str]] = [list(dict.fromkeys((was, *getattr(declared, axis)))) for axis, was in base.items()]
    for chosen in itertools.product(*choices):
        changes = dict(zip(base, chosen, strict=True))
        if changes == base:
            continue
        name = ", ".join(f"{axis} {value}" for axis, value in changes.items() if value != base[axis])
        verdict = _variation(claim, model, bench, alpha, changes)
        if verdict is not None:
            yield name, verdict


def _variation(claim: MeasuredClaim, model: str, bench: Bench, alpha: float, changes: dict[str, str]) -> str | None:
    """Return the verdict under one variation; None where it cannot be measured here."""
    dtype = changes["dtype"]
    if dtype != bench.selection.dtype and bench.selection.registry[model].parameters > CHEAP:
        return None
    test = claim.test.model_copy(update={key: value for key, value in changes.items() if key != "dtype"})
    try:
        subject = _subject(model, bench)
        samples = bench.samples(test, claim.prompts, replace(subject, dtype=dtype))
        return _judge_samples(test, samples, alpha).verdict.value
    except Undecidable:
        return Verdict.INCONCLUSIVE.value
    except NotMeasured:
        return None


def _gauge_dependent(claim: MeasuredClaim, subject: Subject, bench: Bench, alpha: float, base: Verdict) -> bool:
    """Whether a canonical form gives another verdict than the form that the claim is judged in.

    A constant along the mean direction is invisible to every LayerNorm, and a norm's scale may as well stand in the
    next matrix; neither is seen in the logits, but a metric that does not declare itself invariant sees it.
    """
    if bench.table is not None:
        return False
    verdicts = (_form_verdict(claim, form, alpha) for form in _canonical_forms(claim, subject, bench))
    return any(base.decided if verdict is None else verdict is not base for verdict in verdicts)


def _canonical_forms(claim: MeasuredClaim, subject: Subject, bench: Bench) -> Iterator[tuple[Sample, ...]]:
    """Yield the claim's samples in each canonical form in which a metric of it may differ."""
    test = claim.test
    row, metrics = bench.selection.registry[subject.model], [METRICS[name] for name in test.of]
    invariant = [m.invariant if test.norm == "raw" else m.invariant_centred for m in metrics]
    if row.fact("norm") == "LayerNorm" and not all("mean-shift" in of for of in invariant):
        yield bench.samples(test.model_copy(update={"norm": "centred"}), claim.prompts, subject)
    if not all("norm-scale" in of for of in invariant):
        yield bench.samples(test, claim.prompts, subject, folded=True)


def _form_verdict(claim: MeasuredClaim, samples: tuple[Sample, ...], alpha: float) -> Verdict | None:
    try:
        return _judge_samples(claim.test, samples, alpha).verdict
    except Undecidable:
        return None


def _recorded(claim: MeasuredClaim, model: str, base: Judgement) -> tuple[str, ...]:
    """Say whether what the claim's author recorded for this model lies in the interval that was found."""
    record, estimate = claim.record.get(model), base.estimate
    if record is None or not record.comparable or estimate is None or estimate.low is None or estimate.high is None:
        return ()
    return ("recorded: agrees" if estimate.low <= record.value <= estimate.high else "recorded: disagrees",)
