"""Which verdicts the seeds of an experiment can never reach."""

from __future__ import annotations

from pathlib import Path

from refutable._util.text import counted
from refutable.claims.experiment import ExperimentClaim
from refutable.errors import NotMeasured
from refutable.experiments.table import WHOLE, load_experiment
from refutable.statistics import STATISTICS
from refutable.verdicts.falsifiability.feasibility import HOPELESS, Infeasible
from refutable.verdicts.falsifiability.reachable import feasibility

SUPPORTABLE, REFUTABLE = "unsupportable", "unrefutable"


def infeasible_with_seeds(claim: ExperimentClaim, size: str | None, beside: Path) -> Infeasible | None:
    """Return which verdicts a causal claim can never reach with the seeds that were trained; None if it can reach both.

    Where every contrast must hold, one that can never be proved prevents SUPPORTED, and REFUTED takes one that can be
    disproved at alpha shared among them all (Holm); where any is enough, the other way about.

    Args:
        claim: whose contrasts are judged.
        size: of the networks; None where the experiment has no sizes.
        beside: folder of the claims file.

    Raises:
        BadInput: the experiment cannot be read.
    """
    experiment, contrasts = load_experiment(claim.test.experiment, beside), claim.test.contrasts
    statistic, shared, every = STATISTICS["mean"], claim.alpha / len(contrasts), claim.test.holds == "all"
    never: dict[str, list[str | None]] = {SUPPORTABLE: [], REFUTABLE: []}
    seeds = []
    for contrast in contrasts:
        try:
            seeds.append(len(experiment.contrast(contrast.of, contrast.sum, size or WHOLE)))
        except NotMeasured:
            return None  # which is reported when it is tried
        for word, told in never.items():
            alpha = claim.alpha if (word == SUPPORTABLE) == every else shared
            labels = feasibility(statistic, contrast.region, alpha, seeds[-1])
            told.append(next((label for label in labels if label.startswith(word)), None))
    found = [label for word, told in never.items() if (label := _of_all(told, each=(word == SUPPORTABLE) == every))]
    units = f"{' and '.join(dict.fromkeys(counted(n, 'seed') for n in seeds))} that all cells have"
    labels = (HOPELESS, *found) if len(found) == len(never) else tuple(found)
    return Infeasible(units, labels) if labels else None


def _of_all(told: list[str | None], *, each: bool) -> str | None:
    """Return what keeps the claim from a verdict that takes each of its contrasts, or else any of them."""
    out_of_reach = [label for label in told if label is not None]
    if each:
        return max(out_of_reach, key=_needed, default=None)
    return min(out_of_reach, key=_needed) if len(out_of_reach) == len(told) else None


def _needed(label: str) -> float:
    """Return the seeds that a label says are needed; infinite where no number would do."""
    number = label.rpartition(" ")[2]
    return float(number) if number.isdecimal() else float("inf")
