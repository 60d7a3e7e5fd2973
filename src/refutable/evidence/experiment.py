"""Causal claims: contrasts over the cells of a recorded experiment, with the training seed as unit.

Each contrast is one number a seed, and its mean over seeds is judged like any mean. A claim of several contrasts that
must all hold is SUPPORTED if each is, at alpha each (an intersection-union test), and REFUTED if one is, by Holm over
them; of a claim that any contrast is to bear out, the other way about. The control repeats the test on the first
weights, before any training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from refutable._util.text import counted, few
from refutable.claims.experiment import Contrast, ExperimentClaim
from refutable.errors import RefutableError
from refutable.evidence.controls import labels_of
from refutable.evidence.multiverse import fragile
from refutable.evidence.specification import attempt
from refutable.experiments.table import START, TRAINED, WHOLE, Experiment, load_experiment
from refutable.models.subject import WeightsKind
from refutable.statistics import STATISTICS, Data
from refutable.statistics.check_assumptions import check
from refutable.statistics.sample import Sample
from refutable.verdicts.judge import Judgement, judge
from refutable.verdicts.robustness import Control
from refutable.verdicts.verdict import Verdict

SEED = "seed"
LEFT_OUT = "left out of "
UNFINISHED = "runs-missing"
UNBOUNDED = "margin-beyond-all-runs"
ROUNDING = 1e-9  # of the sum of weights of a contrast
CENTRED = "_centred"  # of an outcome's name: the same, of the stream less its mean over the width
SHOWN = 12  # digits of a hash


@dataclass(frozen=True, slots=True)
class _Judged:
    """A contrast and its verdict."""

    contrast: Contrast
    judgement: Judgement

    def told(self) -> str:
        estimate = self.judgement.estimate
        if estimate is None:
            return f"{self.contrast}: {self.judgement.verdict.value}, {self.judgement.why}"
        return f"{self.contrast} = {estimate.value:.4g} {estimate.at_level}, {self.contrast.region}:" + (
            f" {self.judgement.verdict.value}"
        )


def judge_experiment(claim: ExperimentClaim, size: str | None, beside: Path) -> Judgement:
    """Judge a causal claim at one size of network.

    Args:
        claim: whose contrasts are judged.
        size: of the networks; None where the experiment has no sizes.
        beside: folder of the claims file.

    Raises:
        BadInput: the experiment cannot be read.
        NotMeasured: a cell that a contrast names was not trained.
    """
    experiment = load_experiment(claim.test.experiment, beside)
    at = size or WHOLE
    base = _judge(claim, experiment, at, TRAINED)
    start = attempt(claim.prediction, lambda: _judge(claim, experiment, at, START))
    controls = {"initialization": Control(start.verdict, start.why, start.estimate)}
    variations = {}
    if centred := _centred(claim, experiment):
        changes = {"norm": "centred"}
        varied = attempt(claim.prediction, lambda: _judge(centred, experiment, at, TRAINED))
        variations["norm centred"] = varied.under(changes)
    labels = (*labels_of(controls, base.verdict), *fragile(variations, base.verdict))
    return replace(base, controls=controls, variations=variations).labelled(*labels)


def experiment_weights(claim: ExperimentClaim, beside: Path) -> dict[str, str]:
    """Return what reports say of the networks behind a causal claim; empty if the experiment cannot be read."""
    try:
        experiment = load_experiment(claim.test.experiment, beside)
    except RefutableError:
        return {}
    about = f"{experiment.about}; " if experiment.about else ""
    told = {
        "weights_kind": str(WeightsKind.TWIN if experiment.twins else WeightsKind.PUBLISHED),
        "weights_detail": f"{about}table {experiment.digest[:SHOWN]}",
        "dtype": "float32" if experiment.twins else "as published",
    }
    return told if experiment.prompts is None else {**told, "prompt_set_hash": experiment.prompts}


def experiment_meta(claim: ExperimentClaim, beside: Path) -> dict[str, str]:
    """Return when the networks were trained, as the meta of a trace says when it was measured."""
    experiment = load_experiment(claim.test.experiment, beside)
    return {"model": experiment.name, **({"measured": experiment.made} if experiment.made else {})}


def _judge(claim: ExperimentClaim, experiment: Experiment, size: str, when: str) -> Judgement:
    judged = [_Judged(one, _judge_contrast(one, claim.alpha, experiment, size, when)) for one in claim.test.contrasts]
    return _together(claim, judged) if len(judged) > 1 else replace(judged[0].judgement, predicts=claim.prediction)


def _judge_contrast(contrast: Contrast, alpha: float, experiment: Experiment, size: str, when: str) -> Judgement:
    statistic = STATISTICS["mean"]

    def look() -> Judgement:
        values = experiment.contrast(contrast.of, contrast.sum, size, when)
        data = Data((Sample(contrast.of, values, SEED),))
        judged = judge(statistic.fit(data), contrast.region, alpha, statistic, (str(contrast),))
        seen = check(statistic, data)
        judged = replace(
            judged, details={**judged.details, **seen.details, **_left_out(contrast, experiment, size, when)}
        )
        return judged.labelled(*seen.labels, *_labels(contrast, experiment, size, when))

    return attempt(contrast.predicts, look)


def _left_out(contrast: Contrast, experiment: Experiment, size: str, when: str) -> dict[str, str]:
    """Return which seeds a contrast leaves out, as a line of evidence; empty if none."""
    lacking = experiment.left_out(contrast.sum, size, when)
    if not lacking:
        return {}
    cells = dict.fromkeys(cell for of in lacking.values() for cell in of)
    whole = few([str(seed) for seed in lacking])
    return {f"{LEFT_OUT}{contrast}": f"{counted(len(lacking), 'seed')} ({whole}) that {few([*cells])} lacks"}


def _labels(contrast: Contrast, experiment: Experiment, size: str, when: str) -> tuple[str, ...]:
    """Return what is to be said of a contrast's runs: some did not finish, or none fall outside."""
    labels = []
    if when == TRAINED and (lost := experiment.unfinished(contrast.sum, size)):
        labels.append(f"{UNFINISHED} ({few(list(lost))})")
    weights, region = contrast.sum.values(), contrast.region
    most = sum(map(abs, weights)) / 2 * experiment.spread(contrast.of)
    if abs(sum(weights)) < ROUNDING and region.low <= -most and most <= region.high:
        labels.append(UNBOUNDED)
    return tuple(labels)


def _together(claim: ExperimentClaim, judged: Sequence[_Judged]) -> Judgement:
    """Return the verdict on several contrasts, with the estimate of the one that decides it."""
    every, alpha = claim.test.holds == "all", claim.alpha
    if all(one.judgement.estimate is None for one in judged):
        return replace(judged[0].judgement, predicts=claim.prediction)
    told = "; ".join(one.told() for one in judged)
    details = {f"contrast {number}": one.told() for number, one in enumerate(judged, start=1)}
    lacking = [one.judgement for one in judged if one.judgement.estimate is None]
    known = [one.judgement for one in judged if one.judgement.estimate is not None]
    p, decisive = _combined(known, len(judged), _p, every)
    p_refuted, opposed = _combined(known, len(judged), _p_refuted, not every)
    if p <= alpha and not (every and lacking):
        verdict, chosen = Verdict.SUPPORTED, decisive
    elif p_refuted <= alpha and (every or not lacking):
        verdict, chosen = Verdict.REFUTED, opposed
    else:
        unlooked = next((one.verdict for one in lacking if not one.verdict.looked), None)
        verdict, chosen = unlooked or Verdict.INCONCLUSIVE, decisive
    assumed = {
        name: text
        for one in known
        for name, text in one.details.items()
        if name == "assumes" or name.startswith(LEFT_OUT)
    }
    labels = tuple(dict.fromkeys(label for one in known for label in one.labels))
    if verdict is Verdict.INCONCLUSIVE:
        details["power"] = f"cannot be said: {len(judged)} contrasts decide together"
    found = Judgement(verdict, claim.prediction, told, labels=labels, details={**assumed, **details})
    if chosen is None or chosen.estimate is None or not verdict.looked:
        return found
    method = f"{chosen.estimate.method}; {'each' if every else 'Holm'} of {len(judged)} contrasts"
    return replace(found, estimate=replace(chosen.estimate, p=p, p_refuted=p_refuted, method=method))


def _combined(
    known: Sequence[Judgement], count: int, p: Callable[[Judgement], float], every: bool
) -> tuple[float, Judgement | None]:
    """Return the p-value that every contrast is so, or that any is, and the one that it comes from."""
    if not known:
        return 1.0, None
    chosen = max(known, key=p) if every else min(known, key=p)
    return (p(chosen) if every else min(1.0, count * p(chosen))), chosen


def _p(judged: Judgement) -> float:
    assert judged.estimate is not None
    return 1.0 if judged.estimate.p is None else judged.estimate.p


def _p_refuted(judged: Judgement) -> float:
    assert judged.estimate is not None
    return 1.0 if judged.estimate.p_refuted is None else judged.estimate.p_refuted


def _centred(claim: ExperimentClaim, experiment: Experiment) -> ExperimentClaim | None:
    """Return the claim with its norms centred; None if the experiment has no such outcome of its contrasts."""
    if not any(f"{contrast.of}{CENTRED}" in experiment.outcomes for contrast in claim.test.contrasts):
        return None
    contrasts = tuple(
        contrast.model_copy(update={"of": f"{contrast.of}{CENTRED}"})
        if f"{contrast.of}{CENTRED}" in experiment.outcomes
        else contrast
        for contrast in claim.test.contrasts
    )
    return claim.model_copy(update={"test": claim.test.model_copy(update={"contrasts": contrasts})})
