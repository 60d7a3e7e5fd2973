"""What can be said of claims before any model is loaded: which verdicts these prompts can never bring."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from refutable.cases import Case, cases_of
from refutable.claims import InitializationClaim, MeasuredClaim
from refutable.claims_file import load_claims
from refutable.models import load_registry
from refutable.prompts import load_prompts
from refutable.statistics import STATISTICS
from refutable.vacuity import is_vacuous
from refutable.verdict import feasibility


def check_feasible(file: Path, models: Path | None = None) -> Iterator[str]:
    """Yield one line for each claim that some verdict can never reach, and one that counts all.

    Raises:
        BadInput: the claims or the registry cannot be used.
    """
    claims = load_claims(file)
    cases = cases_of(claims, load_registry(models), file.name)
    for claim in claims:
        if not isinstance(claim, MeasuredClaim):
            continue
        n, unit = _units(claim, cases, file)
        labels: tuple[str, ...] = ("vacuous: any data would do",) if is_vacuous(claim.test) else ()
        labels += feasibility(STATISTICS[claim.test.statistic], claim.test.region, claim.alpha, n)
        if labels:
            yield f"{claim.id}: with these {n} {unit}: {', '.join(labels)}"
    yield f"{file.name}: {len(claims)} claims, {len(cases)} cases, no fault found"


def _units(claim: MeasuredClaim, cases: tuple[Case, ...], file: Path) -> tuple[int, str]:
    """Return how many units of replication a claim can have, and what they are."""
    if isinstance(claim, InitializationClaim):
        return len(claim.seeds), "seeds"
    if claim.test.over_models:
        return next(len(case.models) for case in cases if case.claim is claim), "models"
    return len(load_prompts(claim.prompts, file.parent)), "prompts"
