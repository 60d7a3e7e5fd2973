"""Controls of a measured claim: data on which it ought to fail, each with its own estimate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from refutable.claims import MeasuredClaim
from refutable.evidence.permuted import permuted_control
from refutable.evidence.plan import control_seeds
from refutable.evidence.sample_source import SampleSource
from refutable.evidence.specification import Specification, judge_specification
from refutable.statistics.sample import Sample
from refutable.traces.passes import Pass
from refutable.verdicts.falsifiability.vacuity import search_generated_data
from refutable.verdicts.judge import Judgement
from refutable.verdicts.robustness import Control
from refutable.verdicts.verdict import Estimate, Verdict

LABELS = {
    "initialization": "holds-at-initialisation",
    "permuted": "holds-when-permuted",
    "any-data": "vacuous",
}


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
    if "initialization" in claim.controls and source.table is None and not is_drawn(claim, model, source):
        found["initialization"] = _initialization(specification, model, source)
    if "permuted" in claim.controls:
        found["permuted"] = permuted_control(specification.test, samples, specification.alpha)
    anything = any_data(claim)
    if "any-data" in claim.controls or anything.verdict is Verdict.SUPPORTED:
        found["any-data"] = anything
    return found


def any_data(claim: MeasuredClaim) -> Control:
    """Return the control ``any-data``: SUPPORTED if no data could break the prediction."""
    found = search_generated_data(claim.test, whole="any-data" in claim.controls)
    return Control(found.verdict, found.why, found.estimate, found.share)


def labels_of(controls: Mapping[str, Control], base: Verdict) -> tuple[str, ...]:
    """Return the labels of the controls: ``vacuous`` always, the others if the claim is SUPPORTED."""
    return tuple(
        LABELS[name]
        for name, control in controls.items()
        if control.verdict is Verdict.SUPPORTED and (name == "any-data" or base is Verdict.SUPPORTED)
    )


def is_drawn(claim: MeasuredClaim, model: str | None, source: SampleSource) -> bool:
    """Whether a model's own weights are freshly drawn, which makes fresh weights useless as a control."""
    if model is None or source.table is not None:
        return False
    return source.find_weights(source.selection.subject(model), Pass("forward", claim.prompts)).form == "draw"


def _initialization(specification: Specification, model: str | None, source: SampleSource) -> Control:
    seeds = control_seeds(model, source.selection)
    judged = {f"seed {seed}": judge_specification(replace(specification, seed=seed), model, source) for seed in seeds}
    parts = {name: Control(one.verdict, one.why, one.estimate) for name, one in judged.items()}
    if len(parts) == 1:
        ((name, only),) = parts.items()
        return replace(only, why=f"{name}: {only.why}", share=_share(judged), parts=parts)
    told = ", ".join(f"{name} {one.verdict.value}" for name, one in judged.items())
    return Control(_most(judged), f"{len(seeds)} seeds: {told}", _over_seeds(judged), _share(judged), parts)


def _share(judged: Mapping[str, Judgement]) -> float | None:
    looked = [one for one in judged.values() if one.verdict.looked]
    return sum(one.verdict is Verdict.SUPPORTED for one in looked) / len(looked) if looked else None


def _most(judged: Mapping[str, Judgement]) -> Verdict:
    """Return the verdict of more than half of the seeds, or INCONCLUSIVE."""
    verdicts = [one.verdict for one in judged.values()]
    often = max(verdicts, key=verdicts.count)
    return often if 2 * verdicts.count(often) > len(verdicts) else Verdict.INCONCLUSIVE


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
