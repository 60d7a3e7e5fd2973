"""Controls of a measured claim: data on which it ought to fail, each with its own estimate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import scipy

from refutable._util.text import counted
from refutable.claims import MeasuredClaim
from refutable.evidence.permuted import WITHIN, permuted_control
from refutable.evidence.plan import control_seeds
from refutable.evidence.sample_source import SampleSource
from refutable.evidence.specification import Specification, judge_specification
from refutable.models.row import ModelRow
from refutable.statistics.sample import Sample
from refutable.traces.passes import Pass
from refutable.verdicts.falsifiability.depth import depth_of, vocabulary_of
from refutable.verdicts.falsifiability.vacuity import search_generated_data
from refutable.verdicts.judge import Judgement
from refutable.verdicts.robustness import Control
from refutable.verdicts.verdict import Estimate, Verdict


def controls_of(
    claim: MeasuredClaim,
    specification: Specification,
    model: str | None,
    source: SampleSource,
    samples: tuple[Sample, ...],
) -> dict[str, Control]:
    """Return every control of a claim by name; whether any data would satisfy it is always checked.

    `specification` and `samples` are the claim's own; `model` is None for a comparison of groups.
    """
    found: dict[str, Control] = {}
    if "initialization" in claim.controls and source.table is None and not _drawn(claim, specification, model, source):
        found["initialization"] = _initialization(specification, model, source)
    if "permuted" in claim.controls:
        found["permuted"] = permuted_control(specification.test, samples, specification.alpha)
    anything = any_data(claim, claim_rows(claim, model, source))
    if "any-data" in claim.controls or anything.verdict is Verdict.SUPPORTED:
        found["any-data"] = anything
    return found


def _drawn(claim: MeasuredClaim, specification: Specification, model: str | None, source: SampleSource) -> bool:
    return is_drawn(claim, model if model is None else specification.points(model)[0], source)


def claim_rows(claim: MeasuredClaim, model: str | None, source: SampleSource) -> list[ModelRow]:
    """Return the row of a model, or those of all that a claim is about and this run may measure."""
    registry = source.selection.registry
    if model is not None:
        return [registry[model]]
    rows = (row for selector in claim.selectors.values() for row in selector.select(registry))
    return [row for row in rows if row.name in source.selection]


def any_data(claim: MeasuredClaim, rows: Sequence[ModelRow]) -> Control:
    """Return the control ``any-data``: SUPPORTED if no data of such models could break the prediction."""
    whole = "any-data" in claim.controls
    found = search_generated_data(claim.test, depth_of(rows), vocabulary_of(rows), whole=whole)
    return Control(found.verdict, found.why, found.estimate, found.share)


def labels_of(controls: Mapping[str, Control], base: Verdict) -> tuple[str, ...]:
    """Return the labels of the controls: ``vacuous`` always, the others if the claim is SUPPORTED."""
    anything = controls.get("any-data")
    found = ["vacuous"] if anything is not None and anything.verdict is Verdict.SUPPORTED else []
    if base is Verdict.SUPPORTED:
        if (drawn := controls.get("initialization")) is not None and drawn.verdict is not Verdict.REFUTED:
            held = drawn.verdict is Verdict.SUPPORTED
            found.append("holds-at-initialisation" if held else "undecided-at-initialisation")
        if (shuffled := controls.get("permuted")) is not None:
            parts = shuffled.parts or {"all": shuffled}
            held_by = {name for name, part in parts.items() if part.verdict is Verdict.SUPPORTED}
            found += ["holds-when-permuted"] if held_by - {WITHIN} else []
            found += ["not-shown-beyond-categories"] if WITHIN in held_by else []
    return tuple(found)


def is_drawn(claim: MeasuredClaim, model: str | None, source: SampleSource) -> bool:
    """Whether a model's own weights are freshly drawn, which makes fresh weights useless as a control."""
    if model is None or source.table is not None:
        return False
    return source.find_weights(source.selection.subject(model), Pass("forward", claim.prompts)).form == "draw"


def _initialization(specification: Specification, model: str | None, source: SampleSource) -> Control:
    """Try a claim on freshly drawn weights: SUPPORTED or REFUTED where it is so on more than half of all draws.

    The rate is that of a sign test over the seeds at the claim's alpha; else it is undecided, and INCONCLUSIVE. In a
    comparison of groups the models are the units, each drawn once, and its own test decides.
    """
    seeds = control_seeds(model, source.selection)
    judged = {f"seed {seed}": judge_specification(replace(specification, seed=seed), model, source) for seed in seeds}
    parts = {name: Control(one.verdict, one.why, one.estimate) for name, one in judged.items()}
    verdict, told = _of_most(judged, specification.alpha)
    share = _share(judged)
    if len(parts) == 1:
        ((name, only),) = parts.items()
        if model is None:
            return replace(only, why=f"{name}: {only.why}", share=share, parts=parts)
        return replace(only, verdict=verdict, why=f"{name}: {only.verdict.value}, {told}", share=share, parts=parts)
    return Control(verdict, told, _over_seeds(judged), share, parts)


def _share(judged: Mapping[str, Judgement]) -> float | None:
    looked = [one for one in judged.values() if one.verdict.looked]
    return sum(one.verdict is Verdict.SUPPORTED for one in looked) / len(looked) if looked else None


def _of_most(judged: Mapping[str, Judgement], alpha: float) -> tuple[Verdict, str]:
    """Return what is so on more than half of all draws, by a sign test over those looked at; and words for it."""
    verdicts = [one.verdict for one in judged.values() if one.verdict.looked]
    if not verdicts:
        first = next(iter(judged.values()))
        return first.verdict, first.why
    told = ", ".join(f"{verdicts.count(word)} {word.value}" for word in dict.fromkeys(verdicts))
    for word, outcome in ((Verdict.SUPPORTED, "holds"), (Verdict.REFUTED, "fails")):
        p = float(scipy.stats.binomtest(verdicts.count(word), len(verdicts), 0.5, alternative="greater").pvalue)
        if p <= alpha:
            return word, f"{outcome} on most draws: {told} of {counted(len(verdicts), 'seed')} (sign test p = {p:.3g})"
    least = math.ceil(math.log2(1 / alpha))
    short = f"; {least} that agree would decide" if len(verdicts) < least else ""
    return Verdict.INCONCLUSIVE, f"undecided: {told} of {counted(len(verdicts), 'seed')}{short}"


def _over_seeds(judged: Mapping[str, Judgement]) -> Estimate | None:
    """Return the mean of the seeds' values, with their least and greatest as bounds, which have no level."""
    found = [one.estimate for one in judged.values() if one.estimate is not None]
    if not found:
        return None
    values = [one.value for one in found]
    return replace(
        found[0],
        value=sum(values) / len(values),
        low=min(values),
        high=max(values),
        level=None,
        n=len(values),
        unit="seed",
        p=None,
        effect_size=None,
        method="mean of the seeds' estimates, between the least and the greatest",
    )
